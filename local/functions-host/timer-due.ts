import type { Schedule } from './schedule';
import { neverRan, type TimerNote, type TimerStatus } from './timer-status';

/** The next run of a timer. */
export interface Due {
  readonly atMs: number;
  readonly isPastDue: boolean;
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
  const next = schedule.next(new Date(nowMs)).getTime();
  if (status !== null) {
    // From the last run, not from the stored next time: the schedule may have changed since.
    const from = status.Last === neverRan ? status.LastUpdated : status.Last;
    const expected = schedule.next(new Date(from)).getTime();
    if (nowMs > expected) return { atMs: nowMs, isPastDue: true };
    if (isRunOnStartup && !isNoteOfThisHost) return { atMs: nowMs, isPastDue: false };
    return { atMs: expected, isPastDue: false };
  }
  if (isNoteOfThisHost && note.dueAtMs <= nowMs) return { atMs: nowMs, isPastDue: true };
  if (isRunOnStartup && !isNoteOfThisHost) return { atMs: nowMs, isPastDue: false };
  return { atMs: isNoteOfThisHost ? Math.min(note.dueAtMs, next) : next, isPastDue: false };
}
