import type { Cell } from '../../model/table';
import type { Bounds, ColumnData } from './column-data';
import { dictionaryTrialValues } from './column-data';

const wordRange = 2 ** 32;
const microsPerMilli = 1_000;
const dayMs = 24 * 60 * 60 * 1000;
const integerDictionaryEntriesMax = 4_096;
/** A number column gets a dictionary where a sample repeats each value at least so often. */
const sampleRepeatsMin = 4;

type Numbers = readonly number[];

function presentNumbers(cells: readonly Cell[], present: Uint8Array | undefined): Numbers {
  return (present ? cells.filter((cell) => cell !== null) : cells) as Numbers;
}

function bytesOf(array: ArrayBufferView, from: number, to: number, width: number): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset + from * width, (to - from) * width);
}

/** Undefined where there is no value. */
function numberBounds(values: Numbers): Bounds | undefined {
  let min = Infinity;
  let max = -Infinity;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  // A sum with 0 is never -0, which only a double column may name.
  return values.length === 0 ? undefined : { min: min + 0, max: max + 0 };
}

/** 64-bit little-endian words of safe integers, without a BigInt for each. */
function toWords(values: Numbers): Int32Array<ArrayBuffer> {
  const words = new Int32Array(values.length * 2);
  let position = 0;
  for (const value of values) {
    words[position] = value;
    words[position + 1] = Math.floor(value / wordRange);
    position += 2;
  }
  return words;
}

function integersFrom(
  values: Numbers,
  layout: (values: Numbers) => Int32Array<ArrayBuffer>,
): Pick<ColumnData, 'plain' | 'dictionary'> {
  const entries = tryDictionary(values);
  const words = layout(entries?.distinct ?? values);
  return {
    plain: (from, to) => bytesOf(words, from, to, 8),
    dictionary: entries && { count: entries.distinct.length, indexes: entries.indexes },
  };
}

function tryDictionary(
  values: Numbers,
): { distinct: number[]; indexes: Uint32Array<ArrayBuffer> } | undefined {
  const step = Math.max(1, Math.floor(values.length / dictionaryTrialValues));
  const sample = new Set<number>();
  let looked = 0;
  for (let index = 0; index < values.length; index += step) {
    sample.add(values[index] ?? 0);
    looked += 1;
  }
  if (sample.size * sampleRepeatsMin > looked) return undefined;
  const known = new Map<number, number>();
  const distinct: number[] = [];
  const indexes = new Uint32Array(values.length);
  let position = 0;
  for (const value of values) {
    let entry = known.get(value);
    if (entry === undefined) {
      entry = distinct.length;
      if (entry >= integerDictionaryEntriesMax) return undefined;
      known.set(value, entry);
      distinct.push(value);
    }
    indexes[position] = entry;
    position += 1;
  }
  return { distinct, indexes };
}

export function encodeIntegers(
  cells: readonly Cell[],
  present: Uint8Array | undefined,
): ColumnData {
  if (cells.some((cell) => typeof cell === 'string')) return encodeLargeIntegers(cells, present);
  const values = presentNumbers(cells, present);
  const nullCount = cells.length - values.length;
  return { present, nullCount, bounds: numberBounds(values), ...integersFrom(values, toWords) };
}

/** Where one of them is beyond the safe integers, all are counted in BigInts: nothing is rounded. */
function encodeLargeIntegers(cells: readonly Cell[], present: Uint8Array | undefined): ColumnData {
  const values = BigInt64Array.from(
    cells.filter((cell) => cell !== null),
    (cell) => BigInt(cell),
  );
  let [min = 0n] = values;
  let max = min;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return {
    present,
    nullCount: cells.length - values.length,
    plain: (from, to) => bytesOf(values, from, to, 8),
    dictionary: undefined,
    bounds: { min, max },
  };
}

/** Epoch milliseconds in, microseconds out, as Delta wants them. */
export function encodeTimestamps(
  cells: readonly Cell[],
  present: Uint8Array | undefined,
): ColumnData {
  const values = presentNumbers(cells, present);
  const nullCount = cells.length - values.length;
  const bounds = numberBounds(values);
  const exact =
    bounds !== undefined &&
    Math.max(Math.abs(bounds.min as number), Math.abs(bounds.max as number)) <
      Number.MAX_SAFE_INTEGER / microsPerMilli;
  const layout = exact ? microWords : bigMicroWords;
  return { present, nullCount, bounds, ...integersFrom(values, layout) };
}

function microWords(values: Numbers): Int32Array<ArrayBuffer> {
  const words = new Int32Array(values.length * 2);
  let position = 0;
  for (const value of values) {
    const micros = Math.round(value * microsPerMilli);
    words[position] = micros;
    words[position + 1] = Math.floor(micros / wordRange);
    position += 2;
  }
  return words;
}

/** For years after 2255, where microseconds are no longer safe integers. */
function bigMicroWords(values: Numbers): Int32Array<ArrayBuffer> {
  const micros = BigInt64Array.from(values, (value) => BigInt(Math.round(value)) * 1000n);
  return new Int32Array(micros.buffer);
}

export function encodeDoubles(cells: readonly Cell[], present: Uint8Array | undefined): ColumnData {
  const values = presentNumbers(cells, present);
  const doubles = Float64Array.from(values);
  return {
    present,
    nullCount: cells.length - values.length,
    plain: (from, to) => bytesOf(doubles, from, to, 8),
    dictionary: undefined,
    bounds: zeroBounds(numberBounds(values)),
  };
}

/** By the rule of both formats: a zero at either end may be either zero. */
function zeroBounds(bounds: Bounds | undefined): Bounds | undefined {
  if (bounds === undefined) return undefined;
  const { min, max } = bounds;
  return { min: min === 0 ? -0 : min, max: max === 0 ? 0 : max };
}

/** 'YYYY-MM-DD' in, days since 1970-01-01 out. */
export function encodeDates(cells: readonly Cell[], present: Uint8Array | undefined): ColumnData {
  const values = (present ? cells.filter((cell) => cell !== null) : cells) as readonly string[];
  const known = new Map<string, number>();
  const days = new Int32Array(values.length);
  let min = values[0] ?? '';
  let max = min;
  let position = 0;
  for (const value of values) {
    let day = known.get(value);
    if (day === undefined) {
      day = Date.parse(`${value}T00:00:00Z`) / dayMs;
      known.set(value, day);
      if (value < min) min = value;
      if (value > max) max = value;
    }
    days[position] = day;
    position += 1;
  }
  return {
    present,
    nullCount: cells.length - values.length,
    plain: (from, to) => bytesOf(days, from, to, 4),
    dictionary: undefined,
    bounds: values.length === 0 ? undefined : { min, max },
  };
}

export function encodeBooleans(
  cells: readonly Cell[],
  present: Uint8Array | undefined,
): ColumnData {
  const values = (present ? cells.filter((cell) => cell !== null) : cells) as readonly boolean[];
  return {
    present,
    nullCount: cells.length - values.length,
    plain: (from, to) => packBits(values, from, to),
    dictionary: undefined,
    bounds:
      values.length === 0
        ? undefined
        : { min: !values.includes(false), max: values.includes(true) },
  };
}

function packBits(values: readonly boolean[], from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((to - from) / 8));
  for (let index = from; index < to; index += 1) {
    if (values[index] !== true) continue;
    const bit = index - from;
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  return bytes;
}
