import type { ByteReader } from './bytes';
import { SlotEntry, type JournalEntry, type Slot } from './journal';
import { operation, type OperationWriter } from './operations';
import { StoreTable, type ContentContext } from './store-table';

/** One value a key. */
export class ValueTable extends StoreTable {
  get(key: string): unknown {
    return this.find(key)?.value;
  }

  put(key: string, value: unknown): void {
    assertIsValue(value);
    const slot = this.written(key);
    this.note(slot);
    // What was put is the caller's: it is copied before it is changed.
    slot.touched = -this.journal.epoch;
    this.setValue(slot, value);
  }

  update(key: string, make: () => unknown): unknown {
    const slot = this.written(key);
    const { journal } = this;
    if (slot.touched === journal.epoch && isOpen(slot.value)) return slot.value;
    this.note(slot);
    const value = slot.value === undefined ? make() : this.codec.clone(slot.value);
    assertIsValue(value);
    this.setValue(slot, value);
    slot.touched = journal.epoch;
    return value;
  }

  protected encodeChanges(entries: readonly JournalEntry[], writer: OperationWriter): void {
    const done = new Set<Slot<string>>();
    for (const entry of entries) {
      if (!(entry instanceof SlotEntry) || done.has(entry.slot)) continue;
      const { slot } = entry;
      done.add(slot);
      if (slot.value === undefined) {
        if (!entry.isNew) writer.operation(operation.delete, slot.name);
        this.setBytes(slot, 0);
      } else this.setBytes(slot, this.#write(slot, writer));
    }
  }

  #write({ bucket, name, value }: Slot<string>, writer: OperationWriter): number {
    const out = writer.write(operation.put, name, bucket);
    const before = out.length;
    out.value(this.codec.toJson(value));
    return this.keyBytes(name) + out.length - before;
  }

  encodeContent(key: string, content: unknown, { bucket, writer }: ContentContext): null {
    writer.write(operation.put, key, bucket).value(this.codec.toJson(content));
    return null;
  }

  protected applyWrite(
    code: number,
    key: string,
    { bucket, reader }: { bucket: number; reader: ByteReader },
  ): void {
    if (code !== operation.put) throw this.unknownOperation(code);
    const before = reader.position;
    const value = this.codec.fromJson(reader.value());
    const slot = this.replayed(key, bucket);
    this.note(slot);
    this.setValue(slot, value);
    this.setBytes(slot, this.keyBytes(key) + reader.position - before);
  }
}

export function assertIsValue(value: unknown): void {
  if (value === undefined)
    throw new TypeError('a store holds no undefined: delete the key instead');
}

/** It was copied since the undo point, and its row is still under way. */
export function isOpen(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Object.isFrozen(value);
}
