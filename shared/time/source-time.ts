/**
 * Time in a source partition: a function of its events and of when they were enqueued, and of nothing else.
 * Bounded out-of-orderness: the watermark is the latest event time less what events may be out of order by.
 */

/** What becomes of an event that is dated too far after it was enqueued: some clock was wrong. */
export interface EarlyPolicy {
  readonly limitMs: number;
  /** `clamp`: it is taken for one of its enqueued time + limit. Either way it moves no time. */
  readonly policy: 'deadLetter' | 'clamp';
}

/**
 * Wall clock moves a partition's watermark where nothing has come for `afterMs`: to when nothing can come any
 * more that was enqueued at most `maxDelayMs` after it happened.
 */
export interface QuietPolicy {
  readonly afterMs: number;
  readonly maxDelayMs: number;
}

export interface SourceTimePolicy {
  readonly outOfOrdernessMs: number;
  readonly early: EarlyPolicy;
  readonly quiet: QuietPolicy | null;
}

/** The time that an event counts as being of; undefined: it came too early to be taken in. */
export function timeTakenMs(
  { early }: SourceTimePolicy,
  event: { readonly eventTimeMs: number; readonly enqueuedTimeMs: number },
): number | undefined {
  const latestMs = event.enqueuedTimeMs + early.limitMs;
  if (event.eventTimeMs <= latestMs) return event.eventTimeMs;
  return early.policy === 'clamp' ? Math.floor(latestMs) : undefined;
}

/**
 * The watermark that an event meets: late is judged by it. Where wall clock may move time, an event that was
 * enqueued too long after it happened is behind whether or not it did.
 */
export function watermarkBeforeMs(
  { quiet }: SourceTimePolicy,
  watermarkMs: number,
  enqueuedTimeMs: number,
): number {
  return quiet === null ? watermarkMs : Math.max(watermarkMs, enqueuedTimeMs - quiet.maxDelayMs);
}

/** The watermark behind an event, given the one that it met and the time that it was taken for. */
export function watermarkAfterMs(
  { early, outOfOrdernessMs }: SourceTimePolicy,
  watermarkMs: number,
  event: { readonly timeMs: number; readonly enqueuedTimeMs: number },
): number {
  const isClamped =
    early.policy === 'clamp' && event.timeMs >= Math.floor(event.enqueuedTimeMs + early.limitMs);
  if (isClamped) return watermarkMs;
  return Math.max(watermarkMs, event.timeMs - outOfOrdernessMs);
}

/**
 * Where wall clock brings a quiet partition's watermark: no event that is yet to be enqueued can be older and
 * on time, for the last one was enqueued then, and at least so long ago.
 */
export function quietWatermarkMs(
  { maxDelayMs }: QuietPolicy,
  last: { readonly enqueuedTimeMs: number; readonly elapsedMs: number },
): number {
  return last.enqueuedTimeMs + last.elapsedMs - maxDelayMs;
}

/** Ticks that follow each other without input between them come further apart up to so many doublings. */
const doublingsMax = 10;

/** How many ticks a task has had since its last other commit. */
export function ticksInARow(task: {
  readonly commit: number;
  readonly tick: { readonly atCommit: number; readonly count: number } | null;
}): number {
  return task.tick?.atCommit === task.commit ? task.tick.count : 0;
}

/** How long a task waits for its next tick: each waits twice as long as the one before, so an idle task costs little. */
export function tickIntervalMs(afterMs: number, ticks: number): number {
  return afterMs * 2 ** Math.min(ticks, doublingsMax);
}
