import type { Cell, Column, ColumnType, Row, TablePlan } from './table';

/** The last instant a JavaScript Date can name; a Parquet timestamp reaches further. */
const timestampMsMax = 8.64e15;
const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
/** Digits of the longest 64-bit integer: what is longer is not even looked at. */
const int64DigitsMax = 19;
/** Instants whose ISO text has a year of four digits: folder names and statistics hold no others. */
const firstFourDigitYearMs = Date.parse('0001-01-01T00:00:00Z');
const lastFourDigitYearMs = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * What a column can hold; the one rule for the operator that takes a row in and the file that keeps
 * it: a row let in by one and refused by the other would stop its table for good.
 */
export interface CellRule {
  readonly accepts: (cell: unknown) => boolean;
  /** The rule in words, for whoever has to mend the row. */
  readonly words: string;
}

const rules: Readonly<Record<ColumnType, CellRule>> = {
  string: { accepts: (cell) => typeof cell === 'string', words: 'a text' },
  integer: {
    accepts: (cell) =>
      Number.isSafeInteger(cell) ||
      (typeof cell === 'bigint' && cell >= int64Min && cell <= int64Max) ||
      isInt64Text(cell),
    words:
      'a whole number of 64 bits; beyond ±(2^53 - 1) a number is rounded, so it must be a BigInt',
  },
  double: { accepts: (cell) => Number.isFinite(cell), words: 'a finite number' },
  boolean: { accepts: (cell) => typeof cell === 'boolean', words: 'true or false' },
  timestamp: {
    accepts: (cell) =>
      Number.isSafeInteger(cell) &&
      (cell as number) <= timestampMsMax &&
      (cell as number) >= -timestampMsMax,
    words: 'whole epoch milliseconds',
  },
  date: {
    accepts: (cell) => typeof cell === 'string' && isDate(cell),
    words: "a day 'YYYY-MM-DD' that the calendar has, of the years 1 to 9999",
  },
};

const timestampInFolder: CellRule = {
  accepts: (cell) => rules.timestamp.accepts(cell) && isOfFourDigitYear(cell as number),
  words: 'whole epoch milliseconds of the years 1 to 9999, since the table is partitioned by it',
};
const requiredTextInFolder: CellRule = {
  accepts: (cell) => typeof cell === 'string' && cell !== '',
  words:
    'a text of at least one character: the table is partitioned by it, where Delta takes an empty text for null',
};

/** What a table's column can hold apart from null. */
export function cellRule(
  { name, nullable, type }: Column,
  table?: Pick<TablePlan, 'format' | 'partitionBy'>,
): CellRule {
  if (table?.partitionBy.includes(name) !== true) return rules[type];
  if (type === 'timestamp') return timestampInFolder;
  if (type === 'string' && table.format === 'delta' && !nullable) return requiredTextInFolder;
  return rules[type];
}

/** Whether an instant's ISO text has a year of four digits, which is all that other readers know. */
export function isOfFourDigitYear(epochMs: number): boolean {
  return epochMs >= firstFourDigitYearMs && epochMs <= lastFourDigitYearMs;
}

/** An integer that a JavaScript number would round, as a row of the log keeps it. */
function isInt64Text(cell: unknown): boolean {
  if (typeof cell !== 'string' || cell.length > int64DigitsMax + 1) return false;
  if (!/^-?[1-9]\d*$/.test(cell) || Number.isSafeInteger(Number(cell))) return false;
  const value = BigInt(cell);
  return value >= int64Min && value <= int64Max;
}

let lastDate = '';

/** Rows come in time order: mostly it is the same date again. */
function isDate(text: string): boolean {
  if (text === lastDate) return true;
  const isValid = /^\d{4}-\d\d-\d\d$/.test(text) && !text.startsWith('0000') && isRealDay(text);
  if (isValid) lastDate = text;
  return isValid;
}

function isRealDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

/**
 * A cell as every output has it: a lone surrogate is no character, so no UTF-8 can hold it, and U+FFFD
 * stands in its place, as every encoder of UTF-8 puts it; an integer beyond the safe ones is its
 * decimal text, which JSON keeps whole.
 */
export function canonicalCell(cell: NonNullable<Cell>): NonNullable<Cell> {
  if (typeof cell === 'string') return cell.toWellFormed();
  if (typeof cell !== 'bigint') return cell;
  const number = Number(cell);
  return Number.isSafeInteger(number) ? number : String(cell);
}

/** A row of canonical cells as JSON, which would write -0 as 0. */
export function rowText(row: Row): string {
  if (!row.some((cell) => Object.is(cell, -0))) return JSON.stringify(row);
  return `[${row.map((cell) => (Object.is(cell, -0) ? '-0.0' : JSON.stringify(cell))).join(',')}]`;
}
