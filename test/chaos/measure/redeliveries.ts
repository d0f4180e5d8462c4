/** What triggers handed to the app more than once, and what became of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deliveriesPrefix, type Delivery } from '../worker/folders';
import type { WatchedTask } from './commit-watch';
import type { Disturbance } from './recoveries';

export interface Redeliveries {
  /** Messages that triggers handed over, repeats included. */
  readonly delivered: number;
  /** Handed over again when a commit had them already: dropped. */
  readonly absorbed: number;
  /** Handed over again when no commit had them: work begun and lost, done again. */
  readonly reprocessed: number;
  /** Per disturbance, messages reprocessed between it and the next one. */
  readonly reprocessedPerFailure: readonly number[];
}

export function readDeliveries(folder: string): Delivery[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(deliveriesPrefix))
    .flatMap((name) =>
      readFileSync(join(folder, name), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Delivery),
    );
}

/** @param recreatedAtMs per hub: when it was created again and began to count from 0 */
export function redeliveriesOf(options: {
  readonly deliveries: readonly Delivery[];
  readonly tasks: readonly WatchedTask[];
  readonly disturbances: readonly Disturbance[];
  readonly recreatedAtMs: ReadonlyMap<string, readonly number[]>;
}): Redeliveries {
  const { deliveries, disturbances, recreatedAtMs, tasks } = options;
  const perFailure = new Map(disturbances.map(({ atMs }) => [atMs, 0]));
  const failureTimes = [...perFailure.keys()].sort((left, right) => left - right);
  const totals = { delivered: 0, absorbed: 0, reprocessed: 0 };
  const groups = new Map<string, Delivery[]>();
  for (const delivery of deliveries) {
    const hub = tasks.find(({ functionName }) => functionName === delivery.functionName)?.hub ?? '';
    const times = recreatedAtMs.get(hub) ?? [];
    const incarnation = times.filter((atMs) => atMs <= delivery.atMs).length;
    const key = `${delivery.functionName}/${delivery.partition}/${incarnation}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [delivery]);
    else group.push(delivery);
  }
  for (const [key, group] of groups) {
    const [functionName, partition, incarnation] = key.split('/');
    const task = tasks
      .filter((one) => one.functionName === functionName && one.path.partition === partition)
      .sort((left, right) => left.path.incarnation.localeCompare(right.path.incarnation))
      .at(Number(incarnation));
    let nextNew = 0;
    for (const { atMs, runs } of group.sort((left, right) => left.atMs - right.atMs)) {
      const committed =
        task?.progress.filter((one) => one.atMs < atMs).at(-1)?.to.sequenceNumber ?? 0;
      for (const [first, last] of runs) {
        totals.delivered += last - first + 1;
        const repeats = Math.max(0, Math.min(last + 1, nextNew) - first);
        const absorbed = Math.max(0, Math.min(last + 1, nextNew, committed) - first);
        totals.absorbed += absorbed;
        totals.reprocessed += repeats - absorbed;
        const failure = failureTimes.filter((time) => time <= atMs).at(-1);
        if (failure !== undefined) {
          perFailure.set(failure, (perFailure.get(failure) ?? 0) + repeats - absorbed);
        }
        nextNew = Math.max(nextNew, last + 1);
      }
    }
  }
  return { ...totals, reprocessedPerFailure: [...perFailure.values()] };
}
