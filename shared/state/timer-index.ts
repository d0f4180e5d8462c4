import { invariant } from '../model/errors';
import { keyGroupCount, keyGroupOf } from '../model/key';

/** From so many keys on, a time keeps them by key group; not yet: results are told to come in the order of keys. */
const flatKeysMax = Infinity;
/** A list is cleaned where more than half of it, and at least so much, is no timer any more. */
const staleMin = 64;

/** Says whether a key has a timer at a time: the index may name some that are gone. */
export type IsTimer = (timeMs: number, key: string) => boolean;

/**
 * Keys of one time and, where they are many, of one key group. Once their turn has come they are sorted, and
 * those before `position` are taken.
 */
interface KeyList {
  keys: string[];
  position: number;
  isSorted: boolean;
}

interface TimerBucket {
  readonly timeMs: number;
  /** Timers of this time. */
  live: number;
  /** Names of keys in the lists: also of timers that are gone. */
  named: number;
  flat: KeyList | null;
  groups: (KeyList | undefined)[] | null;
  /** No group before it has any to take. */
  firstGroup: number;
}

/**
 * Which keys have timers at which time, in the order (time, key). It follows what the timers' store
 * holds, also when that is undone: every timer is named here, in its place; what is named and is no timer any
 * more is passed over.
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
      bucket = newBucket(timeMs);
      this.#buckets.set(timeMs, bucket);
      pushTime(this.#times, timeMs);
    }
    bucket.live += 1;
    this.#count += 1;
    this.#name(bucket, key);
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
    const list = listOf(bucket, key);
    // What was set last is what is undone first.
    if (list !== undefined && !list.isSorted && list.keys.at(-1) === key) {
      list.keys.pop();
      bucket.named -= 1;
    } else this.#sweep(bucket);
  }

  /** The least timer at or before a time; it stays. */
  first(throughMs: number): { readonly timeMs: number; readonly key: string } | null {
    const bucket = this.#earliest();
    if (bucket === undefined || bucket.timeMs > throughMs) return null;
    const { timeMs } = bucket;
    for (;;) {
      const list = this.#currentList(bucket);
      const key = list.keys[list.position];
      if (key === undefined) {
        invariant(bucket.flat === null, 'every timer is named in its list', { timeMs });
        bucket.firstGroup += 1;
      } else if (this.#isTimer(timeMs, key)) return { timeMs, key };
      else list.position += 1;
    }
  }

  /** The list that the next key of a bucket is in, sorted. */
  #currentList(bucket: TimerBucket): KeyList {
    let list = bucket.flat ?? undefined;
    while (list === undefined) {
      list = bucket.groups?.[bucket.firstGroup];
      if (list === undefined) bucket.firstGroup += 1;
      invariant(bucket.firstGroup <= keyGroupCount, 'every timer is named in its group');
    }
    if (!list.isSorted) {
      list.keys.sort(bucket.flat === null ? compareKeys : compareByGroup);
      list.isSorted = true;
      list.position = 0;
    }
    return list;
  }

  #name(bucket: TimerBucket, key: string): void {
    const { flat } = bucket;
    if (flat !== null) {
      if (flat.isSorted) insert(flat, key, compareByGroup);
      else {
        flat.keys.push(key);
        bucket.named += 1;
        if (flat.keys.length > flatKeysMax) this.#spread(bucket, flat);
      }
      return;
    }
    const group = keyGroupOf(key);
    bucket.firstGroup = Math.min(bucket.firstGroup, group);
    const list = bucket.groups?.[group];
    if (list === undefined) {
      if (bucket.groups !== null) bucket.groups[group] = newList([key]);
      bucket.named += 1;
    } else if (list.isSorted) insert(list, key, compareKeys);
    else {
      list.keys.push(key);
      bucket.named += 1;
    }
  }

  #spread(bucket: TimerBucket, flat: KeyList): void {
    const groups = new Array<KeyList | undefined>(keyGroupCount);
    for (const key of flat.keys) {
      const group = keyGroupOf(key);
      const list = groups[group];
      if (list === undefined) groups[group] = newList([key]);
      else list.keys.push(key);
    }
    bucket.flat = null;
    bucket.groups = groups;
    bucket.firstGroup = 0;
  }

  /** A timer that is set and deleted again and again must not fill its list with its name. */
  #sweep(bucket: TimerBucket): void {
    if (bucket.named < 2 * bucket.live + staleMin) return;
    bucket.named = 0;
    for (const list of bucket.groups ?? [bucket.flat ?? undefined]) {
      if (list === undefined) continue;
      const kept = list.keys.slice(list.position);
      list.keys = Array.from(new Set(kept)).filter((key) => this.#isTimer(bucket.timeMs, key));
      list.position = 0;
      bucket.named += list.keys.length;
    }
  }

  #sweepTimes(): void {
    if (this.#times.length < 2 * this.#buckets.size + staleMin) return;
    // Ascending, it is a heap.
    this.#times = Array.from(this.#buckets.keys()).sort((left, right) => left - right);
  }
}

function newBucket(timeMs: number): TimerBucket {
  return { timeMs, live: 0, named: 0, flat: newList([]), groups: null, firstGroup: 0 };
}

function newList(keys: string[]): KeyList {
  return { keys, position: 0, isSorted: false };
}

function listOf({ flat, groups }: TimerBucket, key: string): KeyList | undefined {
  return flat ?? groups?.[keyGroupOf(key)];
}

type CompareKeys = (left: string, right: string) => number;

const compareKeys: CompareKeys = (left, right) => (left < right ? -1 : Number(left > right));

const compareByGroup: CompareKeys = (left, right) => compareKeys(left, right);

/** Puts a key in its place of a sorted list, and begins again there. */
function insert(list: KeyList, key: string, compare: CompareKeys): void {
  let low = 0;
  let high = list.keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(list.keys[middle] ?? '', key) < 0) low = middle + 1;
    else high = middle;
  }
  if (list.keys[low] !== key) list.keys.splice(low, 0, key);
  list.position = Math.min(list.position, low);
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
