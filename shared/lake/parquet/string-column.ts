import type { Cell } from '../../model/table';
import type { Bounds, ColumnData } from './column-data';
import { dictionaryEntriesMax, dictionaryTrialValues } from './column-data';

/** Strings up to this length are copied by a loop, which is faster than a call for short ones. */
const shortLengthMax = 48;
/** UTF-8 takes at most three bytes for one UTF-16 unit. */
const bytesPerUnitMax = 3;
const lengthBytes = 4;
const initialBytes = 64 * 1024;

/** Length-prefixed UTF-8, as PLAIN stores a BYTE_ARRAY. */
class TextBuffer {
  #bytes = Buffer.allocUnsafe(initialBytes);
  #end = 0;
  readonly starts: number[] = [];

  append(value: string): void {
    const start = this.#end;
    this.#reserve(lengthBytes + value.length * bytesPerUnitMax);
    const bytes = this.#bytes;
    let end = start + lengthBytes;
    let index = 0;
    if (value.length <= shortLengthMax) {
      for (; index < value.length; index += 1) {
        const unit = value.charCodeAt(index);
        if (unit > 0x7f) break;
        bytes[end + index] = unit;
      }
    }
    end += index === value.length ? index : bytes.write(value, end, 'utf8');
    bytes.writeUInt32LE(end - start - lengthBytes, start);
    this.starts.push(start);
    this.#end = end;
  }

  slice(from: number, to: number): Uint8Array {
    const end = this.starts[to] ?? this.#end;
    return this.#bytes.subarray(this.starts[from] ?? end, end);
  }

  #reserve(size: number): void {
    if (this.#end + size <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + size));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}

/** `cells` are strings or null; anything else is the caller's fault and was refused before. */
export function encodeStrings(cells: readonly Cell[], present: Uint8Array | undefined): ColumnData {
  const values = (present ? cells.filter((cell) => cell !== null) : cells) as readonly string[];
  const nullCount = cells.length - values.length;
  const entries = tryDictionary(values);
  const text = new TextBuffer();
  for (const value of entries?.distinct ?? values) text.append(value);
  return {
    present,
    nullCount,
    plain: (from, to) => text.slice(from, to),
    dictionary: entries && { count: entries.distinct.length, indexes: entries.indexes },
    bounds: stringBounds(entries?.distinct ?? values),
  };
}

function tryDictionary(
  values: readonly string[],
): { distinct: string[]; indexes: Uint32Array<ArrayBuffer> } | undefined {
  const known = new Map<string, number>();
  const distinct: string[] = [];
  const indexes = new Uint32Array(values.length);
  let position = 0;
  for (const value of values) {
    let entry = known.get(value);
    if (entry === undefined) {
      entry = distinct.length;
      if (entry >= dictionaryEntriesMax) return undefined;
      if (entry > dictionaryTrialValues && entry * 2 > position) return undefined;
      known.set(value, entry);
      distinct.push(value);
    }
    indexes[position] = entry;
    position += 1;
  }
  return distinct.length * 2 > values.length ? undefined : { distinct, indexes };
}

/** In the order of UTF-8 bytes, which differs from JavaScript's `<` above U+D7FF. */
function stringBounds(values: readonly string[]): Bounds | undefined {
  let min = values[0];
  if (min === undefined) return undefined;
  let max = min;
  let special = false;
  for (const value of values) {
    if (value < min) min = value;
    else if (value > max) max = value;
    special ||= /[\ud800-\uffff]/.test(value);
  }
  return special ? byteOrderBounds(values) : { min, max };
}

function byteOrderBounds(values: readonly string[]): Bounds | undefined {
  const encoded = values.map((value) => Buffer.from(value, 'utf8'));
  let min = encoded[0];
  if (min === undefined) return undefined;
  let max = min;
  for (const value of encoded) {
    if (Buffer.compare(value, min) < 0) min = value;
    else if (Buffer.compare(value, max) > 0) max = value;
  }
  return { min: min.toString('utf8'), max: max.toString('utf8') };
}
