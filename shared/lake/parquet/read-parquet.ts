import { parquetMetadata, parquetRead } from 'hyparquet';
import type { DecodedArray, FileMetaData, ParquetParsers, SchemaElement } from 'hyparquet';
import { StreamError } from '../../model/errors';
import { decompressors } from './decompressors';
import { Day, Decimal, Instant, JsonText, type ExactValue } from './exact-values';

export interface ParquetColumn {
  readonly name: string;
  /** One a row. */
  readonly values: readonly ExactValue[];
}

/** Bytes that stand for something else, until the column says for what. */
class RawBytes {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

// A mark at the beginning of a text is a character of it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const parsers: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (millis) => new Instant(BigInt(millis) * 1_000_000n),
  timestampFromMicroseconds: (micros) => new Instant(BigInt(micros) * 1_000n),
  timestampFromNanoseconds: (nanos) => new Instant(nanos),
  dateFromDays: (days) => new Day(days),
  stringFromBytes: textOf,
  jsonFromBytes: (bytes) => new JsonText(textOf(bytes)),
  uuidFromBytes: (bytes) => new RawBytes(bytes),
};

/** The library gives undefined for what is null, although its types do not say so. */
function mapped<Raw, Value>(parse: (raw: Raw) => Value): (raw: Raw) => Value | undefined {
  return (raw) => (raw === undefined || raw === null ? undefined : parse(raw));
}

function textOf(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

const nullSafe = Object.fromEntries(
  Object.entries(parsers).map(([name, parse]) => [
    name,
    mapped(parse as (raw: unknown) => unknown),
  ]),
) as Partial<ParquetParsers>;

/**
 * The columns of a Parquet file with every value as it is: no digit of a number, an instant or a
 * decimal is lost, and no byte of a text. Rejects with STREAM_FILE_UNREADABLE and the file's name.
 *
 * @param isWanted which columns to read, by name; default: all
 */
export async function readParquet(
  name: string,
  bytes: Uint8Array,
  isWanted: (column: string) => boolean = () => true,
): Promise<{ readonly rows: number; readonly columns: readonly ParquetColumn[] }> {
  try {
    // A copy: the library wants a whole buffer.
    const file = bytes.slice().buffer;
    const whole = parquetMetadata(file, { geoparquet: false });
    const metadata = { ...whole, schema: whole.schema.map(withoutDecimal) };
    const top = topElements(whole).filter(({ element }) => isWanted(element.name));
    const rows = Number(whole.num_rows);
    const chunks = new Map(top.map(({ element }) => [element.name, [] as DecodedArray[]]));
    await parquetRead({
      ...{ file, metadata, compressors: decompressors, parsers: nullSafe, geoparquet: false },
      columns: Array.from(chunks.keys()),
      onChunk: ({ columnData, columnName }) => chunks.get(columnName)?.push(columnData),
    });
    const columns = top.map(({ element, isNested }) => ({
      name: element.name,
      values: valuesOf(element, isNested, chunks.get(element.name) ?? []),
    }));
    for (const column of columns) {
      if (column.values.length === rows) continue;
      throw new Error(`column ${column.name} has ${column.values.length} values for ${rows} rows`);
    }
    return { rows, columns };
  } catch (cause) {
    throw unreadableFile(name, cause);
  }
}

/** A file of data that is damaged or of a kind that is not implemented. */
export function unreadableFile(name: string, cause: unknown): StreamError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StreamError(
    'STREAM_FILE_UNREADABLE',
    `${name} cannot be read: ${why}; restore it from a backup or a soft-deleted version, or have it written in another way`,
    { cause, details: { name } },
  );
}

interface TopElement {
  readonly element: SchemaElement;
  readonly isNested: boolean;
}

/** The columns of the root. Decimals further down are refused: their scale would be lost. */
function topElements({ schema }: FileMetaData): TopElement[] {
  const found: TopElement[] = [];
  let at = 1;
  const skip = (depth: number): void => {
    const element = schema[at];
    if (element === undefined) throw new Error('its schema is cut short');
    at += 1;
    if (depth === 0) found.push({ element, isNested: (element.num_children ?? 0) > 0 });
    else if (isDecimal(element)) throw new Error(`${element.name} is a decimal inside a structure`);
    if (depth > nestingMax) throw new Error(`its schema is nested more than ${nestingMax} deep`);
    for (let child = 0; child < (element.num_children ?? 0); child += 1) skip(depth + 1);
  };
  const count = schema[0]?.num_children ?? 0;
  for (let child = 0; child < count; child += 1) skip(0);
  const names = new Set(found.map(({ element }) => element.name));
  if (names.size < found.length) throw new Error('two of its columns have the same name');
  return found;
}

const nestingMax = 64;

function isDecimal({ converted_type, logical_type }: SchemaElement): boolean {
  return converted_type === 'DECIMAL' || logical_type?.type === 'DECIMAL';
}

/** The library makes rounded numbers of decimals: it is told that they are something else. */
function withoutDecimal(element: SchemaElement): SchemaElement {
  if (!isDecimal(element)) return element;
  const plain = Object.fromEntries(
    Object.entries(element).filter(
      ([name]) => name !== 'converted_type' && name !== 'logical_type',
    ),
  ) as unknown as SchemaElement;
  const isBytes = element.type === 'BYTE_ARRAY' || element.type === 'FIXED_LEN_BYTE_ARRAY';
  return isBytes ? { ...plain, logical_type: { type: 'UUID' } } : plain;
}

function valuesOf(
  element: SchemaElement,
  isNested: boolean,
  chunks: readonly DecodedArray[],
): ExactValue[] {
  const convert = converterOf(element, isNested);
  const values: ExactValue[] = [];
  for (const chunk of chunks) {
    for (const raw of chunk as Iterable<unknown>) {
      values.push(raw === null || raw === undefined ? null : convert(raw));
    }
  }
  return values;
}

function converterOf(element: SchemaElement, isNested: boolean): (raw: unknown) => ExactValue {
  if (isNested || element.repetition_type === 'REPEATED') return nestedValue;
  if (isDecimal(element)) {
    const { logical_type } = element;
    const scale = element.scale ?? (logical_type?.type === 'DECIMAL' ? logical_type.scale : 0);
    return (raw) => new Decimal(unscaledOf(raw), scale);
  }
  return plainValue;
}

function unscaledOf(raw: unknown): bigint {
  if (typeof raw === 'bigint' || typeof raw === 'number') return BigInt(raw);
  if (!(raw instanceof RawBytes)) throw new Error('a decimal is neither a number nor bytes');
  const { bytes } = raw;
  if (bytes.length === 0) return 0n;
  const unsigned = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  return BigInt.asIntN(bytes.length * 8, unsigned);
}

function plainValue(raw: unknown): ExactValue {
  if (raw instanceof RawBytes) return uuidText(raw.bytes);
  return raw as ExactValue;
}

function nestedValue(raw: unknown): ExactValue {
  if (raw === null || raw === undefined) return null;
  if (Array.isArray(raw)) return raw.map(nestedValue);
  if (Object.getPrototypeOf(raw) !== Object.prototype) return plainValue(raw);
  return Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, nestedValue(value)]));
}

function uuidText(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
