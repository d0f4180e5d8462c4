// Goal: files in every compression that DuckDB writes are read as DuckDB reads them, and compacted
// into one that it reads alike.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { readTable } from '../../shared/lake/table-reader';
import { compactKind } from '../../shared/operations/jobs/kinds/compact';
import type { TablePlan } from '../../shared/model/table';
import { askDuckDb } from '../support/lake-duckdb';
import {
  addOf,
  foreignFolder,
  metaDataOf,
  protocolOf,
  putVersions,
} from '../support/foreign-table';
import { MemoryObjects } from '../support/lake-memory';

const codecs = ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4_raw'];
const rowsEach = 3_000;

async function writtenByDuckDb(): Promise<Map<string, Uint8Array>> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-codecs-'));
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const connection = await instance.connect();
    const files = new Map<string, Uint8Array>();
    for (const [place, codec] of codecs.entries()) {
      const path = join(folder, `${codec}.parquet`);
      await connection.run(
        `COPY (SELECT i * 461168601842738 + ${place} AS id, i / 7::DOUBLE AS ratio,
            CASE WHEN i % 5 = 0 THEN NULL ELSE 'note ' || (i % 1000) || ' ü' END AS note,
            TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL (i) MILLISECOND AS at,
            DATE '2020-01-01' + (i % 400)::INT AS day, i % 3 = 0 AS flag
          FROM range(${rowsEach}) t(i)) TO '${path}' (FORMAT parquet, COMPRESSION ${codec})`,
      );
      files.set(`${codec}.parquet`, readFileSync(path));
    }
    connection.closeSync();
    return files;
  } finally {
    instance.closeSync();
    rmSync(folder, { recursive: true, force: true });
  }
}

const plan: TablePlan = {
  name: 'foreign',
  columns: [
    { name: 'id', type: 'integer', nullable: true },
    { name: 'ratio', type: 'double', nullable: true },
    { name: 'note', type: 'string', nullable: true },
    { name: 'at', type: 'timestamp', nullable: true },
    { name: 'day', type: 'date', nullable: true },
    { name: 'flag', type: 'boolean', nullable: true },
  ],
  ...{ partitionBy: [], format: 'delta' },
  flush: { rowsMax: 1, bytesMax: 1, ageMaxMs: 1 },
};

test('compaction of files in every compression keeps every row', async () => {
  const objects = new MemoryObjects();
  const files = await writtenByDuckDb();
  for (const [path, bytes] of files) objects.objects.set(`${foreignFolder}/${path}`, bytes);
  const fields = plan.columns.map(({ name, type }) => ({
    ...{ name, type: type === 'integer' ? 'long' : type },
  }));
  const adds = Array.from(files, ([path, { length }]) =>
    addOf(path, { size: length, stats: JSON.stringify({ numRecords: rowsEach }) }),
  );
  putVersions(objects, 0, [protocolOf(), metaDataOf(fields)], adds);
  const kind = compactKind({
    ...{ lake: objects, tables: [plan], clock: { nowMs: () => 1 } },
    telemetry: { emit: () => undefined },
  });
  const context = {
    ...{ jobId: 'job-1', folder: 'jobs/job-1/', deadlineMs: Infinity },
    beat: async () => undefined,
  };
  const options = { table: 'foreign', targetBytes: 2 ** 30 };
  const { pieces, summary } = await kind.plan(options, context);
  const results = await Promise.all(pieces.map(({ work }) => kind.run(work, context)));
  const outcomes = { planSummary: summary, results, failures: [] };
  expect((await kind.report(options, outcomes, context)).summary).toMatchObject({
    ...{ filesRewritten: codecs.length, filesWritten: 1, filesLeftAlone: 0 },
    rows: codecs.length * rowsEach,
  });
  const { files: after } = await readTable({ objects, folder: foreignFolder, format: 'delta' });
  const before = Array.from(files.keys(), (path) => `${foreignFolder}/${path}`);
  const names = [...before, ...after.map(({ name }) => name)];
  const differences = await askDuckDb(objects, names, (fileOf) => {
    const old = `read_parquet([${before.map((name) => `'${fileOf(name)}'`).join(', ')}])`;
    const fresh = `read_parquet('${fileOf(after[0]?.name ?? '')}')`;
    return `SELECT (SELECT count(*)::INT FROM (FROM ${old} EXCEPT ALL FROM ${fresh})),
      (SELECT count(*)::INT FROM (FROM ${fresh} EXCEPT ALL FROM ${old})), (SELECT count(*)::INT FROM ${fresh})`;
  });
  expect(differences).toEqual([[0, 0, codecs.length * rowsEach]]);
}, 60_000);
