import { gunzipSync } from 'node:zlib';
import { canonicalCell, cellRule } from '../model/cells';
import { StreamError } from '../model/errors';
import type { Cell, Column, Row, TablePlan } from '../model/table';
import { Day, Decimal, Instant, type ExactValue } from './parquet/exact-values';
import { readParquet, unreadableFile } from './parquet/read-parquet';
import { typedPartitionValue } from './partition-values';

type ReadPlan = Pick<TablePlan, 'columns' | 'format' | 'partitionBy'>;

export interface DataFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly partitionValues: Readonly<Record<string, string | null>>;
}

/** The rows of a file, or why some value would be another one if it were written again by us. */
export type FileCells =
  | { readonly kind: 'rows'; readonly rows: readonly Row[] }
  | { readonly kind: 'unkept'; readonly why: string };

/** A file of gzip may expand a thousandfold. */
export const inflatedBytesMax = 1024 * 1024 * 1024;

/**
 * The cells of one data file in the order of the plan's columns, each exactly as the file has it.
 * Values of partition columns come from the log, and columns that the file lacks are null. Rejects
 * with STREAM_FILE_UNREADABLE where the file is damaged.
 */
export async function readCells(plan: ReadPlan, file: DataFile): Promise<FileCells> {
  const columns = await readColumns(plan, file);
  const rules = plan.columns.map((column) => cellRule(column));
  const cells: Cell[][] = [];
  for (const [place, column] of plan.columns.entries()) {
    const values = columns.of(column);
    if (typeof values === 'string') return { kind: 'unkept', why: values };
    const own = new Array<Cell>(columns.rows);
    const isInFolder = inFolder(plan, column);
    for (let row = 0; row < columns.rows; row += 1) {
      const cell = cellOf(column, values[row] ?? null);
      own[row] = cell ?? null;
      const isKept =
        cell === null ? column.nullable : cell !== undefined && rules[place]?.accepts(cell);
      // What is in the log stays there as it is.
      if (isKept === true || isInFolder) continue;
      return { kind: 'unkept', why: whyUnkept(column, values[row] ?? null) };
    }
    cells.push(own);
  }
  const rows = Array.from({ length: columns.rows }, (_, row) =>
    cells.map((own) => own[row] ?? null),
  );
  return { kind: 'rows', rows };
}

/** As `readCells`; rejects where a value is none that our own writer writes. */
export async function readFileRows(
  plan: ReadPlan,
  file: Omit<DataFile, 'name'> & { readonly name?: string },
): Promise<readonly Row[]> {
  const { name = 'the file' } = file;
  const cells = await readCells(plan, { ...file, name });
  if (cells.kind === 'rows') return cells.rows;
  throw unreadableFile(name, new Error(cells.why));
}

/** The values of a table's columns in one file, by column; a text says why they are not known. */
export interface FileColumns {
  readonly rows: number;
  of(column: Column): readonly ExactValue[] | string;
}

/** Values as the file and the log have them. */
export async function readColumns(plan: ReadPlan, file: DataFile): Promise<FileColumns> {
  if (plan.format !== 'delta') return readLines(plan, file);
  assertDistinctNames(plan.columns);
  const wanted = new Set(plan.columns.map((column) => column.name.toLowerCase()));
  const { columns, rows } = await readParquet(file.name, file.bytes, (name) =>
    wanted.has(name.toLowerCase()),
  );
  const found = new Map(columns.map(({ name, values }) => [name, values]));
  const spellings = new Map(columns.map(({ name }) => [name.toLowerCase(), name]));
  const nothing = new Array<ExactValue>(rows).fill(null);
  return {
    rows,
    of(column) {
      if (inFolder(plan, column)) {
        const text = file.partitionValues[column.name] ?? null;
        return new Array<ExactValue>(rows).fill(typedPartitionValue(column.type, text));
      }
      const values = found.get(column.name);
      if (values !== undefined) return values;
      const spelling = spellings.get(column.name.toLowerCase());
      // Some readers take the one for the other, and some do not.
      return spelling === undefined
        ? nothing
        : `its column ${spelling} differs from the table's ${column.name} in case alone`;
    },
  };
}

function inFolder(plan: ReadPlan, column: Column): boolean {
  return plan.format === 'delta' && plan.partitionBy.includes(column.name);
}

/** Rejects columns whose names differ in case alone: most readers take the one for the other. */
export function assertDistinctNames(columns: readonly Column[]): void {
  const known = new Map<string, string>();
  for (const { name } of columns) {
    const twin = known.get(name.toLowerCase());
    known.set(name.toLowerCase(), name);
    if (twin === undefined) continue;
    throw new StreamError(
      'STREAM_TABLE_INCOMPATIBLE',
      `the table has the columns ${twin} and ${name}, which differ in case alone: most readers take the one for the other; copy the table to one with other names`,
    );
  }
}

function readLines(plan: ReadPlan, { bytes, name }: DataFile): FileColumns {
  let lines: Record<string, unknown>[];
  try {
    const plain =
      plan.format === 'ndjson' ? bytes : gunzipSync(bytes, { maxOutputLength: inflatedBytesMax });
    lines = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
      .decode(plain)
      .split('\n')
      .filter((line) => line !== '')
      .map(parseLine);
  } catch (cause) {
    throw unreadableFile(name, cause);
  }
  return {
    rows: lines.length,
    of: (column) =>
      lines.map((line) => {
        const value = Object.hasOwn(line, column.name) ? line[column.name] : null;
        return lineValue(column, value as ExactValue);
      }),
  };
}

function parseLine(line: string): Record<string, unknown> {
  const value = JSON.parse(withQuotedIntegers(line)) as unknown;
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new Error('a line is not a JSON object');
}

/** Texts are skipped; a whole number of so many digits may be one that a double rounds. */
const jsonToken = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function withQuotedIntegers(line: string): string {
  if (!/\d{16}/.test(line)) return line;
  return line.replaceAll(jsonToken, (token) => (/^-?\d{16,}$/.test(token) ? `"${token}"` : token));
}

function lineValue({ type }: Column, value: ExactValue): ExactValue {
  if (typeof value !== 'string' || type === 'string' || type === 'date') return value;
  return typedPartitionValue(type, value);
}

/** Undefined: the column's type cannot hold the value. */
function cellOf({ type }: Column, value: ExactValue): Cell | undefined {
  if (value === null) return null;
  switch (type) {
    case 'string':
      return typeof value === 'string' ? value : undefined;
    case 'integer': {
      if (typeof value === 'number') return value;
      return typeof value === 'bigint' ? canonicalCell(value) : undefined;
    }
    case 'double':
      return typeof value === 'number' ? value : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'timestamp':
      return value instanceof Instant ? value.wholeMillis() : undefined;
    case 'date':
      if (value instanceof Day) return value.text();
      return typeof value === 'string' ? value : undefined;
    default:
      return type satisfies never;
  }
}

function whyUnkept({ name, nullable, type }: Column, value: ExactValue): string {
  if (value === null && !nullable) return `column ${name} is required and null in it`;
  const shown = value instanceof Instant ? `${value.millisText()} ms` : shownValue(value);
  return `column ${name} (${type}) holds ${shown}, which this writer cannot write as it is`;
}

function shownValue(value: ExactValue): string {
  if (value instanceof Day || value instanceof Decimal) {
    return value instanceof Day ? value.text() : value.text;
  }
  if (typeof value === 'object') return 'a value of another type';
  return String(value).slice(0, 60);
}
