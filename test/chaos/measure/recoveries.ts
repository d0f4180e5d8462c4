/** How long tasks stood still after a fault, computed when the run is over. */
import type { HubEnds } from './hub-ends';
import type { Progress, WatchedTask } from './commit-watch';

/** Something that stops tasks: the death or freezing of a worker, or an outage of hub or store. */
export interface Disturbance {
  readonly kind: string;
  readonly atMs: number;
  /** When an outage was over; of a worker's fault: when it struck. Recovery is counted from here. */
  readonly liftedAtMs: number;
  /** The worker whose tasks it stops; null: everybody's. */
  readonly pid: number | null;
}

export interface Recovery {
  readonly disturbance: Disturbance;
  readonly task: string;
  /** From the disturbance, or from when input waited if that is later, to the next commit of input. */
  readonly tookMs: number;
  /** No other disturbance fell into that time. */
  readonly isAlone: boolean;
}

export function recoveriesOf(
  disturbances: readonly Disturbance[],
  tasks: Iterable<WatchedTask>,
  hubEnds: Pick<HubEnds, 'waitingSinceMs'>,
): Recovery[] {
  const all: Recovery[] = [];
  for (const task of tasks) {
    const progress = task.progress.toSorted((left, right) => left.atMs - right.atMs);
    for (const disturbance of disturbances) {
      const found = recoveryOf(disturbance, task, progress, hubEnds);
      if (found === null) continue;
      const { endMs, sinceMs } = found;
      const isAlone = disturbances.every(
        (other) => other === disturbance || other.liftedAtMs < sinceMs - 1 || other.atMs > endMs,
      );
      const { partition, stage, topology } = task.path;
      all.push({
        disturbance,
        task: `${topology}/${stage}/${partition}`,
        tookMs: endMs - sinceMs,
        isAlone,
      });
    }
  }
  return all;
}

function recoveryOf(
  { liftedAtMs, pid }: Disturbance,
  task: WatchedTask,
  progress: readonly Progress[],
  hubEnds: Pick<HubEnds, 'waitingSinceMs'>,
): { readonly sinceMs: number; readonly endMs: number } | null {
  const index = progress.findIndex(({ atMs }) => atMs > liftedAtMs);
  const before = progress[index - 1];
  const next = progress[index];
  if (before === undefined || next === undefined) return null;
  // Of a worker's fault: only the tasks that were that worker's when it struck.
  if (pid !== null && before.pid !== pid) return null;
  const sinceMs = hubEnds.waitingSinceMs(
    task.hub,
    task.path.partition,
    before.to.sequenceNumber,
    liftedAtMs,
  );
  // Nothing waited: the task had nothing to come back for.
  if (sinceMs === null || sinceMs >= next.atMs) return null;
  return { sinceMs, endMs: next.atMs };
}

export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** By the nearest rank. */
export function spreadOf(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((left, right) => left - right);
  const rank = (share: number): number =>
    sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { count: sorted.length, p50: rank(0.5), p99: rank(0.99), max: rank(1) };
}
