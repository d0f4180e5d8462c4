/**
 * Snappy's block format (github.com/google/snappy, format_description.txt): literals, and copies of
 * what stood up to 64 KiB before. Matches are found by a hash of four bytes.
 */
const blockBytes = 65_536;
const hashBits = 14;
const hashShift = 32 - hashBits;
const hashFactor = 0x9e3779b1;
/** A match is looked for only where a whole word and some more can be read. */
const tailBytes = 15;
const matchBytesMin = 4;
const copyBytesMax = 64;
/** After 2^5 misses steps get longer: what does not repeat is soon passed over. */
const missesShift = 5;
/** Literals up to this length are copied by a loop, which is faster than a call. */
const shortLiteralMax = 24;

const positions = new Uint16Array(1 << hashBits);

export function compressSnappy(input: Uint8Array): Uint8Array {
  const output = new SnappyOutput(input);
  for (let from = 0; from < input.length; from += blockBytes) {
    compressBlock(input, output, from, Math.min(input.length, from + blockBytes));
  }
  return output.finish();
}

function compressBlock(input: Uint8Array, output: SnappyOutput, from: number, to: number): void {
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  const limit = to - tailBytes;
  positions.fill(0);
  let literal = from;
  let misses = 1 << missesShift;
  let at = from;
  while (at < limit) {
    const word = view.getInt32(at, true);
    const hash = Math.imul(word, hashFactor) >>> hashShift;
    const candidate = from + (positions[hash] ?? 0);
    positions[hash] = at - from;
    if (candidate >= at || view.getInt32(candidate, true) !== word) {
      at += misses >> missesShift;
      misses += 1;
      continue;
    }
    let length = matchBytesMin;
    while (
      at + length < limit &&
      view.getInt32(at + length, true) === view.getInt32(candidate + length, true)
    ) {
      length += matchBytesMin;
    }
    while (at + length < to && input[at + length] === input[candidate + length]) length += 1;
    output.literal(literal, at);
    output.copy(at - candidate, length);
    at += length;
    literal = at;
    misses = 1 << missesShift;
  }
  output.literal(literal, to);
}

class SnappyOutput {
  readonly #input: Uint8Array;
  readonly #bytes: Uint8Array;
  #end = 0;

  constructor(input: Uint8Array) {
    this.#input = input;
    // The worst case: every literal is followed by a copy that saves nothing.
    this.#bytes = new Uint8Array(32 + input.length + Math.ceil(input.length / 6));
    let rest = input.length;
    for (; rest > 0x7f; rest >>>= 7) this.#bytes[this.#end++] = (rest & 0x7f) | 0x80;
    this.#bytes[this.#end++] = rest;
  }

  literal(from: number, to: number): void {
    const length = to - from;
    if (length === 0) return;
    const bytes = this.#bytes;
    let end = this.#end;
    const size = length - 1;
    if (size < 60) {
      bytes[end++] = size << 2;
    } else if (size < 256) {
      bytes[end++] = 60 << 2;
      bytes[end++] = size;
    } else {
      bytes[end++] = 61 << 2;
      bytes[end++] = size & 0xff;
      bytes[end++] = size >> 8;
    }
    if (length <= shortLiteralMax) {
      for (let at = from; at < to; at += 1) bytes[end++] = this.#input[at] ?? 0;
    } else {
      bytes.set(this.#input.subarray(from, to), end);
      end += length;
    }
    this.#end = end;
  }

  copy(offset: number, length: number): void {
    let rest = length;
    // A last copy of fewer than four bytes would not fit the short form.
    while (rest >= copyBytesMax + matchBytesMin) {
      this.#longCopy(offset, copyBytesMax);
      rest -= copyBytesMax;
    }
    if (rest > copyBytesMax) {
      this.#longCopy(offset, copyBytesMax - matchBytesMin);
      rest -= copyBytesMax - matchBytesMin;
    }
    if (rest >= 12 || offset >= 2048) {
      this.#longCopy(offset, rest);
      return;
    }
    this.#bytes[this.#end++] = ((offset >> 8) << 5) | ((rest - matchBytesMin) << 2) | 1;
    this.#bytes[this.#end++] = offset & 0xff;
  }

  #longCopy(offset: number, length: number): void {
    this.#bytes[this.#end++] = ((length - 1) << 2) | 2;
    this.#bytes[this.#end++] = offset & 0xff;
    this.#bytes[this.#end++] = offset >> 8;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#end);
  }
}
