import type { ByteReader } from './bytes';
import { SlotEntry, type JournalEntry, type Slot } from './journal';
import { operation, type OperationWriter } from './operations';
import { StoreTable, type ContentContext, type TableOptions } from './store-table';
import { TimerIndex } from './timer-index';

/** What one timer of a key is counted as; most take six or seven in the log. */
const timerBytes = 8;

const none: readonly number[] = [];

/**
 * Timers of each key: their times, ascending; of a key with one, as most are, that time itself. The index has
 * them by time.
 */
export class TimerTable extends StoreTable {
  readonly #index = new TimerIndex((timeMs, key) => {
    const slot = this.find(key);
    return slot !== undefined && (slot.value === timeMs || hasTime(timesOf(slot.value), timeMs));
  });

  constructor(options: Omit<TableOptions, 'kind' | 'bucketMs'>) {
    super({ ...options, kind: 3, bucketMs: 0 });
  }

  get timers(): number {
    return this.#index.count;
  }

  get earliestMs(): number {
    return this.#index.earliestMs;
  }

  set(key: string, timeMs: number): void {
    assertIsTime(timeMs);
    const slot = this.written(key);
    if (slot.value === timeMs) return;
    if (timesOf(slot.value).length === 0) {
      this.note(slot);
      slot.value = timeMs;
    } else {
      const times = timesOf(slot.value);
      const at = placeOf(times, timeMs);
      if (times[at] === timeMs) return;
      this.#ownTimes(slot).splice(at, 0, timeMs);
    }
    this.#counted(slot, 1);
    this.#index.add(timeMs, key);
  }

  delete(key: string, timeMs: number): void {
    const slot = this.find(key);
    if (slot === undefined) return;
    if (slot.value === timeMs) {
      this.note(slot);
      slot.value = undefined;
    } else {
      const times = timesOf(slot.value);
      const at = placeOf(times, timeMs);
      if (times[at] !== timeMs) return;
      this.#ownTimes(slot).splice(at, 1);
    }
    this.#counted(slot, -1);
    this.#index.remove(timeMs, key);
  }

  takeDue(throughMs: number): { readonly timeMs: number; readonly key: string } | null {
    const due = this.#index.first(throughMs);
    if (due !== null) this.delete(due.key, due.timeMs);
    return due;
  }

  /** The times of a key as an array that may be changed; noted, and copied on first touch. */
  #ownTimes(slot: Slot<string>): number[] {
    const { journal } = this;
    if (slot.touched !== journal.epoch || !Array.isArray(slot.value)) {
      this.note(slot);
      slot.value = timesOf(slot.value).slice();
      slot.touched = journal.epoch;
    }
    return slot.value as number[];
  }

  /** A key counts while it has a timer; what is in `slot` has one more or less than before. */
  #counted(slot: Slot<string>, change: 1 | -1): void {
    const now = timesOf(slot.value).length;
    const keys = Number(now > 0) - Number(now - change > 0);
    this.keys += keys;
    this.sizes.keys += keys;
    this.sizes.entries += change;
  }

  override undoSlot(entry: SlotEntry): void {
    const { name, value } = entry.slot;
    const now = timesOf(value);
    super.undoSlot(entry);
    const before = timesOf(entry.value);
    for (const timeMs of missingIn(before, now)) this.#index.remove(timeMs, name);
    for (const timeMs of missingIn(now, before)) this.#index.add(timeMs, name);
  }

  protected override holds(content: unknown): boolean {
    return timesOf(content).length > 0;
  }

  protected override entriesOf(content: unknown): number {
    return timesOf(content).length;
  }

  protected override empty(slot: Slot<string>): void {
    for (const timeMs of timesOf(slot.value).slice()) this.delete(slot.name, timeMs);
  }

  protected encodeChanges(entries: readonly JournalEntry[], writer: OperationWriter): void {
    const done = new Set<Slot<string>>();
    for (const entry of entries) {
      if (!(entry instanceof SlotEntry) || done.has(entry.slot)) continue;
      const { slot } = entry;
      done.add(slot);
      const before = timesOf(entry.value);
      const now = timesOf(slot.value);
      if (now.length === 0 && before.length > 0) writer.operation(operation.delete, slot.name);
      else {
        for (const timeMs of missingIn(now, before)) {
          writer.operation(operation.timerDelete, slot.name).value(timeMs);
        }
        for (const timeMs of missingIn(before, now)) {
          writer.operation(operation.timerSet, slot.name).value(timeMs);
        }
      }
      this.#recount(slot);
    }
  }

  #recount(slot: Slot<string>): void {
    const { length } = timesOf(slot.value);
    this.setBytes(slot, length === 0 ? 0 : this.keyBytes(slot.name) + length * timerBytes);
  }

  encodeContent(key: string, content: unknown, { writer }: ContentContext): null {
    for (const timeMs of timesOf(content)) writer.operation(operation.timerSet, key).value(timeMs);
    return null;
  }

  protected applyWrite(
    code: number,
    key: string,
    { reader }: { bucket: number; reader: ByteReader },
  ): void {
    if (code !== operation.timerSet && code !== operation.timerDelete) {
      throw this.unknownOperation(code);
    }
    const timeMs = reader.number();
    if (code === operation.timerSet) this.set(key, timeMs);
    else this.delete(key, timeMs);
    const slot = this.find(key);
    if (slot !== undefined) this.#recount(slot);
  }
}

function timesOf(content: unknown): readonly number[] {
  if (typeof content === 'number') return [content];
  return (content as readonly number[] | undefined) ?? none;
}

/** Where a time is in ascending times, or would be. */
function placeOf(times: readonly number[], timeMs: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? 0) < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function hasTime(times: readonly number[], timeMs: number): boolean {
  return times[placeOf(times, timeMs)] === timeMs;
}

/** Times of `these` that `those` do not have. */
function missingIn(those: readonly number[], these: readonly number[]): number[] {
  return these.filter((timeMs) => !hasTime(those, timeMs));
}

function assertIsTime(timeMs: number): void {
  if (Number.isSafeInteger(timeMs)) return;
  throw new TypeError(`a timer is set for whole milliseconds, this one for ${String(timeMs)}`);
}
