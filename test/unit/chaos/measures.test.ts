// Goal: what a chaos run measures and compares is what it says it is.
import { compareRows } from '../../chaos/load/orders-workload';
import type { WatchedTask } from '../../chaos/measure/commit-watch';
import { recoveriesOf, spreadOf, type Disturbance } from '../../chaos/measure/recoveries';
import { redeliveriesOf } from '../../chaos/measure/redeliveries';
import { emptyLedger } from '../../../shared/model/commit';

const [first, second] = [101, 102];

/** A task of one partition whose commits are [when, by whom, through which sequence number]. */
function aTask(
  commits: readonly (readonly [atMs: number, pid: number, to: number])[],
): WatchedTask {
  return {
    path: { topology: 'orders', version: 'v1', stage: 'orders', incarnation: '1', partition: '0' },
    hub: 'orders',
    functionName: 'orders-orders',
    progress: commits.map(([atMs, pid, to]) => ({
      ...{ atMs, pid, to: { sequenceNumber: to, index: 0 } },
    })),
    deadLetters: [],
    ledger: emptyLedger,
    attempts: 0,
    idleTicks: 0,
    gaps: 0,
    watermarkMs: null,
    rowsThrough: {},
    next: null,
  };
}

const death = (atMs: number, pid: number): Disturbance => ({
  ...{ kind: 'kill-worker', atMs, liftedAtMs: atMs, pid },
});

describe('recovery times', () => {
  const always = {
    waitingSinceMs: (_hub: string, _partition: string, _sequence: number, fromMs: number) => fromMs,
  };

  it('run from a worker’s death to the next commit of the tasks that were its own', () => {
    const task = aTask([
      [1_000, first, 10],
      [9_000, second, 20],
    ]);
    const found = recoveriesOf([death(2_000, first), death(2_500, second)], [task], always);
    expect(found).toMatchObject([{ task: 'orders/orders/0', tookMs: 7_000, isAlone: false }]);
  });

  it('are alone where nothing else struck in between', () => {
    const task = aTask([
      [1_000, first, 10],
      [9_000, second, 20],
    ]);
    const found = recoveriesOf([death(2_000, first), death(9_500, second)], [task], always);
    expect(found).toMatchObject([{ tookMs: 7_000, isAlone: true }]);
  });

  it('begin when input waits, and are none where none does', () => {
    const task = aTask([
      [1_000, first, 10],
      [9_000, second, 20],
    ]);
    const since = (atMs: number | null) => ({ waitingSinceMs: () => atMs });
    const dead = [death(2_000, first)];
    expect(recoveriesOf(dead, [task], since(8_000))).toMatchObject([{ tookMs: 1_000 }]);
    expect(recoveriesOf(dead, [task], since(null))).toEqual([]);
  });

  it('of an outage count from its end, for every task', () => {
    const outage = { kind: 'kill-hub', atMs: 2_000, liftedAtMs: 3_000, pid: null };
    const tasks = [first, second].map((pid) =>
      aTask([
        [1_000, pid, 10],
        [3_400, pid, 20],
      ]),
    );
    expect(recoveriesOf([outage], tasks, always).map(({ tookMs }) => tookMs)).toEqual([400, 400]);
  });

  it('are spread by the nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(spreadOf(hundred)).toEqual({ count: 100, p50: 50, p99: 99, max: 100 });
    expect(spreadOf([])).toBeNull();
  });
});

describe('deliveries', () => {
  const delivery = (atMs: number, ...runs: [number, number][]) => ({
    ...{ atMs, functionName: 'orders-orders', partition: '0', runs },
  });

  it('come again dropped where a commit had them, else processed anew', () => {
    const task = aTask([[1_500, first, 10]]);
    const found = redeliveriesOf({
      deliveries: [delivery(1_000, [0, 19]), delivery(3_000, [5, 24])],
      tasks: [task],
      disturbances: [death(2_000, first)],
      recreatedAtMs: new Map(),
    });
    // 5 to 9 were committed; 10 to 19 had been begun; 20 to 24 are new.
    expect(found).toEqual({
      ...{ delivered: 40, absorbed: 5, reprocessed: 10, reprocessedPerFailure: [10] },
    });
  });

  it('of a hub that was created again are new, although their numbers are not', () => {
    const found = redeliveriesOf({
      deliveries: [delivery(1_000, [0, 9]), delivery(3_000, [0, 9])],
      tasks: [aTask([[1_500, first, 10]])],
      disturbances: [],
      recreatedAtMs: new Map([['orders', [2_000]]]),
    });
    expect(found).toMatchObject({ delivered: 20, absorbed: 0, reprocessed: 0 });
  });
});

describe('rows of two tables', () => {
  it('are compared as multisets', () => {
    const found = compareRows('table', ['a', 'b', 'b', 'd'], ['a', 'b', 'c', 'c', 'd']);
    expect(found).toMatchObject({ missing: 1, extra: 2, sample: ['b', 'c', 'c'] });
    expect(compareRows('table', ['a', 'a'], ['a', 'a'])).toMatchObject({ missing: 0, extra: 0 });
  });
});
