import { gunzipSync } from 'node:zlib';
import { parquetReadObjects } from 'hyparquet';
import { canonicalCell } from '../model/cells';
import type { Cell, Column, Row, TablePlan } from '../model/table';

/**
 * The rows of one data file in the order of the plan's columns. Values of partition columns come
 * from the file's place, and columns that the file does not have are null.
 */
export async function readFileRows(
  plan: Pick<TablePlan, 'columns' | 'format' | 'partitionBy'>,
  file: {
    readonly bytes: Uint8Array;
    readonly partitionValues: Readonly<Record<string, string | null>>;
  },
): Promise<Row[]> {
  const values = await readObjects(plan.format, file.bytes);
  return values.map((value) =>
    plan.columns.map((column) => {
      const isInFolder = plan.format === 'delta' && plan.partitionBy.includes(column.name);
      return isInFolder
        ? ofText(column, file.partitionValues[column.name] ?? null)
        : ofValue(column, Object.hasOwn(value, column.name) ? value[column.name] : null);
    }),
  );
}

async function readObjects(
  format: TablePlan['format'],
  bytes: Uint8Array,
): Promise<Record<string, unknown>[]> {
  if (format === 'delta') {
    // A copy: the library wants a whole buffer.
    return parquetReadObjects({ file: bytes.slice().buffer });
  }
  const text = Buffer.from(format === 'ndjson' ? bytes : gunzipSync(bytes)).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(withLargeIntegersAsTexts(line)) as Record<string, unknown>);
}

const longDigits = /\d{16}/;
const textOrNumber = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** JSON.parse rounds integers beyond the safe ones: these become texts, which a cell may be. */
function withLargeIntegersAsTexts(line: string): string {
  if (!longDigits.test(line)) return line;
  return line.replaceAll(textOrNumber, (token) => {
    const isLarge = /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token));
    return isLarge ? `"${token}"` : token;
  });
}

function ofValue(column: Column, value: unknown): Cell {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return canonicalCell(value);
  // A double of many digits, which only looks like a large integer.
  if (column.type === 'double' && typeof value === 'string') return Number(value);
  if (value instanceof Date) {
    return column.type === 'date' ? value.toISOString().slice(0, 10) : value.getTime();
  }
  if (column.type === 'timestamp' && typeof value === 'string') return Date.parse(value);
  return value as Cell;
}

/** "Partition Value Serialization" of the Delta protocol, read back. */
function ofText(column: Column, text: string | null): Cell {
  if (text === null || text === '') return null;
  switch (column.type) {
    case 'integer':
      return /^-?\d+$/.test(text) ? canonicalCell(BigInt(text)) : Number(text);
    case 'double':
      return Number(text);
    case 'boolean':
      return text === 'true';
    case 'timestamp':
      return Date.parse(text);
    case 'string':
    case 'date':
      return text;
    default:
      return column.type satisfies never;
  }
}
