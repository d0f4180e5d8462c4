import type { KeyedStore } from '../state/keyed-state';
import type { KeyTimers } from '../state/stores';

interface Entry {
  readonly timeMs: number;
  readonly key: string;
}

/** Times sort as text: 16 digits, shifted so that times before 1970 sort first. */
const timeDigits = 16;
const timeShift = 10 ** 15;

function storeKeyOf(timeMs: number, key: string): string {
  return `${String(timeMs + timeShift).padStart(timeDigits, '0')}|${key}`;
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.timeMs < right.timeMs || (left.timeMs === right.timeMs && left.key < right.key);
}

/**
 * The timers of one operator: the truth is in the store; beside it a heap by (time, key). The heap may name
 * timers that were taken back or deleted: those are passed over.
 */
export class TimerQueue implements KeyTimers {
  readonly #store: KeyedStore<true>;
  readonly #keyUnderWay: () => string;
  readonly #heap: Entry[] = [];
  /** The first of the heap may be no timer any more. */
  #isFirstGone = true;
  /** Those that left the heap since the changes were last settled: an undo may bring them back. */
  #left: Entry[] = [];

  constructor(store: KeyedStore<true>, keyUnderWay: () => string) {
    this.#store = store;
    this.#keyUnderWay = keyUnderWay;
    this.reload();
  }

  set(timeMs: number): void {
    const key = this.#keyUnderWay();
    const storeKey = storeKeyOf(timeMs, key);
    if (this.#store.get(storeKey) !== undefined) return;
    this.#store.put(storeKey, true);
    this.#push({ timeMs, key });
  }

  delete(timeMs: number): void {
    const key = this.#keyUnderWay();
    const storeKey = storeKeyOf(timeMs, key);
    if (this.#store.get(storeKey) === undefined) return;
    this.#store.delete(storeKey);
    this.#left.push({ timeMs, key });
    this.#isFirstGone = true;
  }

  get isEmpty(): boolean {
    return this.#store.size === 0;
  }

  get earliestMs(): number {
    if (this.#isFirstGone) this.#passOver();
    return this.#heap[0]?.timeMs ?? Infinity;
  }

  takeDue(throughMs: number): Entry | null {
    this.#passOver();
    const first = this.#heap[0];
    if (first === undefined || first.timeMs > throughMs) return null;
    this.#pop();
    this.#store.delete(storeKeyOf(first.timeMs, first.key));
    this.#left.push(first);
    this.#isFirstGone = true;
    return first;
  }

  /** The store was rolled back to an undo point. */
  afterUndo(): void {
    this.#isFirstGone = true;
    for (const entry of this.#left) {
      if (this.#store.get(storeKeyOf(entry.timeMs, entry.key)) !== undefined) this.#push(entry);
    }
  }

  /** Nothing can bring back what left the heap. */
  settle(): void {
    if (this.#left.length > 0) this.#left = [];
  }

  /** Reads all of them anew from the store. */
  reload(): void {
    this.#isFirstGone = true;
    this.#heap.length = 0;
    this.#left = [];
    for (const [storeKey] of this.#store.entries()) {
      const timeMs = Number(storeKey.slice(0, timeDigits)) - timeShift;
      this.#push({ timeMs, key: storeKey.slice(timeDigits + 1) });
    }
  }

  #passOver(): void {
    this.#isFirstGone = false;
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (this.#store.get(storeKeyOf(first.timeMs, first.key)) !== undefined) return;
      this.#pop();
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let below = heap[child];
      if (below === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, below)) {
        below = right;
        child += 1;
      }
      if (!isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}
