import { keyGroupCount, keyGroupOf } from '../model/key';
import { StreamError } from '../model/errors';
import { ByteReader, ByteWriter, ValueError } from './bytes';
import type { Journal, JournalWatcher, Slot, SlotEntry } from './journal';
import { OperationWriter } from './operations';
import type { SavedSlots, StoreTable } from './store-table';
import type { StateSection } from '../model/commit';

const defaultPartBytes = 4 * 1024 * 1024;
const magic = Buffer.from('MLSP');
const formatVersion = 2;
/** What a part holds. A build that does not know a kind cannot go without it. */
const stateKind = 1;
/** Whether a slice is over is asked once every so many steps: asking is not free. */
const stepsPerQuestion = 4;
const keysPerStep = 8;
const utf8BytesMax = 3;
/** Of a section's name and of its bytes, and the name's tag. */
const lengthsBytesMax = 24;

interface SavedSlot {
  readonly value: unknown;
  readonly bucket: number;
}

let snapshots = 0;

/**
 * All of a task's state as it was between two commits, written in slices between later ones, part by part, in
 * the order (store, key group, key). A slot that changes before it was written is kept aside as it was.
 */
export class StateSnapshot implements JournalWatcher {
  readonly #id: number;
  readonly #journal: Journal;
  readonly #tables: readonly StoreTable[];
  readonly #clocks: readonly { readonly clockBucket: number; readonly firstBucket: number }[];
  readonly #places: ReadonlyMap<unknown, number>;
  readonly #partBytes: number;
  readonly #writer = new OperationWriter();
  readonly #steps: Generator<void>;
  #sections: StateSection[] = [];
  #sectionBytes = 0;
  #tableUnderWay = 0;
  #groupUnderWay = 0;
  #keys = 0;
  readonly #saved = new Map<Slot, SavedSlot>();
  /** Keys that were saved, by table and key group; and entries, by key. */
  readonly #savedKeys: Map<number, Slot<string>[]>[];
  readonly #savedEntries = new Map<Slot<string>, Slot[]>();
  #keyUnderWay: Slot<string> | null = null;
  readonly #savedOfKey: SavedSlots = {
    take: (cell) => this.#take(cell).value,
    gone: () => (this.#keyUnderWay && this.#savedEntries.get(this.#keyUnderWay)) ?? noSlots,
  };
  #isDone = false;

  /** @param partBytes about how large a part gets; a value is never cut */
  constructor(
    journal: Journal,
    tables: readonly StoreTable[],
    partBytes: number = defaultPartBytes,
  ) {
    snapshots += 1;
    this.#id = snapshots;
    this.#journal = journal;
    this.#tables = tables;
    this.#clocks = tables.map(({ clockBucket, firstBucket }) => ({ clockBucket, firstBucket }));
    this.#places = new Map(tables.map((table, place) => [table, place]));
    this.#savedKeys = tables.map(() => new Map<number, Slot<string>[]>());
    this.#partBytes = partBytes;
    this.#steps = this.#write();
    journal.watcher = this;
  }

  /** Everything is written and handed out. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /**
   * Goes on, between two commits, until a part is full, all is written, or the slice is over.
   * @returns the part; null: the slice was over first, or there is no more (`isDone`)
   */
  next(isOver: () => boolean): Uint8Array | null {
    for (let steps = 1; !this.#isDone; steps += 1) {
      if (this.#steps.next().done === true) {
        this.end();
        return this.#takePart();
      }
      if (this.#sectionBytes + this.#writer.length >= this.#partBytes) return this.#takePart();
      if (steps % stepsPerQuestion === 0 && isOver()) return null;
    }
    return null;
  }

  /** Gives up what is not written yet: nothing is kept aside any more. */
  end(): void {
    this.#isDone = true;
    if (this.#journal.watcher === this) this.#journal.watcher = null;
    this.#saved.clear();
    this.#savedEntries.clear();
  }

  #takePart(): Uint8Array | null {
    this.#closeSection();
    if (this.#sections.length === 0) return null;
    const part = encodePart(this.#sections);
    this.#sections = [];
    this.#sectionBytes = 0;
    return part;
  }

  #closeSection(): void {
    const section = this.#writer.take();
    if (section === null) return;
    this.#sections.push(section);
    this.#sectionBytes += section.bytes.byteLength;
  }

  *#write(): Generator<void> {
    for (const [place, table] of this.#tables.entries()) {
      this.#tableUnderWay = place;
      this.#writer.begin(table);
      const clock = this.#clocks[place];
      if (clock !== undefined && clock.clockBucket > -Infinity) this.#writer.clock(clock);
      for (let group = 0; group < keyGroupCount; group += 1) {
        this.#groupUnderWay = group;
        yield* this.#writeGroup(table, group);
      }
      this.#closeSection();
    }
    this.#tableUnderWay = this.#tables.length;
  }

  *#writeGroup(table: StoreTable, group: number): Generator<void> {
    const live = table.slotsOf(group);
    const savedKeys = this.#savedKeys[this.#tableUnderWay];
    const saved = savedKeys?.get(group);
    if (live === undefined && saved === undefined) return;
    const slots = new Set(saved);
    for (const slot of live ?? []) slots.add(slot);
    for (const slot of Array.from(slots).sort(byKey)) {
      const { bucket, value } = this.#take(slot);
      if (value !== undefined && !table.isOver(bucket)) {
        this.#keyUnderWay = slot;
        const context = { bucket, writer: this.#writer, saved: this.#savedOfKey };
        const rest = table.encodeContent(slot.name, value, context);
        if (rest !== null) yield* rest;
      }
      this.#savedEntries.delete(slot);
      this.#keys += 1;
      if (this.#keys % keysPerStep === 0) yield;
    }
    savedKeys?.delete(group);
  }

  /** What a slot was when the snapshot began. It need not be kept aside from here on. */
  #take(slot: Slot): SavedSlot {
    if (slot.snapshot !== this.#id) {
      slot.snapshot = this.#id;
      return slot;
    }
    const saved = this.#saved.get(slot) ?? nothing;
    this.#saved.delete(slot);
    return saved;
  }

  beforeChange({ bucket, cell, owner, slot, value }: SlotEntry): void {
    const place = this.#places.get(owner);
    if (place === undefined) return;
    if (cell === null) this.#save(place, slot, { value, bucket });
    else {
      this.#save(place, slot, slot);
      if (cell.snapshot === this.#id) return;
      cell.snapshot = this.#id;
      if (value === undefined || !this.#isToCome(place, slot.name)) return;
      this.#saved.set(cell, { value, bucket });
      const entries = this.#savedEntries.get(slot);
      if (entries === undefined) this.#savedEntries.set(slot, [cell]);
      else entries.push(cell);
    }
  }

  #save(place: number, slot: Slot<string>, { bucket, value }: SavedSlot): void {
    if (slot.snapshot === this.#id) return;
    slot.snapshot = this.#id;
    const group = keyGroupOf(slot.name);
    if (value === undefined || !this.#isToCome(place, slot.name)) return;
    this.#saved.set(slot, { value, bucket });
    const groups = this.#savedKeys[place];
    const keys = groups?.get(group);
    if (keys === undefined) groups?.set(group, [slot]);
    else keys.push(slot);
  }

  /** The snapshot has not passed that key's group yet. */
  #isToCome(place: number, key: string): boolean {
    return (
      place > this.#tableUnderWay ||
      (place === this.#tableUnderWay && keyGroupOf(key) >= this.#groupUnderWay)
    );
  }
}

const noSlots: readonly Slot[] = [];
const nothing: SavedSlot = { value: undefined, bucket: 0 };

function byKey({ name: left }: Slot<string>, { name: right }: Slot<string>): number {
  return left < right ? -1 : Number(left > right);
}

/** A part is its magic, its format version, the kind of what it holds, and sections with their lengths. */
function encodePart(sections: readonly StateSection[]): Uint8Array {
  const bytesMax = sections.reduce(
    (sum, { bytes, store }) =>
      sum + bytes.byteLength + utf8BytesMax * store.length + lengthsBytesMax,
    magic.length + 2,
  );
  const out = new ByteWriter(bytesMax);
  out.bytes(magic);
  out.byte(formatVersion);
  out.byte(stateKind);
  for (const { bytes, store } of sections) {
    out.text(store);
    out.varint(bytes.byteLength);
    out.bytes(bytes);
  }
  return out.end();
}

/**
 * The sections of a part; views on its bytes.
 * @throws StreamError STREAM_LOG_VERSION_UNKNOWN: a newer build wrote it; STREAM_SNAPSHOT_CORRUPT
 */
export function decodePart(bytes: Uint8Array): StateSection[] {
  const reader = new ByteReader(bytes);
  try {
    if (Buffer.compare(reader.bytes(magic.length), magic) !== 0) {
      throw new ValueError('it does not begin as a part does');
    }
    const version = reader.byte();
    const kind = reader.byte();
    if (version !== formatVersion || kind !== stateKind) {
      throw new StreamError(
        'STREAM_LOG_VERSION_UNKNOWN',
        `a part of a snapshot is of kind ${kind} in format ${version}, this build reads kind ${stateKind} in format ${formatVersion}: deploy the newer build again`,
      );
    }
    const sections: StateSection[] = [];
    while (!reader.isAtEnd) {
      sections.push({ store: reader.text(), bytes: reader.bytes(reader.varint()) });
    }
    return sections;
  } catch (cause) {
    if (!(cause instanceof ValueError)) throw cause;
    throw new StreamError(
      'STREAM_SNAPSHOT_CORRUPT',
      `a part of a snapshot, at byte ${reader.position} of ${bytes.byteLength}: ${cause.message}`,
      { cause },
    );
  }
}
