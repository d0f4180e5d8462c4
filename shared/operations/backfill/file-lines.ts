import { gunzipSync } from 'node:zlib';
import { exactJson, type ExactValue } from '../../lake/parquet/exact-values';
import { readParquet, unreadableFile } from '../../lake/parquet/read-parquet';
import { inflatedBytesMax, readColumns } from '../../lake/read-file';
import type { Column, TablePlan } from '../../model/table';

/** What of a table's rows is not in its files: types, and the partition values in its log. */
export interface SourceTable {
  readonly columns: readonly Column[];
  readonly format: TablePlan['format'];
  readonly partitionBy: readonly string[];
  /** By file. */
  readonly partitionValues: Readonly<Record<string, Readonly<Record<string, string | null>>>>;
}

/** Rows of one message: the engine reads packed messages faster than single ones. */
const rowsPerMessage = 100;
/** And its bytes, below what one message may hold; a row that is larger stands alone. */
const bytesPerMessage = 1024 * 1024;

const newline = 0x0a;
const openBracket = 0x5b;

/** The rows of a table's file, a JSON object each, with every digit that their values have. */
export async function tableLines(
  name: string,
  bytes: Uint8Array,
  table: SourceTable,
): Promise<Buffer[]> {
  const partitionValues = table.partitionValues[name] ?? {};
  const columns = await readColumns(table, { name, bytes, partitionValues });
  const named = table.columns.map((column) => {
    const values = columns.of(column);
    if (typeof values === 'string') throw unreadableFile(name, new Error(values));
    return { name: column.name, values };
  });
  return objectLines(columns.rows, named);
}

/** The rows of a file that is no table's: Parquet, or NDJSON (also gzip), whose bytes stay as they are. */
export async function fileLines(name: string, bytes: Uint8Array): Promise<Buffer[]> {
  if (name.endsWith('.parquet')) {
    const { columns, rows } = await readParquet(name, bytes);
    return objectLines(rows, columns);
  }
  if (!name.endsWith('.gz')) return splitLines(bytes);
  let inflated: Uint8Array;
  try {
    inflated = gunzipSync(bytes, { maxOutputLength: inflatedBytesMax });
  } catch (cause) {
    throw unreadableFile(name, cause);
  }
  return splitLines(inflated);
}

function objectLines(
  rows: number,
  columns: readonly { readonly name: string; readonly values: readonly ExactValue[] }[],
): Buffer[] {
  const keyed = columns.map(({ name, values }) => ({ key: JSON.stringify(name), values }));
  return Array.from({ length: rows }, (_, row) => {
    const fields = keyed.map(({ key, values }) => `${key}:${exactJson(values[row])}`);
    return Buffer.from(`{${fields.join(',')}}`);
  });
}

/** By bytes: what is not UTF-8 stays what it is, for the dead letter that it becomes. */
function splitLines(bytes: Uint8Array): Buffer[] {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lines: Buffer[] = [];
  for (let start = 0; start < whole.length;) {
    const found = whole.indexOf(newline, start);
    const end = found === -1 ? whole.length : found;
    const line = whole.subarray(start, end);
    if (!isBlank(line)) lines.push(line);
    start = end + 1;
  }
  return lines;
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x0d || byte === 0x09);
}

/**
 * Packs lines into the bodies of messages. A line that is an array stands alone, since its elements
 * are events: what a line means must not depend on how many others there are.
 */
export function packLines(lines: readonly Uint8Array[]): Buffer[] {
  const bodies: Buffer[] = [];
  let open: Uint8Array[] = [];
  let openBytes = 0;
  const close = (): void => {
    if (open.length > 0) bodies.push(joined(open));
    open = [];
    openBytes = 0;
  };
  for (const line of lines) {
    const isArray = line.find((byte) => byte > 0x20) === openBracket;
    const isFull = open.length >= rowsPerMessage || openBytes + line.length > bytesPerMessage;
    if (isArray || isFull) close();
    open.push(line);
    openBytes += line.length + 1;
    if (isArray) close();
  }
  close();
  return bodies;
}

function joined(lines: readonly Uint8Array[]): Buffer {
  const separator = Buffer.from('\n');
  return Buffer.concat(lines.flatMap((line, index) => (index === 0 ? [line] : [separator, line])));
}
