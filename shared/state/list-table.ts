import { invariant } from '../model/errors';
import type { ByteReader } from './bytes';
import { SlotEntry, type JournalEntry, type Slot } from './journal';
import { operation, type OperationWriter } from './operations';
import { assertIsValue } from './value-table';
import { StoreTable, type ContentContext } from './store-table';

/** The first `length` of `values`: a later list of the same key shares the array and goes on from there. */
interface ListContent {
  readonly values: unknown[];
  readonly length: number;
}

const none: readonly unknown[] = [];
const valuesPerStep = 32;

/** A growing list a key. */
export class ListTable extends StoreTable {
  append(key: string, value: unknown): void {
    assertIsValue(value);
    const slot = this.written(key);
    this.note(slot);
    this.#append(slot, value);
  }

  #append(slot: Slot<string>, value: unknown): void {
    const values = listOf(slot.value)?.values ?? [];
    values.push(value);
    this.setValue(slot, { values, length: values.length });
  }

  values(key: string): readonly unknown[] {
    return listOf(this.find(key)?.value)?.values ?? none;
  }

  override undoSlot(entry: SlotEntry): void {
    const before = listOf(entry.value);
    super.undoSlot(entry);
    if (before !== undefined) before.values.length = before.length;
  }

  protected override entriesOf(content: unknown): number {
    return listOf(content)?.length ?? 0;
  }

  protected encodeChanges(entries: readonly JournalEntry[], writer: OperationWriter): void {
    const done = new Set<Slot<string>>();
    for (const entry of entries) {
      if (!(entry instanceof SlotEntry) || done.has(entry.slot)) continue;
      const { slot } = entry;
      done.add(slot);
      const before = listOf(entry.value);
      const now = listOf(slot.value);
      const goesOn = before !== undefined && before.values === now?.values;
      if (!goesOn && this.mayBeKnown(entry.isNew)) writer.operation(operation.delete, slot.name);
      let bytes = goesOn ? entry.bytes : 0;
      if (now !== undefined) {
        if (!goesOn) bytes += this.keyBytes(slot.name);
        for (let index = goesOn ? before.length : 0; index < now.length; index += 1) {
          bytes += this.#write(slot, now.values[index], writer);
        }
      }
      this.setBytes(slot, bytes);
    }
  }

  #write(
    { bucket, name }: Pick<Slot<string>, 'bucket' | 'name'>,
    value: unknown,
    writer: OperationWriter,
  ): number {
    const out = writer.write(operation.append, name, bucket);
    const before = out.length;
    out.value(this.codec.toJson(value));
    return out.length - before;
  }

  encodeContent(
    key: string,
    content: unknown,
    { bucket, writer }: ContentContext,
  ): Generator<void> | null {
    const list = listOf(content);
    invariant(list !== undefined, 'a list has content');
    const steps = this.#encodeAll({ name: key, bucket }, list, writer);
    if (list.length > valuesPerStep) return steps;
    steps.next();
    return null;
  }

  *#encodeAll(
    place: Pick<Slot<string>, 'bucket' | 'name'>,
    { length, values }: ListContent,
    writer: OperationWriter,
  ): Generator<void> {
    for (let index = 0; index < length; index += 1) {
      if (index > 0 && index % valuesPerStep === 0) yield;
      this.#write(place, values[index], writer);
    }
  }

  protected applyWrite(
    code: number,
    key: string,
    { bucket, reader }: { bucket: number; reader: ByteReader },
  ): void {
    if (code !== operation.append) throw this.unknownOperation(code);
    const before = reader.position;
    const value = this.codec.fromJson(reader.value());
    const slot = this.replayed(key, bucket);
    this.note(slot);
    const known = slot.bytes === 0 ? this.keyBytes(key) : slot.bytes;
    this.#append(slot, value);
    this.setBytes(slot, known + reader.position - before);
  }

  protected override convert(slot: Slot, convert: (json: unknown) => unknown): void {
    const list = listOf(slot.value);
    if (list !== undefined) slot.value = { ...list, values: list.values.map(convert) };
  }
}

function listOf(content: unknown): ListContent | undefined {
  return content as ListContent | undefined;
}
