/**
 * Values of the state as bytes, and back exactly: what JSON cannot say (−0, infinities, undefined, bigints,
 * texts with half a surrogate pair) comes back as it was, so that a task that was loaded goes on like one
 * that never stopped.
 */

const tag = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  integer: 4,
  negative: 5,
  double: 6,
  text: 7,
  /** Not well-formed: its UTF-16 code units. */
  textUnits: 8,
  array: 9,
  object: 10,
  bigint: 11,
} as const;
/** Tags from here on are integers from 0 themselves. */
const smallInteger = 0x80;

const firstBufferBytes = 4 * 1024;
const varintByteMax = 10;
const asciiLoopMax = 48;
const utf8BytesPerUnitMax = 3;

/** What a writer was given and cannot write, or a reader found and cannot read. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

/** Grows as it is written. */
export class ByteWriter {
  #buffer: Buffer;
  length = 0;

  /** @param bytes how much will be written, where that is known */
  constructor(bytes = firstBufferBytes) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  /** The bytes written so far, without a copy: nothing may be written after. */
  end(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  /** The bytes written so far; the next write does not change them. */
  copy(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#buffer, 0, this.length);
  }

  /** Forgets everything from there on. */
  cut(length: number): void {
    this.length = length;
  }

  byte(value: number): void {
    this.#room(1);
    this.#buffer[this.length] = value;
    this.length += 1;
  }

  /** An integer from 0 to 2^53 − 1: seven bits a byte, the lowest first. */
  varint(value: number): void {
    this.#room(varintByteMax);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.length] = (rest % 0x80) | 0x80;
      this.length += 1;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.length] = rest;
    this.length += 1;
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.byteLength);
    this.#buffer.set(bytes, this.length);
    this.length += bytes.byteLength;
  }

  /** @throws ValueError for what is no plain value (a class instance, a function, a symbol) */
  value(value: unknown): void {
    switch (typeof value) {
      case 'number':
        this.#number(value);
        return;
      case 'string':
        this.text(value);
        return;
      case 'boolean':
        this.byte(value ? tag.true : tag.false);
        return;
      case 'undefined':
        this.byte(tag.undefined);
        return;
      case 'bigint':
        this.byte(tag.bigint);
        this.text(value.toString());
        return;
      case 'object':
        if (value === null) this.byte(tag.null);
        else if (Array.isArray(value)) this.#array(value);
        else this.#object(value);
        return;
      default:
        throw new ValueError(`a ${typeof value} cannot be kept in the state`);
    }
  }

  #number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      if (value >= 0 && value < smallInteger) this.byte(smallInteger + value);
      else if (value >= 0) {
        this.byte(tag.integer);
        this.varint(value);
      } else {
        this.byte(tag.negative);
        this.varint(-value);
      }
      return;
    }
    this.byte(tag.double);
    this.#room(8);
    this.length = this.#buffer.writeDoubleLE(value, this.length);
  }

  /** With its tag: a reader takes it for the value that it is. */
  text(text: string): void {
    if (text.length <= asciiLoopMax && this.#ascii(text)) return;
    if (text.isWellFormed()) {
      const bytes = Buffer.byteLength(text, 'utf8');
      this.byte(tag.text);
      this.varint(bytes);
      this.#room(text.length * utf8BytesPerUnitMax);
      this.length += this.#buffer.write(text, this.length, 'utf8');
      return;
    }
    this.byte(tag.textUnits);
    this.varint(2 * text.length);
    this.#room(2 * text.length);
    this.length += this.#buffer.write(text, this.length, 'utf16le');
  }

  /** Short texts of ASCII, as most keys are: a call into the runtime costs more than their bytes. */
  #ascii(text: string): boolean {
    this.#room(text.length + 2);
    const buffer = this.#buffer;
    const start = this.length + 2;
    for (let index = 0; index < text.length; index += 1) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) return false;
      buffer[start + index] = unit;
    }
    buffer[this.length] = tag.text;
    buffer[this.length + 1] = text.length;
    this.length = start + text.length;
    return true;
  }

  #array(array: readonly unknown[]): void {
    this.byte(tag.array);
    this.varint(array.length);
    for (let index = 0; index < array.length; index += 1) this.value(array[index]);
  }

  #object(object: object): void {
    const prototype: unknown = Object.getPrototypeOf(object);
    if (prototype !== Object.prototype && prototype !== null) {
      throw new ValueError(
        `a ${object.constructor.name} cannot be kept in the state: keep plain objects, or give the store a codec`,
      );
    }
    const names = Object.keys(object);
    this.byte(tag.object);
    this.varint(names.length);
    for (const name of names) {
      this.text(name);
      this.value((object as Record<string, unknown>)[name]);
    }
  }

  #room(bytes: number): void {
    if (this.length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.length + bytes));
    this.#buffer.copy(grown, 0, 0, this.length);
    this.#buffer = grown;
  }
}

/** Reads what a ByteWriter wrote. Every method throws ValueError where the bytes are not that. */
export class ByteReader {
  readonly #buffer: Buffer;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.position >= this.#buffer.length;
  }

  byte(): number {
    const byte = this.#buffer[this.position];
    if (byte === undefined) throw new ValueError('the bytes end too soon');
    this.position += 1;
    return byte;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new ValueError('an integer is too large');
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  bytes(length: number): Uint8Array {
    const end = this.position + length;
    if (end > this.#buffer.length) throw new ValueError('the bytes end too soon');
    const bytes = this.#buffer.subarray(this.position, end);
    this.position = end;
    return bytes;
  }

  text(): string {
    const value = this.value();
    if (typeof value !== 'string') throw new ValueError('a text is wanted');
    return value;
  }

  number(): number {
    const value = this.value();
    if (typeof value !== 'number') throw new ValueError('a number is wanted');
    return value;
  }

  value(): unknown {
    const found = this.byte();
    if (found >= smallInteger) return found - smallInteger;
    switch (found) {
      case tag.undefined:
        return undefined;
      case tag.null:
        return null;
      case tag.false:
        return false;
      case tag.true:
        return true;
      case tag.integer:
        return this.varint();
      case tag.negative:
        return -this.varint();
      case tag.double:
        return this.#double();
      case tag.text:
        return this.#text('utf8');
      case tag.textUnits:
        return this.#text('utf16le');
      case tag.bigint:
        return BigInt(this.text());
      case tag.array:
        return this.#array();
      case tag.object:
        return this.#object();
      default:
        throw new ValueError(`no value begins with ${found}`);
    }
  }

  #double(): number {
    if (this.position + 8 > this.#buffer.length) throw new ValueError('the bytes end too soon');
    const value = this.#buffer.readDoubleLE(this.position);
    this.position += 8;
    return value;
  }

  #text(encoding: 'utf8' | 'utf16le'): string {
    const length = this.varint();
    const end = this.position + length;
    if (end > this.#buffer.length) throw new ValueError('the bytes end too soon');
    const text = this.#buffer.toString(encoding, this.position, end);
    this.position = end;
    return text;
  }

  #array(): unknown[] {
    const length = this.varint();
    // Each takes a byte at least: a wrong length must not make room for it first.
    if (length > this.#buffer.length - this.position)
      throw new ValueError('the bytes end too soon');
    const array: unknown[] = [];
    for (let index = 0; index < length; index += 1) array.push(this.value());
    return array;
  }

  #object(): Record<string, unknown> {
    const names = this.varint();
    const object: Record<string, unknown> = {};
    for (let index = 0; index < names; index += 1) {
      const name = this.text();
      const value = this.value();
      if (name === '__proto__') {
        Object.defineProperty(object, name, {
          value,
          configurable: true,
          enumerable: true,
          writable: true,
        });
      } else object[name] = value;
    }
    return object;
  }
}

/** Bytes that `ByteWriter.text` takes. */
export function textBytes(text: string): number {
  const isWellFormed = text.isWellFormed();
  const bytes = isWellFormed ? Buffer.byteLength(text, 'utf8') : 2 * text.length;
  let lengthBytes = 1;
  for (let rest = bytes; rest >= 0x80; rest = Math.floor(rest / 0x80)) lengthBytes += 1;
  return 1 + lengthBytes + bytes;
}
