import { invariant } from '../model/errors';
import type { ByteReader } from './bytes';
import { Slot, SlotEntry, type JournalEntry } from './journal';
import { operation, type OperationWriter } from './operations';
import { assertIsValue, isOpen } from './value-table';
import { StoreTable, type ContentContext, type SavedSlots } from './store-table';
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

  cells(): Iterable<Slot> {
    if (this.#cells !== null) return this.#cells.values();
    return this.#only === null ? [] : [this.#only];
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
  readonly from: number;
  readonly to: number;

  constructor(owner: MapTable, slot: Slot<string>, range: { from: number; to: number }) {
    this.owner = owner;
    this.slot = slot;
    this.from = range.from;
    this.to = range.to;
  }

  has(cell: Slot): boolean {
    return isWithin(cell, this.from, this.to);
  }

  // Each entry of it is undone for itself.
  undo(): void {}
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
    if (cell.touched === journal.epoch && isOpen(cell.value)) return cell.value;
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
    if (cells.length > 0) this.journal.push(new RangeEntry(this, slot, { from, to }));
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
    const whole = this.#encodeWholeKeys(entries, writer);
    const ranges = this.#encodeRanges(entries, { whole, writer });
    const done = new Set<Slot>();
    for (const entry of entries) {
      if (!(entry instanceof SlotEntry) || entry.cell === null || whole.has(entry.slot)) continue;
      const { cell, slot } = entry;
      if (done.has(cell)) continue;
      done.add(cell);
      let bytes = 0;
      if (cell.value !== undefined) bytes = this.#write(slot, cell, writer);
      else if (!entry.isNew && !ranges.some((range) => range.slot === slot && range.has(cell))) {
        writer.write(operation.entryDelete, slot.name, slot.bucket).value(cell.name);
      }
      this.#setCellBytes(slot, cell, bytes);
    }
  }

  /** Keys that were made, emptied or begun anew: those are in the log whole. Returns them. */
  #encodeWholeKeys(
    entries: readonly JournalEntry[],
    writer: OperationWriter,
  ): ReadonlySet<Slot<string>> {
    const whole = new Set<Slot<string>>();
    const seen = new Set<Slot<string>>();
    for (const entry of entries) {
      if (!(entry instanceof SlotEntry)) continue;
      const { cell, isNew, slot, value } = entry;
      const content = entriesOf(slot);
      if (whole.has(slot)) continue;
      // The first entry of a key's own slot tells what it was before.
      const isChanged = cell === null && !seen.has(slot) && value !== content;
      if (cell === null) seen.add(slot);
      const isEmpty = !this.holds(content);
      if (!isChanged && !isEmpty) continue;
      whole.add(slot);
      if (this.mayBeKnown(cell === null && isNew)) writer.operation(operation.delete, slot.name);
      let bytes = isEmpty ? 0 : this.keyBytes(slot.name);
      for (const each of content?.cells() ?? []) {
        each.bytes = each.value === undefined ? 0 : this.#write(slot, each, writer);
        bytes += each.bytes;
      }
      this.setBytes(slot, bytes);
    }
    return whole;
  }

  #encodeRanges(
    entries: readonly JournalEntry[],
    { whole, writer }: { whole: ReadonlySet<Slot<string>>; writer: OperationWriter },
  ): readonly RangeEntry[] {
    const ranges = entries.filter((entry) => entry instanceof RangeEntry);
    for (const { from, slot, to } of ranges) {
      if (whole.has(slot)) continue;
      const out = writer.write(operation.entriesDelete, slot.name, slot.bucket);
      out.value(from);
      out.value(to);
    }
    return ranges;
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

  encodeContent(
    key: string,
    content: unknown,
    { bucket, saved, writer }: ContentContext,
  ): Generator<void> | null {
    const place = { name: key, bucket };
    const entries = content as Entries;
    const gone = saved.gone();
    if (entries.size > entriesPerStep) return this.#encodeLarge(place, entries, { saved, writer });
    for (const cell of entries.cells()) this.#writeSaved(place, cell, { saved, writer });
    for (const cell of gone) this.#writeSaved(place, cell, { saved, writer });
    return null;
  }

  *#encodeLarge(
    place: Pick<Slot<string>, 'bucket' | 'name'>,
    entries: Entries,
    to: { readonly saved: SavedSlots; readonly writer: OperationWriter },
  ): Generator<void> {
    let steps = 0;
    // What is added while this goes on is passed over, what is deleted meanwhile has been saved.
    for (const cells of [() => entries.cells(), () => to.saved.gone()]) {
      for (const cell of cells()) {
        this.#writeSaved(place, cell, to);
        steps += 1;
        if (steps % entriesPerStep === 0) yield;
      }
    }
  }

  #writeSaved(
    place: Pick<Slot<string>, 'bucket' | 'name'>,
    cell: Slot,
    { saved, writer }: { readonly saved: SavedSlots; readonly writer: OperationWriter },
  ): void {
    const value = saved.take(cell);
    if (value !== undefined) this.#write(place, { name: cell.name, value }, writer);
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
