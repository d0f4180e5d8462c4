/** Tables of any plan, written by the lake's writer and read back whole. */
import { readFileRows } from '../../shared/lake/read-file';
import { readTable, type TableContents } from '../../shared/lake/table-reader';
import type { Column, Row, TablePlan } from '../../shared/model/table';
import { MemoryObjects, openTestTable } from './lake-memory';

export const tableFolder = 'tables/t';

export const columnOf = (name: string, type: Column['type'], nullable = true): Column => ({
  ...{ name, type, nullable },
});

export function planOf(
  columns: readonly Column[],
  partitionBy: readonly string[] = [],
  format: TablePlan['format'] = 'delta',
): TablePlan {
  const flush = { rowsMax: 1e6, bytesMax: 1e9, ageMaxMs: 60_000 };
  return { name: 't', columns, partitionBy, format, flush };
}

/** One flush of these rows into a new table. */
export async function written(plan: TablePlan, rows: readonly Row[]): Promise<MemoryObjects> {
  const objects = new MemoryObjects();
  const table = openTestTable(objects, { plan, folder: tableFolder });
  await table.flush({ task: 'topology/stage/0/1', batches: [{ commit: 1, rows }] });
  return objects;
}

export function contentsOf(plan: TablePlan, objects: MemoryObjects): Promise<TableContents> {
  return readTable({ objects, folder: tableFolder, format: plan.format });
}

/** All rows, file after file, each with as many rows as the log says. */
export async function rowsOf(plan: TablePlan, objects: MemoryObjects): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { name, partitionValues, rows: count } of (await contentsOf(plan, objects)).files) {
    const bytes = objects.objects.get(name);
    if (bytes === undefined) throw new Error(`the log names ${name}, which is not there`);
    const found = await readFileRows(plan, { bytes, partitionValues });
    if (found.length !== count) throw new Error(`${name}: ${found.length} rows, not ${count}`);
    rows.push(...found);
  }
  return rows;
}

/** The statistics of a table's only file, as text. */
export async function statsOf(plan: TablePlan, objects: MemoryObjects): Promise<string> {
  const { files } = await contentsOf(plan, objects);
  if (files.length !== 1) throw new Error(`${files.length} files`);
  return files[0]?.add.stats ?? '';
}
