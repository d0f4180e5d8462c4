/**
 * The state of one task: keys with one open window and one timer each, as a tumbling window keeps them. What
 * the longest pause is while a snapshot of all of them is written between commits, what loading it, a commit,
 * a refused append and a size cut cost at more and more keys, and how long many windows take to fire.
 *
 * npm run bench:state -- [keys] [keys that fire]
 */
import type { StateSnapshot } from '../shared/state/snapshot';
import type { MapStore, OperatorStores, OperatorStoresShape } from '../shared/state/stores';
import { TaskStores } from '../shared/state/task-stores';
import { machineLine, median, seededRandom } from './machine';

const seed = 13;
const keysPerCommit = 1_000;
const rounds = 9;
const snapshotRuns = 3;
const sliceMs = 10;
const resultsPerCommit = 5_000;
const windowEndMs = 1_767_225_660_000;

interface Accumulators {
  count: number;
  sum: number;
  highest: number;
}

const shape: OperatorStoresShape = {
  stores: [
    {
      name: 'open',
      kind: 'map',
      codec: {
        toJson: ({ count, highest, sum }: Accumulators) => [count, sum, highest],
        fromJson: (json) => {
          const [count = 0, sum = 0, highest = 0] = json as number[];
          return { count, sum, highest };
        },
        clone: (accumulators: Accumulators) => ({ ...accumulators }),
      },
    },
  ],
  timers: 'event',
};

interface Opened {
  readonly stores: TaskStores;
  readonly operator: OperatorStores;
  readonly windows: MapStore<Accumulators>;
}

function open(stores = new TaskStores()): Opened {
  const operator = stores.open('bars', shape);
  return { stores, operator, windows: operator.map('open') };
}

function keyOf(index: number): string {
  return `sdevice-${index}`;
}

function touch({ operator, windows }: Opened, index: number, value: number): void {
  operator.setKey(keyOf(index));
  const accumulators = windows.update(windowEndMs, () => ({ count: 0, sum: 0, highest: 0 }));
  accumulators.count += 1;
  accumulators.sum += value;
  accumulators.highest = Math.max(accumulators.highest, value);
  operator.timers.set(windowEndMs);
}

function commit({ stores }: Opened): void {
  if (stores.changes() === null) throw new Error('no limit was given');
  stores.settle();
}

function filled(keys: number): Opened {
  const opened = open();
  for (let index = 0; index < keys; index += 1) {
    touch(opened, index, index % 97);
    if (index % 20_000 === 0) commit(opened);
  }
  commit(opened);
  return opened;
}

function cpuOf(work: () => void): number {
  const before = cpuMs();
  work();
  return cpuMs() - before;
}

function timed(work: () => void): number {
  const before = performance.now();
  work();
  return performance.now() - before;
}

/** CPU of this process, garbage collection included: what a machine with other work takes from nobody. */
function cpuMs(): number {
  const { system, user } = process.cpuUsage();
  return (system + user) / 1000;
}

/** Yields to the event loop, as between batches. */
async function betweenBatches(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** What one commit of 1,000 random keys takes, and its refusal. */
function commits(opened: Opened, keys: number): Readonly<Record<string, number>> {
  const random = seededRandom(seed);
  const batch = (): void => {
    for (let touched = 0; touched < keysPerCommit; touched += 1) {
      touch(opened, Math.floor(random() * keys), touched);
    }
  };
  const cost = {
    process: [] as number[],
    encode: [] as number[],
    refused: [] as number[],
    cut: [] as number[],
    settle: [] as number[],
  };
  for (let round = 0; round < rounds; round += 1) {
    batch();
    cost.cut.push(
      cpuOf(() => {
        if (opened.stores.changes(100) !== null) throw new Error('the cut was to be refused');
        opened.stores.rollback(0);
      }),
    );
    batch();
    opened.stores.changes();
    cost.refused.push(cpuOf(() => opened.stores.rollback(0)));
    cost.process.push(cpuOf(batch));
    cost.encode.push(cpuOf(() => opened.stores.changes()));
    cost.settle.push(cpuOf(() => opened.stores.settle()));
  }
  return Object.fromEntries(
    Object.entries(cost).map(([name, times]) => [name, Number(median(times).toFixed(2))]),
  );
}

interface Longest {
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** The longest of what was given to it. */
class Stopwatch {
  longest: Longest = { cpuMs: 0, wallMs: 0 };

  time(work: () => void): void {
    const before = cpuMs();
    const wallMs = timed(work);
    const spentMs = cpuMs() - before;
    this.longest = {
      cpuMs: Math.max(this.longest.cpuMs, spentMs),
      wallMs: Math.max(this.longest.wallMs, wallMs),
    };
  }
}

/** Turns of the event loop with a commit of 1,000 keys each, and a slice of a snapshot where one is written. */
async function turns(
  opened: Opened,
  keys: number,
  snapshot: StateSnapshot | { readonly turns: number },
): Promise<{ parts: Uint8Array[]; turns: number; commit: Longest; slice: Longest }> {
  const random = seededRandom(seed);
  const parts: Uint8Array[] = [];
  const commits = new Stopwatch();
  const slices = new Stopwatch();
  let done = 0;
  const isOver = (): boolean => ('turns' in snapshot ? done >= snapshot.turns : snapshot.isDone);
  for (; !isOver(); done += 1) {
    commits.time(() => {
      for (let touched = 0; touched < keysPerCommit; touched += 1) {
        touch(opened, Math.floor(random() * keys), touched);
      }
      commit(opened);
    });
    await betweenBatches();
    if ('turns' in snapshot) continue;
    slices.time(() => {
      const untilMs = performance.now() + sliceMs;
      const part = snapshot.next(() => performance.now() >= untilMs);
      if (part !== null) parts.push(part);
    });
    await betweenBatches();
  }
  return { parts, turns: done, commit: commits.longest, slice: slices.longest };
}

function words({ cpuMs: spentMs, wallMs }: Longest): string {
  return `${spentMs.toFixed(1)} ms of CPU (${wallMs.toFixed(1)} ms by the clock)`;
}

function medianOf(longest: readonly Longest[]): Longest {
  return {
    cpuMs: median(longest.map(({ cpuMs: spentMs }) => spentMs)),
    wallMs: median(longest.map(({ wallMs }) => wallMs)),
  };
}

/** Writes snapshots in slices between commits; beside each, as many commits without one. */
async function writeSnapshots(opened: Opened, keys: number): Promise<readonly Uint8Array[]> {
  const slices: Longest[] = [];
  const commits: Longest[] = [];
  const control: Longest[] = [];
  let parts: readonly Uint8Array[] = [];
  for (let run = 0; run < snapshotRuns; run += 1) {
    const written = await turns(opened, keys, opened.stores.beginSnapshot());
    slices.push(written.slice);
    commits.push(written.commit);
    control.push((await turns(opened, keys, { turns: written.turns })).commit);
    ({ parts } = written);
  }
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  console.log(
    `snapshot of ${keys} keys, median of ${snapshotRuns}: ${parts.length} parts, ${(bytes / 1e6).toFixed(1)} MB; longest slice ` +
      `${words(medianOf(slices))}, longest commit between slices ${words(medianOf(commits))}; ` +
      `as many commits without a snapshot: longest ${words(medianOf(control))}`,
  );
  return parts;
}

async function load(parts: readonly Uint8Array[]): Promise<void> {
  const opened = open();
  const startedAtCpuMs = cpuMs();
  const slices: number[] = [];
  for (const part of parts) {
    const steps = opened.stores.restoring(part);
    for (let isDone = false; !isDone;) {
      slices.push(
        timed(() => {
          const untilMs = performance.now() + sliceMs;
          for (let step = 1; !isDone; step += 1) {
            isDone = steps.next().done === true;
            if (step % 32 === 0 && performance.now() >= untilMs) return;
          }
        }),
      );
      await betweenBatches();
    }
  }
  const total = slices.reduce((sum, ms) => sum + ms, 0);
  console.log(
    `load: ${total.toFixed(0)} ms (${(cpuMs() - startedAtCpuMs).toFixed(0)} ms of CPU) in ${slices.length} slices, longest pause ${Math.max(...slices).toFixed(1)} ms, ` +
      `${opened.stores.size.keys} keys`,
  );
}

/** Fires every timer, 5,000 a commit, deleting its window. */
function fire(keys: number): void {
  const opened = filled(keys);
  const pauses: number[] = [];
  let fired = 0;
  for (let isOver = false; !isOver;) {
    pauses.push(
      cpuOf(() => {
        for (let results = 0; results < resultsPerCommit; results += 1) {
          const due = opened.operator.takeDue(windowEndMs);
          if (due === null) {
            isOver = true;
            break;
          }
          if (opened.windows.get(due.timeMs)?.count !== 1) throw new Error('a window was lost');
          opened.windows.delete(due.timeMs);
          fired += 1;
        }
        commit(opened);
      }),
    );
  }
  if (fired !== keys) throw new Error(`${fired} of ${keys} fired`);
  const total = pauses.reduce((sum, ms) => sum + ms, 0);
  console.log(
    `firing ${keys} keys, ${resultsPerCommit} a commit: ${total.toFixed(0)} ms of CPU in all, longest commit ${Math.max(...pauses).toFixed(1)} ms of CPU`,
  );
}

function heapMegabytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1e6;
}

async function main(): Promise<void> {
  const keysMax = Number(process.argv[2] ?? 1_000_000);
  const firing = Number(process.argv[3] ?? 200_000);
  console.log(machineLine(seed));
  fire(firing);
  let parts: readonly Uint8Array[] = [];
  for (let keys = 1_000; keys <= keysMax; keys = keys * 1_000 <= keysMax ? keys * 100 : keys * 10) {
    const before = heapMegabytes();
    const opened = filled(keys);
    const heap = heapMegabytes() - before;
    const { bytes, memoryBytes } = opened.stores.size;
    console.log(
      `${keys} keys: ${(bytes / 1e6).toFixed(1)} MB encoded, ${heap.toFixed(1)} MB of heap, counted as ${(memoryBytes / 1e6).toFixed(1)} MB; ` +
        `a commit of ${keysPerCommit} keys in ms of CPU: ${JSON.stringify(commits(opened, keys))}`,
    );
    parts = await writeSnapshots(opened, keys);
  }
  await load(parts);
}

void main();
