import { invariant } from '../model/errors';
import type { Cell, ColumnType, Row, TablePlan } from '../model/table';
import { columnCells, type PlacedColumn } from './cells';
import { partitionFolders, type PartitionEntry } from './names';

/** The rows of one flush whose partition values are the same. */
export interface PartitionRows {
  /** '' or folders with a slash at the end. */
  readonly folder: string;
  readonly values: Readonly<Record<string, string | null>>;
  readonly rows: readonly Row[];
}

/**
 * Splits rows by the plan's partition columns, in order of first appearance: by the values as the
 * log has them, never by folder, since two values may share one.
 */
export function splitByPartition(
  plan: TablePlan,
  batches: Iterable<{ readonly rows: readonly Row[] }>,
): PartitionRows[] {
  const columns = partitionColumns(plan);
  if (columns.length === 0) {
    return [{ folder: '', values: {}, rows: Array.from(batches).flatMap(({ rows }) => rows) }];
  }
  const groups = new Map<string, { values: PartitionEntry[]; rows: Row[] }>();
  for (const { rows } of batches) {
    const texts = columns.map(({ column, place }) =>
      columnCells({ column, place }, rows, plan).cells.map((cell) =>
        partitionValue(plan.format, column.type, cell),
      ),
    );
    for (const [index, row] of rows.entries()) {
      const values = texts.map((ofColumn) => ofColumn[index] ?? null);
      const key = keyOf(values);
      let group = groups.get(key);
      if (group === undefined) {
        groups.set(key, (group = { values: entriesOf(columns, values), rows: [] }));
      }
      group.rows.push(row);
    }
  }
  return Array.from(groups.values(), ({ values, rows }) => ({
    folder: partitionFolders(values),
    values: Object.fromEntries(values),
    rows,
  }));
}

function partitionColumns({ columns, partitionBy }: TablePlan): PlacedColumn[] {
  return partitionBy.map((name) => {
    const place = columns.findIndex((column) => column.name === name);
    const column = columns[place];
    invariant(column !== undefined, 'a table is partitioned by its own columns', { name });
    return { place, column };
  });
}

/** Different for different values, null among them. */
function keyOf(values: readonly (string | null)[]): string {
  const [first] = values;
  if (values.length !== 1 || first === undefined) return JSON.stringify(values);
  return first === null ? '' : `=${first}`;
}

function entriesOf(
  columns: readonly PlacedColumn[],
  values: readonly (string | null)[],
): PartitionEntry[] {
  return columns.map(({ column }, index) => [column.name, values[index] ?? null]);
}

/**
 * "Partition Value Serialization" of the Delta protocol, by which an empty string is a null. NDJSON
 * tables keep the two apart, as their lines do.
 * @param cell a canonical one
 */
export function partitionValue(
  format: TablePlan['format'],
  type: ColumnType,
  cell: Cell,
): string | null {
  if (cell === null || (cell === '' && format === 'delta')) return null;
  if (type === 'timestamp') return new Date(Number(cell)).toISOString();
  if (type === 'double' && Object.is(cell, -0)) return '-0.0';
  return String(cell);
}
