import type { Row } from '../../shared/model/table';
import { readTable } from '../../shared/lake/table-reader';
import { askDuckDb } from '../support/lake-duckdb';
import { MemoryObjects, flightsPlan, openTestTable } from '../support/lake-memory';

const folder = 'tables/flights';

const rows: Row[] = [
  ['plain', 1, 0.5, true, Date.UTC(2001, 0, 1, 12, 30, 15, 250), '2001-01-01'],
  ['', Number.MAX_SAFE_INTEGER, -1.5e300, false, -1, '1969-12-31'],
  ['žluťoučký 🐎 \ud83d\ude00 \uffee', Number.MIN_SAFE_INTEGER, 0, null, 0, null],
  ['x'.repeat(500), -1, null, true, null, '9999-12-31'],
  ['nulls', null, null, null, null, null],
];

test('DuckDB reads every type back', async () => {
  const objects = new MemoryObjects();
  const table = openTestTable(objects);
  await table.flush({ task: 't', batches: [{ commit: 1, rows }] });
  const { files } = await readTable({ objects, folder, format: 'delta' });
  const answer = await askDuckDb(
    objects,
    files.map(({ name }) => name),
    (fileOf) =>
      `SET TimeZone='UTC'; SELECT id, number, ratio, late, epoch_ms("at"), CAST(day AS VARCHAR), typeof("at")
       FROM read_parquet('${fileOf(files[0]?.name ?? '')}')`,
  );
  expect(answer).toEqual(
    rows.map((row) => [
      ...row
        .map((cell, place) => (place === 1 || place === 4 ? cell && String(cell) : cell))
        .map((c, p) => ((p === 1 || p === 4) && c === 0 ? '0' : c)),
      'TIMESTAMP WITH TIME ZONE',
    ]),
  );
  expect(flightsPlan.columns).toHaveLength(6);
});
