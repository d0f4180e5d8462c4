import { isOfFourDigitYear } from '../model/cells';
import type { Bound, Bounds } from './parquet/column-data';
import type { ColumnSummary } from './parquet/encode-parquet';

/** Code points of a string bound; readers expect short ones. */
const boundCharactersMax = 32;
/** Sorts after every character: makes a cut upper bound an upper bound again. */
const lastCharacter = '\u{10FFFF}';

/**
 * "Per-file Statistics" of the Delta protocol, as JSON. Every column with a value has bounds, or
 * none of the file has: some readers take a column without bounds beside others that have them for
 * one that holds nothing but null.
 */
export function fileStatistics(numRecords: number, columns: readonly ColumnSummary[]): string {
  const nullCount = objectText(
    columns.map(({ column, nullCount: nulls }) => [column.name, String(nulls)]),
  );
  const counts = `"numRecords":${numRecords}`;
  if (!columns.every(hasWritableBounds)) return `{${counts},"nullCount":${nullCount}}`;
  const bounded = columns.flatMap(({ bounds, column }) =>
    bounds === undefined ? [] : [{ name: column.name, ...toWritten(column.type, bounds) }],
  );
  const minValues = objectText(bounded.map(({ min, name }) => [name, boundText(min)]));
  const maxValues = objectText(bounded.map(({ max, name }) => [name, boundText(max)]));
  return `{${counts},"minValues":${minValues},"maxValues":${maxValues},"nullCount":${nullCount}}`;
}

/** JSON.stringify rounds no number, yet has no word for a BigInt or for -0. */
function objectText(fields: readonly (readonly [name: string, valueText: string])[]): string {
  return `{${fields.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`;
}

function boundText(bound: Bound): string {
  if (typeof bound === 'bigint') return String(bound);
  return Object.is(bound, -0) ? '-0.0' : JSON.stringify(bound);
}

/** An instant before the year 1 or after 9999 has no ISO text that other readers know. */
function hasWritableBounds({ bounds, column }: ColumnSummary): boolean {
  if (column.type !== 'timestamp' || bounds === undefined) return true;
  return isOfFourDigitYear(Number(bounds.min)) && isOfFourDigitYear(Number(bounds.max));
}

function toWritten(type: ColumnSummary['column']['type'], bounds: Bounds): Bounds {
  if (type === 'timestamp') {
    return { min: isoText(bounds.min), max: isoText(bounds.max) };
  }
  if (type !== 'string') return bounds;
  const { min, max } = bounds as { min: string; max: string };
  return { min: cut(min), max: max.length > boundCharactersMax ? cutUpwards(max) : max };
}

function isoText(epochMs: Bound): string {
  return new Date(Number(epochMs)).toISOString();
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
