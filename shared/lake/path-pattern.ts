import { StreamError } from '../model/errors';
import type { Row, TablePlan } from '../model/table';
import { columnCells } from './cells';
import { boundedFolders, nullSegment, valueSegment } from './names';
import { isOfFourDigitYear } from '../model/cells';
import { partitionValue } from './partitions';
import type { PartitionRows } from './partitions';

type Part = (row: Row, task: string) => string;

/** Place of the hub partition in a task's name: `topology/stage/partition/epoch`. */
const partitionPlace = 2;

/**
 * Folders from a pattern such as `{date}/{time}/{origin}`, for NDJSON tables:
 * - `{date}`, `{time}`: `2026/01/31` and `23` (UTC) of the row's first timestamp column
 * - `{partition}`: the hub partition of the task
 * - `{name}`: the value of that column
 *
 * Rejects an unknown token or a Delta table with STREAM_TOPOLOGY_INVALID.
 */
export function compilePathPattern(
  plan: TablePlan,
  pattern: string,
): (row: Row, task: string) => string {
  if (plan.format === 'delta' || plan.partitionBy.length > 0) {
    throw invalid(plan, pattern, 'path patterns are for NDJSON tables without partitionBy');
  }
  const parts = pattern
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => compileSegment(plan, pattern, segment));
  return (row, task) => boundedFolders(parts.map((part) => `${part(row, task)}/`).join(''));
}

function compileSegment(plan: TablePlan, pattern: string, segment: string): Part {
  if (/^\.+$/.test(segment)) throw invalid(plan, pattern, `${segment} is no name of a folder`);
  // Odd places hold what was between braces.
  const pieces = segment
    .split(/[{}]/)
    .map((text, index): Part => (index % 2 === 1 ? compileToken(plan, pattern, text) : () => text));
  if (pieces.length % 2 === 0)
    throw invalid(plan, pattern, `the braces of ${segment} do not match`);
  return (row, task) => pieces.map((piece) => piece(row, task)).join('');
}

function compileToken(plan: TablePlan, pattern: string, token: string): Part {
  const place = plan.columns.findIndex(({ name }) => name === token);
  const column = plan.columns[place];
  if (column !== undefined) {
    return (row) => valueSegment(partitionValue(plan.format, column.type, row[place] ?? null));
  }
  if (token === 'partition') {
    return (_row, task) => valueSegment(task.split('/')[partitionPlace] ?? task);
  }
  if (token === 'date' || token === 'time') return compileTime(plan, pattern, token);
  throw invalid(plan, pattern, `{${token}} is neither a column nor date, time or partition`);
}

function compileTime(plan: TablePlan, pattern: string, token: 'date' | 'time'): Part {
  const place = plan.columns.findIndex(({ type }) => type === 'timestamp');
  if (place < 0) throw invalid(plan, pattern, `{${token}} needs a timestamp column`);
  return (row) => {
    const cell = row[place] ?? null;
    if (cell === null) return nullSegment;
    const [date = '', time = ''] = new Date(Number(cell)).toISOString().split('T');
    if (token === 'time') return time.slice(0, 2);
    // Years before 1 and after 9999 begin with a sign: no folder of theirs may begin with a slash.
    return isOfFourDigitYear(Number(cell)) ? date.replaceAll('-', '/') : valueSegment(date);
  };
}

function invalid(plan: TablePlan, pattern: string, what: string): StreamError {
  return new StreamError(
    'STREAM_TOPOLOGY_INVALID',
    `the path pattern '${pattern}' of table ${plan.name} cannot be used: ${what}`,
    { details: { table: plan.name, pattern } },
  );
}

/** Splits rows by the folder that the pattern gives them, in order of first appearance. */
export function splitByPattern(
  plan: TablePlan,
  folderOf: (row: Row, task: string) => string,
  task: string,
  batches: Iterable<{ readonly rows: readonly Row[] }>,
): PartitionRows[] {
  const groups = new Map<string, Row[]>();
  for (const { rows } of batches) {
    for (const [place, column] of plan.columns.entries()) {
      columnCells({ column, place }, rows, plan);
    }
    for (const row of rows) {
      const folder = folderOf(row, task);
      const group = groups.get(folder);
      if (group === undefined) groups.set(folder, [row]);
      else group.push(row);
    }
  }
  return Array.from(groups, ([folder, rows]) => ({ folder, values: {}, rows }));
}
