import type { Column, ColumnType } from './table';

/** The last instant a JavaScript Date can name; a Parquet timestamp reaches further. */
const timestampMsMax = 8.64e15;

/**
 * What a column can hold, by type; the one rule for the operator that takes a row in and the file
 * that keeps it: a row let in by one and refused by the other would stop its table for good.
 */
const checks: Readonly<Record<ColumnType, (cell: unknown) => boolean>> = {
  string: (cell) => typeof cell === 'string',
  integer: (cell) => Number.isSafeInteger(cell),
  double: (cell) => Number.isFinite(cell),
  boolean: (cell) => typeof cell === 'boolean',
  timestamp: (cell) =>
    Number.isSafeInteger(cell) &&
    (cell as number) <= timestampMsMax &&
    (cell as number) >= -timestampMsMax,
  date: (cell) => typeof cell === 'string' && isDate(cell),
};

/** Whether a column can hold a cell that is not null. */
export function cellCheck(type: Column['type']): (cell: unknown) => boolean {
  return checks[type];
}

let lastDate = '';

/** Rows come in time order: mostly it is the same date again. */
function isDate(text: string): boolean {
  if (text === lastDate) return true;
  const isValid = /^\d{4}-\d\d-\d\d$/.test(text) && isRealDay(text);
  if (isValid) lastDate = text;
  return isValid;
}

function isRealDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
