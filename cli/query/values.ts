/** Cells of a result as JSON and as text. */
import type DuckDbModule from '@duckdb/node-api';
import type { DuckDBType, DuckDBValue } from '@duckdb/node-api';
import { printable } from '../output';

type DuckDb = typeof DuckDbModule;

type CellWriter = (value: DuckDBValue) => string;

/**
 * How the cells of a column are written as JSON: integers and decimals with all their digits, NaN
 * and infinities as text (JSON has no numbers for them), dates and times as ISO 8601 text.
 */
export function jsonWriter(duckdb: DuckDb, type: DuckDBType): CellWriter {
  const { DuckDBTypeId: id } = duckdb;
  const nested = (value: DuckDBValue): string =>
    JSON.stringify(duckdb.JsonDuckDBValueConverter(value, type, duckdb.JsonDuckDBValueConverter));
  const notNull = ((): CellWriter => {
    switch (type.typeId) {
      case id.BOOLEAN:
      case id.TINYINT:
      case id.SMALLINT:
      case id.INTEGER:
      case id.UTINYINT:
      case id.USMALLINT:
      case id.UINTEGER:
      case id.BIGINT:
      case id.UBIGINT:
      case id.HUGEINT:
      case id.UHUGEINT:
      case id.DECIMAL:
        return String;
      case id.FLOAT:
      case id.DOUBLE:
        return (value) => {
          if (!Number.isFinite(value)) return `"${String(value)}"`;
          return Object.is(value, -0) ? '-0.0' : String(value);
        };
      case id.LIST:
      case id.STRUCT:
      case id.MAP:
      case id.ARRAY:
      case id.UNION:
      case id.VARIANT:
      case id.INTERVAL:
        return nested;
      default: {
        const text = textOf(duckdb, type);
        return (value) => JSON.stringify(text(value));
      }
    }
  })();
  return (value) => (value === null ? 'null' : notNull(value));
}

/** The same as text, for CSV: null is nothing. */
export function textWriter(duckdb: DuckDb, type: DuckDBType): CellWriter {
  const { DuckDBTypeId: id } = duckdb;
  const isNested = [
    id.LIST,
    id.STRUCT,
    id.MAP,
    id.ARRAY,
    id.UNION,
    id.VARIANT,
    id.INTERVAL,
  ].includes(type.typeId);
  const notNull = isNested ? jsonWriter(duckdb, type) : textOf(duckdb, type);
  return (value) => (value === null ? '' : notNull(value));
}

function textOf(duckdb: DuckDb, type: DuckDBType): CellWriter {
  const { DuckDBTypeId: id } = duckdb;
  switch (type.typeId) {
    case id.TIMESTAMP_TZ:
      return (value) => isoTime(value, 'Z');
    case id.TIMESTAMP:
      return (value) => isoTime(value, '');
    case id.DOUBLE:
    case id.FLOAT:
      return (value) => (Object.is(value, -0) ? '-0.0' : String(value));
    default:
      return String;
  }
}

/** With milliseconds, or microseconds where there are any; years beyond four digits keep a sign. */
function isoTime(value: DuckDBValue, zone: string): string {
  const { micros } = value as { readonly micros: bigint };
  const [milliseconds, rest] = splitMicros(micros);
  const date = new Date(milliseconds);
  // Infinity, or beyond what JavaScript's dates reach.
  if (Number.isNaN(date.getTime())) return String(value);
  return `${date.toISOString().slice(0, -1)}${rest === 0 ? '' : String(rest).padStart(3, '0')}${zone}`;
}

/** Milliseconds, rounded down, and the microseconds over them. */
function splitMicros(micros: bigint): [number, number] {
  const number = Number(micros);
  if (Number.isSafeInteger(number)) {
    const milliseconds = Math.floor(number / 1_000);
    return [milliseconds, number - milliseconds * 1_000];
  }
  // Before 1684 and after 2255: too large for exact numbers.
  const milliseconds = micros / 1_000n - (micros % 1_000n < 0n ? 1n : 0n);
  return [Number(milliseconds), Number(micros - milliseconds * 1_000n)];
}

/** A cell of the table for people: on one line, and nothing that moves the cursor or turns text round. */
export function shownCell(text: string): string {
  return printable(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}

/** A field of CSV (RFC 4180). */
export function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
