/**
 * How the fields of a section are written, one after the other, without names:
 *
 *   count    an integer from 0, seven bits a byte, the least first; the high bit says that more follow
 *   integer  the same, its first byte with the sign in bit 0 and six bits above it
 *   text     a count of bytes, then UTF-8 (a lone surrogate becomes U+FFFD)
 *   flag     one byte, 0 or 1; what may be null is behind a flag
 *   choice   one byte: the place in the list of choices, from 1
 *   list     a count, then the items
 */
import { invariant } from '../model/errors';

/** A field that is not what the format says. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

const firstBytes = 256;
const moreFollow = 0x80;
const utf8BytesPerUnitMax = 3;
const numberBytesMax = 8;

/** Writes fields. What a reader would refuse is never written: a log with it could not be opened again. */
export class FieldWriter {
  #buffer = Buffer.allocUnsafe(firstBytes);
  #length = 0;

  count(name: string, value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) refuse(name, 'an integer from 0', value);
    this.#reserve(numberBytesMax);
    this.#varint(value);
  }

  integer(name: string, value: number): void {
    if (!Number.isSafeInteger(value)) refuse(name, 'an integer', value);
    this.#reserve(numberBytesMax);
    const magnitude = Math.abs(value);
    const rest = Math.floor(magnitude / 64);
    const first = (magnitude % 64) * 2 + (value < 0 ? 1 : 0);
    this.#buffer[this.#length] = rest > 0 ? first | moreFollow : first;
    this.#length += 1;
    if (rest > 0) this.#varint(rest);
  }

  text(_name: string, value: string): void {
    this.#reserve(numberBytesMax + value.length * utf8BytesPerUnitMax);
    if (value.length * utf8BytesPerUnitMax < moreFollow) {
      // The length takes one byte, whatever is in the text: it is written without being measured first.
      const bytes = this.#buffer.write(value, this.#length + 1, 'utf8');
      this.#buffer[this.#length] = bytes;
      this.#length += 1 + bytes;
      return;
    }
    this.#varint(Buffer.byteLength(value));
    this.#length += this.#buffer.write(value, this.#length, 'utf8');
  }

  flag(_name: string, value: boolean): void {
    this.#byte(value ? 1 : 0);
  }

  choice<const Choice extends string>(
    name: string,
    choices: readonly Choice[],
    value: Choice,
  ): void {
    const place = choices.indexOf(value);
    if (place < 0) refuse(name, `one of ${choices.join(', ')}`, value);
    this.#byte(place + 1);
  }

  nullable<Value>(
    name: string,
    value: Value | null,
    write: (name: string, value: Value) => void,
  ): void {
    this.#byte(value === null ? 0 : 1);
    if (value !== null) write(name, value);
  }

  list<Item>(name: string, items: readonly Item[], write: (item: Item) => void): void {
    this.count(name, items.length);
    for (const item of items) write(item);
  }

  /** What was written; the writer is empty again. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#length);
    this.#buffer = this.#buffer.subarray(this.#length);
    this.#length = 0;
    return taken;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length] = value;
    this.#length += 1;
  }

  #varint(value: number): void {
    let rest = value;
    let at = this.#length;
    while (rest >= moreFollow) {
      this.#buffer[at] = (rest % moreFollow) | moreFollow;
      rest = Math.floor(rest / moreFollow);
      at += 1;
    }
    this.#buffer[at] = rest;
    this.#length = at + 1;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(firstBytes, 2 * (this.#length + bytes)));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

function refuse(name: string, wanted: string, found: unknown): never {
  const shown = String(found);
  invariant(
    false,
    `a record is written only if it can be read: ${name} is ${wanted}, not ${shown}`,
  );
}

/** Reads fields, taking nothing on trust. Every method throws ShapeError, which names the field. */
export class FieldReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  count(name: string): number {
    return this.#varint(name, 1, 0);
  }

  integer(name: string): number {
    const first = this.#byte(name);
    const low = (first & 0x7e) >> 1;
    const magnitude = first >= moreFollow ? this.#varint(name, 64, low) : low;
    // Not −0: it is no integer of ours.
    return (first & 1) === 1 && magnitude > 0 ? -magnitude : magnitude;
  }

  text(name: string): string {
    const length = this.count(name);
    const start = this.#at;
    if (length > this.#bytes.length - start) throw cutShort(name);
    this.#at = start + length;
    return this.#bytes.toString('utf8', start, this.#at);
  }

  flag(name: string): boolean {
    const byte = this.#byte(name);
    if (byte > 1) throw new ShapeError(`${name} is to be true or false, its byte is ${byte}`);
    return byte === 1;
  }

  choice<const Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    const byte = this.#byte(name);
    const choice = choices[byte - 1];
    if (choice !== undefined) return choice;
    throw new ShapeError(`${name} is to be one of ${choices.join(', ')}, its byte is ${byte}`);
  }

  nullable<Value>(name: string, read: (name: string) => Value): Value | null {
    return this.flag(name) ? read(name) : null;
  }

  list<Item>(name: string, read: () => Item): Item[] {
    const length = this.count(name);
    // An item takes a byte at least: no number in the log can make us ask for more memory than it takes.
    if (length > this.#bytes.length - this.#at) throw cutShort(name);
    return Array.from({ length }, read);
  }

  /** Bytes that nothing has read yet. */
  rest(): Buffer {
    const rest = this.#bytes.subarray(this.#at);
    this.#at = this.#bytes.length;
    return rest;
  }

  /** @throws ShapeError where bytes are left that no field has claimed */
  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new ShapeError(`${left} bytes are behind its last field`);
  }

  #byte(name: string): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw cutShort(name);
    this.#at += 1;
    return byte;
  }

  #varint(name: string, scale: number, low: number): number {
    let value = low;
    for (let factor = scale; ; factor *= moreFollow) {
      const byte = this.#byte(name);
      value += (byte % moreFollow) * factor;
      if (value > Number.MAX_SAFE_INTEGER) throw new ShapeError(`${name} is too large a number`);
      if (byte < moreFollow) return value;
      if (factor > Number.MAX_SAFE_INTEGER) throw new ShapeError(`${name} has too many bytes`);
    }
  }
}

function cutShort(name: string): ShapeError {
  return new ShapeError(`${name} is cut short`);
}
