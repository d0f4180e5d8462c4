import type { Bounds } from './parquet/column-data';
import type { ColumnSummary } from './parquet/encode-parquet';

/** Code points of a string bound; readers expect short ones. */
const boundCharactersMax = 32;
/** Sorts after every character: makes a cut upper bound an upper bound again. */
const lastCharacter = '\u{10FFFF}';
/** Years of four digits: ISO 8601 without a sign. */
const firstIsoYearMs = Date.parse('0001-01-01T00:00:00Z');
const lastIsoYearMs = Date.parse('9999-12-31T23:59:59.999Z');

/** "Per-file Statistics" of the Delta protocol, as JSON. */
export function fileStatistics(numRecords: number, columns: readonly ColumnSummary[]): string {
  const minValues: Record<string, string | number> = {};
  const maxValues: Record<string, string | number> = {};
  const nullCount: Record<string, number> = {};
  for (const { column, nullCount: nulls, bounds } of columns) {
    nullCount[column.name] = nulls;
    const written = bounds && toWritten(column.type, bounds);
    if (written === undefined) continue;
    minValues[column.name] = written.min;
    maxValues[column.name] = written.max;
  }
  return JSON.stringify({ numRecords, minValues, maxValues, nullCount });
}

function toWritten(type: ColumnSummary['column']['type'], bounds: Bounds): Bounds | undefined {
  if (type === 'timestamp') {
    const min = Math.floor(bounds.min as number);
    const max = Math.ceil(bounds.max as number);
    if (min < firstIsoYearMs || max > lastIsoYearMs) return undefined;
    return { min: new Date(min).toISOString(), max: new Date(max).toISOString() };
  }
  if (type !== 'string') return bounds;
  const { min, max } = bounds as { min: string; max: string };
  return { min: cut(min), max: max.length > boundCharactersMax ? cutUpwards(max) : max };
}

function cut(text: string): string {
  if (text.length <= boundCharactersMax) return text;
  return Array.from(text.slice(0, boundCharactersMax * 2))
    .slice(0, boundCharactersMax)
    .join('');
}

function cutUpwards(text: string): string {
  const head = cut(text);
  // Nothing sorts after the last character: a text that goes on with it is left whole.
  const isCut = head.length < text.length && !text.startsWith(lastCharacter, head.length);
  return isCut ? head + lastCharacter : text;
}
