import { gunzipSync } from 'node:zlib';
import { parquetReadObjects } from 'hyparquet';
import { readTable } from '../../shared/lake/table-reader';
import type { LakeBatch } from '../../shared/lake/lake-table';
import type { ObjectStore } from '../../shared/model/ports';
import type { Row, TablePlan } from '../../shared/model/table';

/** A commit of a few rows whose ids name task, commit and place. */
export function batchOf(task: string, commit: number, count = 3): LakeBatch {
  const rows: Row[] = Array.from({ length: count }, (_, index) => [
    `${task}:${commit}:${index}`,
    commit,
    index / 2,
    index % 2 === 0,
    Date.UTC(2020, 0, 1) + commit * 1000,
    `2020-01-${String((commit % 3) + 1).padStart(2, '0')}`,
  ]);
  return { commit, rows };
}

export function batchesOf(task: string, first: number, last: number): LakeBatch[] {
  return Array.from({ length: last - first + 1 }, (_, index) => batchOf(task, first + index));
}

export function idsOf(batches: readonly LakeBatch[]): string[] {
  return batches.flatMap(({ rows }) => rows.map(([id]) => String(id))).sort();
}

/** The ids of all rows in a table, read through its log. */
export async function readIds(
  objects: ObjectStore,
  folder = 'tables/flights',
  format: TablePlan['format'] = 'delta',
): Promise<string[]> {
  const { files } = await readTable({ objects, folder, format });
  const ids: string[] = [];
  for (const { name, rows } of files) {
    const bytes = await objects.get(name);
    if (bytes === undefined) throw new Error(`the table refers to ${name}, which is gone`);
    const found = await readFileIds(bytes, format);
    if (found.length !== rows) throw new Error(`${name}: ${found.length} rows, stats say ${rows}`);
    ids.push(...found);
  }
  return ids.sort();
}

async function readFileIds(bytes: Uint8Array, format: TablePlan['format']): Promise<string[]> {
  if (format === 'delta') {
    const file = Uint8Array.from(bytes).buffer;
    return (await parquetReadObjects({ file, columns: ['id'] })).map((row) => String(row['id']));
  }
  const text = (format === 'ndjson' ? Buffer.from(bytes) : gunzipSync(bytes)).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { id: string }).id);
}
