import { invariant, StreamError } from '../model/errors';
import { keyGroupCount, keyGroupOf } from '../model/key';
import { textBytes, type ByteReader } from './bytes';
import {
  Slot,
  type Journal,
  type JournalEntry,
  type JournalOwner,
  type SlotEntry,
} from './journal';
import { frozenPlain } from './kept-values';
import { operation, storeKinds, type OperationWriter, type StoreKind } from './operations';
import type { StoreCodec } from './stores';

/** A time to live is kept in so many buckets: a key goes at most one of them late. */
export const bucketsPerLife = 8;
/** Keys whose time is over that one commit takes out of memory. */
const purgedPerCommitMax = 2_000;

/** What all stores of a task hold. */
export interface StateSizes {
  /** Keys with content, over all stores. */
  keys: number;
  /** Entries of maps, values of lists. */
  entries: number;
  /** Encoded: names and values. */
  bytes: number;
}

export interface TableOptions {
  /** Unique in the task. */
  readonly name: string;
  readonly kind: StoreKind;
  readonly journal: Journal;
  readonly sizes: StateSizes;
  /** 0: content is kept for ever. */
  readonly bucketMs: number;
  readonly codec: StoreCodec<unknown>;
}

let lastKey = '';
let lastGroup = keyGroupOf(lastKey);

/** The same key is asked for again and again, by each store and timer of an operator. */
function groupOf(key: string): number {
  if (key === lastKey) return lastGroup;
  lastKey = key;
  lastGroup = keyGroupOf(key);
  return lastGroup;
}

/** Values that are plain and frozen (`KeptValues`), copied whole before one is changed in place. */
export const plainCodec: StoreCodec<unknown> = {
  toJson: (value) => value,
  fromJson: frozenPlain,
  clone: clonePlain,
};

function clonePlain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(clonePlain);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, clonePlain(part)]));
}

/** A store's clock moved. */
class ClockEntry implements JournalEntry {
  readonly owner: StoreTable;
  readonly #bucket: number;
  readonly #firstBucket: number;

  constructor(owner: StoreTable) {
    this.owner = owner;
    this.#bucket = owner.clockBucket;
    this.#firstBucket = owner.firstBucket;
  }

  undo(): void {
    this.owner.clockBucket = this.#bucket;
    this.owner.firstBucket = this.#firstBucket;
  }
}

/**
 * One store of a task, of all keys. Keys lie in a map per key group: no map is ever so large that growing it
 * is a pause, and a snapshot in the order of key groups sorts a thousandth of the keys at a time.
 */
export abstract class StoreTable implements JournalOwner {
  readonly name: string;
  readonly kind: StoreKind;
  readonly bucketMs: number;
  codec: StoreCodec<unknown>;
  keys = 0;
  /** The clock, in buckets; −Infinity before it was first set, which was at `firstBucket`. */
  clockBucket = -Infinity;
  firstBucket = -Infinity;
  protected readonly journal: Journal;
  protected readonly sizes: StateSizes;
  readonly #groups = new Array<Map<string, Slot<string>> | undefined>(keyGroupCount);
  /** Slots by the bucket in which they were written: some of them were written again since. */
  readonly #written = new Map<number, Slot<string>[]>();

  constructor(options: TableOptions) {
    this.name = options.name;
    this.kind = options.kind;
    this.journal = options.journal;
    this.sizes = options.sizes;
    this.bucketMs = options.bucketMs;
    this.codec = options.codec;
  }

  /** It has no codec of its own. */
  get isPlain(): boolean {
    return this.codec === plainCodec;
  }

  /** The slot of a key; undefined where it was never written, or its time is over. */
  find(key: string): Slot<string> | undefined {
    const slot = this.#groups[groupOf(key)]?.get(key);
    return slot === undefined || this.isOver(slot.bucket) ? undefined : slot;
  }

  /** The slot of a key, made where there is none, noted in the journal and given the time of now. */
  protected written(key: string): Slot<string> {
    const group = groupOf(key);
    let slots = this.#groups[group];
    if (slots === undefined) this.#groups[group] = slots = new Map();
    let slot = slots.get(key);
    if (slot === undefined) {
      slot = new Slot(key);
      this.note(slot);
      slots.set(key, slot);
      this.stamp(slot, this.clockBucket);
    } else if (this.bucketMs > 0 && slot.bucket !== this.clockBucket) {
      this.note(slot);
      if (this.isOver(slot.bucket)) this.empty(slot);
      this.stamp(slot, this.clockBucket);
    }
    return slot;
  }

  /** Notes what the key's own slot is before it changes. */
  protected note(slot: Slot<string>): void {
    if (this.journal.isNoted(slot)) return;
    this.journal.note(this, slot, null);
    slot.touched = -this.journal.epoch;
  }

  protected stamp(slot: Slot<string>, bucket: number): void {
    slot.bucket = bucket;
    if (this.bucketMs === 0) return;
    const written = this.#written.get(bucket);
    if (written === undefined) this.#written.set(bucket, [slot]);
    else written.push(slot);
  }

  /** Content written in that bucket is as if it were not there. */
  isOver(bucket: number): boolean {
    return (
      this.bucketMs > 0 && Math.max(bucket, this.firstBucket) + bucketsPerLife < this.clockBucket
    );
  }

  /** Moves the clock on. */
  setTime(timeMs: number): void {
    const bucket = Math.floor(timeMs / this.bucketMs);
    if (bucket > this.clockBucket) this.moveClock(bucket, bucket);
  }

  private moveClock(bucket: number, firstBucket: number): void {
    this.journal.push(new ClockEntry(this));
    if (this.clockBucket === -Infinity) this.firstBucket = firstBucket;
    this.clockBucket = bucket;
  }

  undoSlot(entry: SlotEntry): void {
    const { slot } = entry;
    this.setValue(slot, entry.value);
    this.sizes.bytes += entry.bytes - slot.bytes;
    slot.bytes = entry.bytes;
    slot.touched = entry.touched;
    slot.bucket = entry.bucket;
    if (entry.isNew) this.drop(slot);
  }

  /** Takes a slot without content out of memory. */
  protected drop(slot: Slot<string>): void {
    const slots = this.#groups[groupOf(slot.name)];
    if (slots?.get(slot.name) === slot) slots.delete(slot.name);
  }

  /** Puts the content of a key, keeping the counts. */
  protected setValue(slot: Slot<string>, value: unknown): void {
    const change = Number(this.holds(value)) - Number(this.holds(slot.value));
    this.keys += change;
    this.sizes.keys += change;
    const entries = this.entriesOf(value) - this.entriesOf(slot.value);
    this.sizes.entries += entries;
    slot.value = value;
  }

  /** Content counts as a key. */
  protected holds(content: unknown): boolean {
    return content !== undefined;
  }

  protected entriesOf(_content: unknown): number {
    return 0;
  }

  /** Empties the slot of a key that is noted already. */
  protected empty(slot: Slot<string>): void {
    this.setValue(slot, undefined);
  }

  deleteKey(key: string): void {
    const slot = this.find(key);
    if (slot === undefined || !this.holds(slot.value)) return;
    this.note(slot);
    this.empty(slot);
  }

  /** Writes what changed, out of this store's own entries of the journal. */
  encode(entries: readonly JournalEntry[], writer: OperationWriter): void {
    const clock = entries.some((entry) => entry instanceof ClockEntry);
    if (clock) writer.clock(this);
    this.encodeChanges(entries, writer);
  }

  protected abstract encodeChanges(entries: readonly JournalEntry[], writer: OperationWriter): void;

  /** Writes all of a key, at once (null) or, where it is large, step by step. */
  abstract encodeContent(
    key: string,
    content: unknown,
    context: ContentContext,
  ): Generator<void> | null;

  /** Notes that bytes of a slot are others now. */
  protected setBytes(slot: Slot<string>, bytes: number): void {
    this.sizes.bytes += bytes - slot.bytes;
    slot.bytes = bytes;
  }

  /** Carries out one operation that a writer wrote. */
  apply(code: number, key: string, reader: ByteReader): void {
    if (code === operation.clock) {
      const firstBucket = reader.number();
      const bucket = reader.number();
      if (bucket > this.clockBucket) this.moveClock(bucket, firstBucket);
      return;
    }
    if (code === operation.delete) {
      this.applyDelete(key);
      return;
    }
    const bucket = this.bucketMs === 0 ? 0 : reader.number();
    this.applyWrite(code, key, { bucket, reader });
  }

  private applyDelete(key: string): void {
    const slot = this.#groups[groupOf(key)]?.get(key);
    if (slot === undefined) return;
    this.note(slot);
    this.empty(slot);
    this.setBytes(slot, 0);
  }

  protected abstract applyWrite(
    code: number,
    key: string,
    what: { readonly bucket: number; readonly reader: ByteReader },
  ): void;

  /** The slot of a key as a replay writes it. */
  protected replayed(key: string, bucket: number): Slot<string> {
    const group = groupOf(key);
    let slots = this.#groups[group];
    if (slots === undefined) this.#groups[group] = slots = new Map();
    let slot = slots.get(key);
    if (slot === undefined) {
      slot = new Slot(key);
      this.note(slot);
      slots.set(key, slot);
      this.stamp(slot, bucket);
    } else if (slot.bucket !== bucket) {
      this.note(slot);
      this.stamp(slot, bucket);
    }
    return slot;
  }

  /** The commit is in the log: deleted slots go, and some of those whose time is over. */
  settle(entry: JournalEntry): void {
    const { slot } = entry as Partial<SlotEntry>;
    if (slot === undefined || this.holds(slot.value)) return;
    this.setBytes(slot, 0);
    this.drop(slot);
  }

  purge(): void {
    let left = purgedPerCommitMax;
    for (const [bucket, slots] of this.#written) {
      if (!this.isOver(bucket)) continue;
      for (let slot = slots.pop(); slot !== undefined; slot = slots.pop()) {
        if (slot.bucket === bucket && this.#groups[groupOf(slot.name)]?.get(slot.name) === slot) {
          this.empty(slot);
          this.setBytes(slot, 0);
          this.drop(slot);
        }
        left -= 1;
        if (left === 0) return;
      }
      this.#written.delete(bucket);
    }
  }

  /** Slots of a key group, in no order. */
  slotsOf(keyGroup: number): IterableIterator<Slot<string>> | undefined {
    return this.#groups[keyGroup]?.values();
  }

  *slots(): Generator<Slot<string>> {
    for (const slots of this.#groups) if (slots !== undefined) yield* slots.values();
  }

  /** Values that were taken in before it was known whose they are. */
  adopt(codec: StoreCodec<unknown>): void {
    if (this.codec === codec) return;
    invariant(this.journal.entries.length === 0, 'stores are declared between commits');
    invariant(this.codec === plainCodec, 'a store is declared once', { store: this.name });
    this.codec = codec;
    if (codec === plainCodec) return;
    for (const slot of this.slots()) this.convert(slot, codec.fromJson);
  }

  protected convert(slot: Slot, convert: (json: unknown) => unknown): void {
    if (slot.value !== undefined) slot.value = convert(slot.value);
  }

  /** Whoever replays may still hold a key that is new here: one whose time was over. */
  protected mayBeKnown(isNew: boolean): boolean {
    return !isNew || this.bucketMs > 0;
  }

  protected keyBytes(key: string): number {
    return textBytes(key);
  }

  protected unknownOperation(code: number): StreamError {
    return new StreamError(
      'STREAM_LOG_VERSION_UNKNOWN',
      `store ${this.name} (${storeKinds[this.kind] ?? '?'}): operation ${code} is not known to this build: deploy the newer build again`,
      { details: { store: this.name } },
    );
  }
}

export interface ContentContext {
  readonly bucket: number;
  readonly writer: OperationWriter;
  readonly saved: SavedSlots;
}

/** What slots of one key were when the snapshot under way began. */
export interface SavedSlots {
  /** What a slot holds in the snapshot; undefined: nothing, or it was taken already. */
  take(slot: Slot): unknown;
  /** Entries of the key that changed or went since then. */
  gone(): Iterable<Slot>;
}
