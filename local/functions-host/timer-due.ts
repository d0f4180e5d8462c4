import type { Schedule } from './schedule';
import { neverRan, type TimerNote, type TimerStatus } from './timer-status';

/** The next run of a timer. */
export interface Due {
  readonly atMs: number;
  /** Why it runs at another time than its schedule's; null: it does not. */
  readonly unscheduled: 'IsPastDue' | 'RunOnStartup' | null;
}

/** What the one who takes a timer's lock finds. */
export interface TimerSituation {
  readonly schedule: Schedule;
  readonly nowMs: number;
  /** null: not monitored, or never before. */
  readonly status: TimerStatus | null;
  readonly note: TimerNote | null;
  readonly isRunOnStartup: boolean;
  readonly hostStartedAtMs: number;
}

/**
 * When a timer is due for a new holder of its lock. A time that passed with nobody there is made up
 * for once: by the status of a monitored timer over any stretch, by the note of the holder before
 * within this host's life.
 */
export function dueOnTaking(situation: TimerSituation): Due {
  const { hostStartedAtMs, isRunOnStartup, note, nowMs, schedule, status } = situation;
  const isNoteOfThisHost = note?.hostStartedAtMs === hostStartedAtMs;
  const isStartingUp = isRunOnStartup && !isNoteOfThisHost;
  const next = schedule.next(new Date(nowMs)).getTime();
  if (status !== null) {
    const expected = Date.parse(status.Next);
    if (nowMs > expected) return { atMs: nowMs, unscheduled: 'IsPastDue' };
    if (isStartingUp) return { atMs: nowMs, unscheduled: 'RunOnStartup' };
    return { atMs: expected, unscheduled: null };
  }
  if (isNoteOfThisHost && note.dueAtMs <= nowMs) return { atMs: nowMs, unscheduled: 'IsPastDue' };
  if (isStartingUp) return { atMs: nowMs, unscheduled: 'RunOnStartup' };
  return { atMs: isNoteOfThisHost ? Math.min(note.dueAtMs, next) : next, unscheduled: null };
}

/**
 * A status that was stored under another schedule, made one of this: its next time is this schedule's,
 * and a time that this schedule would have had while nobody was there is not past due. null: the
 * stored one holds (ScheduleMonitor.CheckPastDueAsync).
 */
export function statusOfChangedSchedule(
  stored: TimerStatus,
  schedule: Schedule,
  nowMs: number,
): TimerStatus | null {
  const [from = nowMs] = [stored.Last, stored.LastUpdated]
    .filter((time) => !time.startsWith('0001-'))
    .map((time) => Date.parse(time));
  const expected = schedule.next(new Date(from)).getTime();
  if (expected === Date.parse(stored.Next)) return null;
  const isMissed = nowMs > expected;
  const since = new Date(isMissed ? nowMs : from);
  return {
    Last: neverRan,
    Next: (isMissed ? schedule.next(since) : new Date(expected)).toISOString(),
    LastUpdated: since.toISOString(),
  };
}

/**
 * The moment that the next time counts from: when the run began, and never before the time it was for
 * (clocks differ). A run that takes longer than its interval is so followed by the next at once.
 */
export function countedFromMs(due: Due, firedAtMs: number): number {
  return due.unscheduled === null ? Math.max(firedAtMs, due.atMs) : firedAtMs;
}
