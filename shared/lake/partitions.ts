import { invariant } from '../model/errors';
import type { Cell, Column, ColumnType, Row, TablePlan } from '../model/table';
import { assertCells } from './cells';
import { partitionSegment } from './names';

/** The rows of one flush that belong to one folder. */
export interface PartitionRows {
  /** '' or folders with a slash at the end. */
  readonly folder: string;
  readonly values: Readonly<Record<string, string | null>>;
  readonly rows: readonly Row[];
}

/** Splits rows by the plan's partition columns, in order of first appearance. */
export function splitByPartition(
  plan: TablePlan,
  batches: Iterable<{ readonly rows: readonly Row[] }>,
): PartitionRows[] {
  const columns = plan.partitionBy.map((name) => {
    const place = plan.columns.findIndex((column) => column.name === name);
    const column = plan.columns[place];
    invariant(column !== undefined, 'a table is partitioned by its own columns', { name });
    return { name, place, column };
  });
  const groups = new Map<string, { values: Record<string, string | null>; rows: Row[] }>();
  for (const { rows } of batches) {
    for (const { column, place } of columns) {
      assertCells(
        column,
        rows.map((row) => row[place] ?? null),
      );
    }
    for (const row of rows) {
      const key = columns.length === 0 ? '' : keyOf(columns, row);
      let group = groups.get(key);
      if (group === undefined)
        groups.set(key, (group = { values: valuesOf(columns, row), rows: [] }));
      group.rows.push(row);
    }
  }
  return Array.from(groups.values(), ({ values, rows }) => ({
    folder: columns.map(({ name }) => `${partitionSegment(name, values[name] ?? null)}/`).join(''),
    values,
    rows,
  }));
}

interface PartitionColumn {
  readonly name: string;
  readonly place: number;
  readonly column: Column;
}

function keyOf(columns: readonly PartitionColumn[], row: Row): string {
  const [first] = columns;
  if (columns.length === 1 && first)
    return partitionValue(first.column.type, row[first.place]) ?? '';
  return JSON.stringify(
    columns.map(({ column, place }) => partitionValue(column.type, row[place])),
  );
}

function valuesOf(columns: readonly PartitionColumn[], row: Row): Record<string, string | null> {
  return Object.fromEntries(
    columns.map(({ name, column, place }) => [name, partitionValue(column.type, row[place])]),
  );
}

/** "Partition Value Serialization" of the Delta protocol, by which an empty string is a null. */
export function partitionValue(type: ColumnType, cell: Cell | undefined): string | null {
  if (cell === null || cell === undefined || cell === '') return null;
  if (type === 'timestamp') return new Date(Number(cell)).toISOString();
  return String(cell);
}
