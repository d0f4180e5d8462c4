import { invariant } from '../model/errors';
import { SortedRuns } from './sorted-runs';

/** A bucket is cleaned where more than half of its names, and at least so many, are no timers any more. */
const staleMin = 64;

/** Says whether a key has a timer at a time: the index may name some that are gone. */
export type IsTimer = (timeMs: number, key: string) => boolean;

interface TimerBucket {
  readonly timeMs: number;
  /** Timers of this time. */
  live: number;
  /** Their keys, and keys of timers that are gone. */
  names: SortedRuns;
}

/**
 * Which keys have timers at which time, in the order (time, key). It follows what the timers' store
 * holds, also when that is undone: every timer is named here; what is named and is no timer any more is passed
 * over.
 */
export class TimerIndex {
  readonly #isTimer: IsTimer;
  readonly #buckets = new Map<number, TimerBucket>();
  /** A heap of times; some of them have no timers any more. */
  #times: number[] = [];
  #count = 0;

  constructor(isTimer: IsTimer) {
    this.#isTimer = isTimer;
  }

  get count(): number {
    return this.#count;
  }

  get earliestMs(): number {
    return this.#earliest()?.timeMs ?? Infinity;
  }

  #earliest(): TimerBucket | undefined {
    for (;;) {
      const timeMs = this.#times[0];
      if (timeMs === undefined) return undefined;
      const bucket = this.#buckets.get(timeMs);
      if (bucket !== undefined) return bucket;
      popTime(this.#times);
    }
  }

  /** A timer was set, or its deletion or taking was undone. */
  add(timeMs: number, key: string): void {
    let bucket = this.#buckets.get(timeMs);
    if (bucket === undefined) {
      bucket = { timeMs, live: 0, names: new SortedRuns() };
      this.#buckets.set(timeMs, bucket);
      pushTime(this.#times, timeMs);
    }
    bucket.live += 1;
    this.#count += 1;
    bucket.names.add(key);
  }

  /** A timer was deleted or taken, or its setting was undone. */
  remove(timeMs: number, key: string): void {
    const bucket = this.#buckets.get(timeMs);
    if (bucket === undefined) return;
    bucket.live -= 1;
    this.#count -= 1;
    if (bucket.live === 0) {
      this.#buckets.delete(timeMs);
      this.#sweepTimes();
      return;
    }
    // What was set last is what is undone first; what is taken is the least.
    if (!bucket.names.removeLast(key) && !bucket.names.removeLeast(key)) this.#sweep(bucket);
  }

  /** The least timer at or before a time; it stays. */
  first(throughMs: number): { readonly timeMs: number; readonly key: string } | null {
    const bucket = this.#earliest();
    if (bucket === undefined || bucket.timeMs > throughMs) return null;
    const { names, timeMs } = bucket;
    for (;;) {
      const key = names.least();
      invariant(key !== undefined, 'every timer is named at its time', { timeMs });
      if (this.#isTimer(timeMs, key)) return { timeMs, key };
      names.removeLeast(key);
    }
  }

  /** A timer that is set and deleted again and again must not fill its bucket with its name. */
  #sweep(bucket: TimerBucket): void {
    if (bucket.names.length < 2 * bucket.live + staleMin) return;
    const names = new SortedRuns();
    for (const key of new Set(bucket.names.keys())) {
      if (this.#isTimer(bucket.timeMs, key)) names.add(key);
    }
    bucket.names = names;
  }

  #sweepTimes(): void {
    if (this.#times.length < 2 * this.#buckets.size + staleMin) return;
    // Ascending, it is a heap.
    this.#times = Array.from(this.#buckets.keys()).sort((left, right) => left - right);
  }
}

function pushTime(heap: number[], timeMs: number): void {
  let index = heap.length;
  heap.push(timeMs);
  while (index > 0) {
    const parent = (index - 1) >>> 1;
    const above = heap[parent] ?? -Infinity;
    if (above <= timeMs) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = timeMs;
}

function popTime(heap: number[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if ((heap[child + 1] ?? Infinity) < (heap[child] ?? Infinity)) child += 1;
    const below = heap[child] ?? Infinity;
    if (below >= last) break;
    heap[index] = below;
    index = child;
  }
  heap[index] = last;
}
