import { invariant } from '../model/errors';
import type { ByteReader } from './bytes';
import { Slot, SlotEntry, type JournalEntry } from './journal';
import { operation, type OperationWriter } from './operations';
import { assertIsValue } from './value-table';
import { StoreTable, type SavedSlots } from './store-table';
import type { MapEntryName } from './stores';

const entriesPerStep = 32;

/** The entries of one key. Most keys have one, for which a Map would be the larger part of it. */
class Entries {
  /** Those that are not deleted. */
  live = 0;
  #only: Slot | null = null;
  #cells: Map<MapEntryName, Slot> | null = null;
  #sorted: readonly Slot[] | null = null;

  get(name: MapEntryName): Slot | undefined {
    if (this.#cells !== null) return this.#cells.get(name);
    return this.#only?.name === name ? this.#only : undefined;
  }

  add(cell: Slot): void {
    this.#sorted = null;
    if (this.#cells !== null) this.#cells.set(cell.name, cell);
    else if (this.#only === null) this.#only = cell;
    else {
      this.#cells = new Map([
        [this.#only.name, this.#only],
        [cell.name, cell],
      ]);
      this.#only = null;
    }
  }

  remove(cell: Slot): void {
    if (this.get(cell.name) !== cell) return;
    this.#sorted = null;
    if (this.#cells !== null) this.#cells.delete(cell.name);
    else this.#only = null;
  }

  /** With those that were deleted since the last commit. */
  get size(): number {
    return this.#cells?.size ?? (this.#only === null ? 0 : 1);
  }

  *cells(): Generator<Slot> {
    if (this.#only !== null) yield this.#only;
    else if (this.#cells !== null) yield* this.#cells.values();
  }

  sorted(): readonly Slot[] {
    this.#sorted ??= Array.from(this.cells()).sort(byName);
    return this.#sorted;
  }
}

function byName({ name: left }: Slot, { name: right }: Slot): number {
  if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1;
  return left < right ? -1 : Number(left > right);
}

/** A range of entries was deleted at once. */
class RangeEntry implements JournalEntry {
  readonly owner: MapTable;
  readonly slot: Slot<string>;
  readonly entries: Entries;
  readonly from: number;
  readonly to: number;

  constructor(
    owner: MapTable,
    place: { slot: Slot<string>; entries: Entries; from: number; to: number },
  ) {
    this.owner = owner;
    this.slot = place.slot;
    this.entries = place.entries;
    this.from = place.from;
    this.to = place.to;
  }

  // Each entry of it is undone for itself.
  undo(): void {}
}

interface KeyChanges {
  /** The key's own slot as it was; null: it did not change. */
  before: SlotEntry | null;
  readonly cells: Map<Slot, SlotEntry>;
  readonly ranges: RangeEntry[];
}

/** Named values of each key. */
export class MapTable extends StoreTable {
  get(key: string, name: MapEntryName): unknown {
    return entriesOf(this.find(key))?.get(name)?.value;
  }

  put(key: string, name: MapEntryName, value: unknown): void {
    assertIsValue(value);
    const slot = this.written(key);
    const cell = this.#writtenCell(slot, entryName(name));
    this.#noteCell(slot, cell);
    cell.touched = -this.journal.epoch;
    this.#setCell(slot, cell, value);
  }

  update(key: string, name: MapEntryName, make: () => unknown): unknown {
    const slot = this.written(key);
    const cell = this.#writtenCell(slot, entryName(name));
    const { journal } = this;
    if (cell.touched === journal.epoch && cell.value !== undefined) return cell.value;
    this.#noteCell(slot, cell);
    const value = cell.value === undefined ? make() : this.codec.clone(cell.value);
    assertIsValue(value);
    this.#setCell(slot, cell, value);
    cell.touched = journal.epoch;
    return value;
  }

  delete(key: string, name: MapEntryName): void {
    const slot = this.find(key);
    const cell = entriesOf(slot)?.get(entryName(name));
    if (slot === undefined || cell === undefined) return;
    this.#deleteCell(slot, cell);
  }

  #deleteCell(slot: Slot<string>, cell: Slot): void {
    if (cell.value === undefined) return;
    this.#noteCell(slot, cell);
    this.#setCell(slot, cell, undefined);
  }

  deleteRange(key: string, from: number, to: number): void {
    const slot = this.find(key);
    const entries = entriesOf(slot);
    if (slot === undefined || entries === undefined) return;
    const cells = Array.from(entries.cells()).filter((cell) => isWithin(cell, from, to));
    for (const cell of cells) this.#deleteCell(slot, cell);
    if (cells.length > 0) this.journal.push(new RangeEntry(this, { slot, entries, from, to }));
  }

  entries(key: string): [MapEntryName, unknown][] {
    const found: [MapEntryName, unknown][] = [];
    for (const { name, value } of entriesOf(this.find(key))?.sorted() ?? []) {
      if (value !== undefined) found.push([name, value]);
    }
    return found;
  }

  size(key: string): number {
    return entriesOf(this.find(key))?.live ?? 0;
  }

  /** The cell of an entry; noted in the journal where it is made. */
  #writtenCell(slot: Slot<string>, name: MapEntryName): Slot {
    let entries = entriesOf(slot);
    if (entries === undefined) {
      entries = new Entries();
      this.note(slot);
      this.setValue(slot, entries);
    }
    let cell = entries.get(name);
    if (cell === undefined) {
      cell = new Slot(name);
      this.#noteCell(slot, cell);
      entries.add(cell);
    }
    return cell;
  }

  #noteCell(slot: Slot<string>, cell: Slot): void {
    if (this.journal.isNoted(cell)) return;
    this.journal.note(this, slot, cell);
    cell.touched = -this.journal.epoch;
  }

  #setCell(slot: Slot<string>, cell: Slot, value: unknown): void {
    const entries = entriesOf(slot);
    invariant(entries !== undefined, 'an entry is of a key that has entries');
    const change = Number(value !== undefined) - Number(cell.value !== undefined);
    const before = entries.live;
    entries.live += change;
    this.sizes.entries += change;
    const keys = Number(entries.live > 0) - Number(before > 0);
    this.keys += keys;
    this.sizes.keys += keys;
    cell.value = value;
  }

  override undoSlot(entry: SlotEntry): void {
    const { cell, slot } = entry;
    if (cell === null) {
      super.undoSlot(entry);
      return;
    }
    this.#setCell(slot, cell, entry.value);
    if (entry.bytes !== cell.bytes) this.#setCellBytes(slot, cell, entry.bytes);
    cell.touched = entry.touched;
    if (entry.isNew) entriesOf(slot)?.remove(cell);
  }

  protected override holds(content: unknown): boolean {
    return content !== undefined && (content as Entries).live > 0;
  }

  protected override entriesOf(content: unknown): number {
    return content === undefined ? 0 : (content as Entries).live;
  }

  protected override empty(slot: Slot<string>): void {
    // Noted each time: entries that changed before are undone after this is.
    this.journal.note(this, slot, null);
    super.empty(slot);
  }

  protected encodeChanges(entries: readonly JournalEntry[], writer: OperationWriter): void {
    for (const [slot, changes] of changesByKey(entries)) this.#encodeKey(slot, changes, writer);
  }

  #encodeKey(slot: Slot<string>, changes: KeyChanges, writer: OperationWriter): void {
    const { before } = changes;
    const entries = entriesOf(slot);
    const isNew = before?.isNew === true;
    if (entries === undefined || entries.live === 0) {
      if (!isNew) writer.operation(operation.delete, slot.name);
      this.setBytes(slot, 0);
      if (entries !== undefined) for (const cell of entries.cells()) cell.bytes = 0;
      return;
    }
    const isReplaced = before !== null && before.value !== entries;
    if (isReplaced && this.mayBeKnown(isNew)) writer.operation(operation.delete, slot.name);
    let bytes = slot.bytes === 0 || isReplaced ? this.keyBytes(slot.name) : slot.bytes;
    if (isReplaced) {
      for (const cell of entries.cells()) {
        cell.bytes = cell.value === undefined ? 0 : this.#write(slot, cell, writer);
        bytes += cell.bytes;
      }
      this.setBytes(slot, bytes);
      return;
    }
    const ranges = changes.ranges.filter((range) => range.entries === entries);
    for (const { from, to } of ranges) {
      const out = writer.write(operation.entriesDelete, slot.name, slot.bucket);
      out.value(from);
      out.value(to);
    }
    for (const [cell, first] of changes.cells) {
      if (entries.get(cell.name) !== cell) continue;
      bytes -= cell.bytes;
      if (cell.value !== undefined) cell.bytes = this.#write(slot, cell, writer);
      else {
        cell.bytes = 0;
        const isCovered = ranges.some(({ from, to }) => isWithin(cell, from, to));
        if (!first.isNew && !isCovered) {
          writer.write(operation.entryDelete, slot.name, slot.bucket).value(cell.name);
        }
      }
      bytes += cell.bytes;
    }
    this.setBytes(slot, bytes);
  }

  #write(
    key: Pick<Slot<string>, 'bucket' | 'name'>,
    { name, value }: Pick<Slot, 'name' | 'value'>,
    writer: OperationWriter,
  ): number {
    const out = writer.write(operation.entryPut, key.name, key.bucket);
    const before = out.length;
    out.value(name);
    out.value(this.codec.toJson(value));
    return out.length - before;
  }

  *encodeContent(
    key: string,
    content: unknown,
    { bucket, saved, writer }: { bucket: number; writer: OperationWriter; saved: SavedSlots },
  ): Generator<void> {
    const place = { name: key, bucket };
    let steps = 0;
    // What is added while this goes on is passed over, what is deleted meanwhile has been saved.
    const sources = [() => (content as Entries).cells(), () => saved.gone()];
    for (const cells of sources) {
      for (const cell of cells()) {
        const value = saved.take(cell);
        if (value !== undefined) this.#write(place, { name: cell.name, value }, writer);
        steps += 1;
        if (steps % entriesPerStep === 0) yield;
      }
    }
    yield;
  }

  protected applyWrite(
    code: number,
    key: string,
    { bucket, reader }: { bucket: number; reader: ByteReader },
  ): void {
    const slot = this.replayed(key, bucket);
    switch (code) {
      case operation.entryPut: {
        const before = reader.position;
        const cell = this.#writtenCell(slot, nameFrom(reader));
        this.#noteCell(slot, cell);
        this.#setCell(slot, cell, this.codec.fromJson(reader.value()));
        this.#setCellBytes(slot, cell, reader.position - before);
        return;
      }
      case operation.entryDelete: {
        const cell = entriesOf(slot)?.get(nameFrom(reader));
        if (cell !== undefined) this.#forget(slot, cell);
        return;
      }
      case operation.entriesDelete: {
        const from = reader.number();
        const to = reader.number();
        const cells = Array.from(entriesOf(slot)?.cells() ?? []);
        for (const cell of cells) if (isWithin(cell, from, to)) this.#forget(slot, cell);
        return;
      }
      default:
        throw this.unknownOperation(code);
    }
  }

  #forget(slot: Slot<string>, cell: Slot): void {
    this.#deleteCell(slot, cell);
    this.#setCellBytes(slot, cell, 0);
  }

  #setCellBytes(slot: Slot<string>, cell: Slot, bytes: number): void {
    const known = slot.bytes === 0 ? this.keyBytes(slot.name) : slot.bytes;
    this.setBytes(slot, known + bytes - cell.bytes);
    cell.bytes = bytes;
  }

  override settle(entry: JournalEntry): void {
    if (entry instanceof SlotEntry && entry.cell !== null && entry.cell.value === undefined) {
      entriesOf(entry.slot)?.remove(entry.cell);
    }
    super.settle(entry);
  }

  protected override convert(slot: Slot, convert: (json: unknown) => unknown): void {
    for (const cell of entriesOf(slot)?.cells() ?? []) super.convert(cell, convert);
  }
}

function changesByKey(entries: readonly JournalEntry[]): Map<Slot<string>, KeyChanges> {
  const keys = new Map<Slot<string>, KeyChanges>();
  const changesOf = (slot: Slot<string>): KeyChanges => {
    let changes = keys.get(slot);
    if (changes === undefined)
      keys.set(slot, (changes = { before: null, cells: new Map(), ranges: [] }));
    return changes;
  };
  for (const entry of entries) {
    if (entry instanceof RangeEntry) changesOf(entry.slot).ranges.push(entry);
    else if (entry instanceof SlotEntry) {
      const changes = changesOf(entry.slot);
      if (entry.cell === null) changes.before ??= entry;
      else if (!changes.cells.has(entry.cell)) changes.cells.set(entry.cell, entry);
    }
  }
  return keys;
}

function entriesOf(slot: Slot | undefined): Entries | undefined {
  return slot?.value as Entries | undefined;
}

function isWithin({ name }: Slot, from: number, to: number): boolean {
  return typeof name === 'number' && name >= from && name < to;
}

/** −0 is 0, as in keys; NaN names nothing. */
function entryName(name: MapEntryName): MapEntryName {
  if (typeof name === 'string') return name;
  if (Number.isNaN(name)) throw new TypeError('NaN cannot name an entry of a map');
  return name === 0 ? 0 : name;
}

function nameFrom(reader: ByteReader): MapEntryName {
  const name = reader.value();
  return typeof name === 'number' ? name : (name as string);
}
