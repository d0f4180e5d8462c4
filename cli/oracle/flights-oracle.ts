/**
 * What the tables of the topology `flights` must hold, computed by DuckDB from the original file.
 * It shares no code with the engine.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ObjectStore } from '../../shared/model/ports';
import { tableFolder } from '../../shared/lake/names';
import { listLiveFiles } from '../../shared/lake/table-reader';
import { flightsFile } from '../replay/flights-file';
import { importDuckDb } from './duckdb';

export interface TableComparison {
  readonly table: string;
  readonly expected: number;
  readonly found: number;
  /** Rows that should be there and are not; rows that should not be there and are. */
  readonly missing: number;
  readonly extra: number;
  readonly sample: readonly unknown[];
}

const cleanColumns = `id, month, epoch_ms("time") AS time, origin, destination, distance, delay`;

/** Compares both tables with the first `events` flights as multisets. */
export async function compareFlights(options: {
  readonly lake: ObjectStore;
  readonly events: number;
  /** Where copies of the tables' files are put. */
  readonly workDirectory: string;
}): Promise<TableComparison[]> {
  const { events, lake, workDirectory } = options;
  const query = await openDuckDb();
  const source = `(SELECT file_row_number AS id, epoch_ms(date) AS time, strftime(date, '%Y-%m') AS month,
      strftime(date, '%Y-%m-%d') AS day, delay, distance, origin, destination
    FROM read_parquet('${flightsFile()}', file_row_number = true)
    WHERE file_row_number < ${events} AND delay >= -180)`;
  const clean = await copyTable(lake, 'flights_clean', workDirectory);
  const days = await copyTable(lake, 'airport_days', workDirectory);
  return [
    await compare(query, {
      table: 'flights_clean',
      expected: `SELECT id, month, time, origin, destination, distance, delay FROM ${source}`,
      found: `SELECT ${cleanColumns} FROM ${readFiles(clean)}`,
    }),
    await compare(query, {
      table: 'airport_days',
      expected: `SELECT origin, day, count(*) AS flights, round(sum(delay)::DOUBLE / count(*), 9) AS mean,
          max(delay) AS worst, round(sum((delay > 15)::INT)::DOUBLE / count(*), 9) AS late
        FROM ${source} GROUP BY origin, day`,
      found: `SELECT origin, strftime(day, '%Y-%m-%d') AS day, flights, round(meanDelay, 9) AS mean,
          worstDelay AS worst, round(lateShare, 9) AS late FROM ${readFiles(days)}`,
    }),
  ];
}

type Query = (sql: string) => Promise<Record<string, unknown>[]>;

export async function openDuckDb(): Promise<Query> {
  const duckdb = await importDuckDb();
  const instance = await duckdb.DuckDBInstance.create();
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  return async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJson();
}

/** Copies a table's live files to a folder, keeping their partition folders. */
async function copyTable(
  lake: ObjectStore,
  table: string,
  workDirectory: string,
): Promise<string[]> {
  const files: string[] = [];
  for (const { name } of await listLiveFiles({ objects: lake, folder: tableFolder(table) })) {
    const bytes = await lake.get(name);
    if (bytes === undefined) throw new Error(`the live file ${name} is gone`);
    const file = join(workDirectory, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    files.push(file);
  }
  return files;
}

/** A DuckDB source of those files; partition columns come from the folders, as text. */
function readFiles(files: readonly string[]): string {
  const list = files.map((file) => `'${file.replaceAll("'", "''")}'`).join(', ');
  return `read_parquet([${list}], hive_partitioning = true, hive_types_autocast = false)`;
}

async function compare(
  query: Query,
  what: { readonly table: string; readonly expected: string; readonly found: string },
): Promise<TableComparison> {
  const count = async (sql: string): Promise<number> => {
    const [row] = await query(`SELECT count(*)::INT AS n FROM (${sql})`);
    return Number(row?.['n']);
  };
  const missing = `(${what.expected}) EXCEPT ALL (${what.found})`;
  const extra = `(${what.found}) EXCEPT ALL (${what.expected})`;
  return {
    table: what.table,
    expected: await count(what.expected),
    found: await count(what.found),
    missing: await count(missing),
    extra: await count(extra),
    sample: [...(await query(`${missing} LIMIT 3`)), ...(await query(`${extra} LIMIT 3`))],
  };
}
