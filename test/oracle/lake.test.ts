import fc from 'fast-check';
import type { LakeBatch } from '../../shared/lake/lake-table';
import { readTable } from '../../shared/lake/table-reader';
import type { Cell, Row, TablePlan } from '../../shared/model/table';
import { askDuckDb } from '../support/lake-duckdb';
import { MemoryObjects, flightsPlan, openTestTable } from '../support/lake-memory';
import { batchOf } from '../support/lake-rows';

const folder = 'tables/flights';
const edgeRows: Row[] = [
  ['plain', 1, 0.5, true, Date.UTC(2001, 0, 1, 12, 30, 15, 250), '2001-01-01'],
  ['', Number.MAX_SAFE_INTEGER, -1.5e300, false, -1, '1969-12-31'],
  ['žluťoučký 🐎 \u{10FFFF} \uffee', Number.MIN_SAFE_INTEGER, 0, null, 0, null],
  ['x'.repeat(500), -1, null, true, null, '9999-12-31'],
  ['far', 2 ** 32, 5e-324, true, Date.UTC(9999, 11, 31) + 1, '0001-01-01'],
  ['nulls', null, null, null, null, null],
];

const day = fc
  .date({ min: new Date('1900-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));
const anyRow = fc.tuple(
  fc.string({ unit: 'binary' }),
  fc.option(fc.oneof(fc.maxSafeInteger(), fc.constantFrom(0, 1, 2, 3))),
  fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
  fc.option(fc.boolean()),
  fc.option(fc.integer({ min: -4e12, max: 9e12 })),
  fc.option(day),
);

/** A row as text, the same way for what went in and for what DuckDB read. */
function spell(row: readonly Cell[]): string {
  const [id, number = null, ratio = null, late, at = null, date] = row;
  const double = ratio === null ? null : Number(ratio);
  return JSON.stringify([
    id,
    number === null ? null : String(number),
    Object.is(double, -0) ? '-0' : String(double),
    late,
    at === null ? null : String(at),
    date,
  ]);
}

async function readByDuckDb(objects: MemoryObjects, plan: TablePlan): Promise<string[]> {
  const { files } = await readTable({ objects, folder, format: plan.format });
  const rows = await askDuckDb(
    objects,
    files.map(({ name }) => name),
    (fileOf) => `
      SELECT id, CAST(number AS VARCHAR), CAST(ratio AS VARCHAR), late,
             epoch_us("at")::VARCHAR, CAST(day AS VARCHAR)
      FROM read_parquet([${files.map(({ name }) => `'${fileOf(name).replaceAll("'", "''")}'`).join(', ')}],
                        hive_partitioning = ${plan.partitionBy.length > 0}, hive_types_autocast = false)`,
  );
  return (rows as Cell[][]).map(spell).sort();
}

/** What went in, its milliseconds as the microseconds that the files hold. */
function spellIn(rows: readonly Row[]): string[] {
  const micros = (atMs: Cell): Cell => (atMs === null || atMs === 0 ? atMs : `${atMs}000`);
  return rows
    .map(([id, number, ratio, late, at, date]) =>
      spell([
        id ?? null,
        number ?? null,
        ratio ?? null,
        late ?? null,
        micros(at ?? null),
        date ?? null,
      ]),
    )
    .sort();
}

test('edges of every type, with nulls and unicode', async () => {
  const objects = new MemoryObjects();
  await openTestTable(objects).flush({ task: 't', batches: [{ commit: 1, rows: edgeRows }] });
  expect(await readByDuckDb(objects, flightsPlan)).toEqual(spellIn(edgeRows));
});

test('any rows at all', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyRow, { minLength: 1, maxLength: 300 }), async (rows) => {
      const objects = new MemoryObjects();
      await openTestTable(objects).flush({ task: 't', batches: [{ commit: 1, rows }] });
      expect(await readByDuckDb(objects, flightsPlan)).toEqual(spellIn(rows));
    }),
    { numRuns: 40 },
  );
});

test.each([1, 7, 8, 9, 32_767, 32_768, 32_769, 100_000])(
  '%i rows: pages, dictionaries and bit-packed runs end anywhere',
  async (count) => {
    const rows: Row[] = Array.from({ length: count }, (_, index) => [
      `id ${index % 5_000}`,
      index % 3 === 0 ? null : index % 1_000,
      index / 7,
      index % 5 === 0 ? null : index % 2 === 0,
      1_600_000_000_000 + index * 37,
      `2020-02-${String((index % 29) + 1).padStart(2, '0')}`,
    ]);
    const objects = new MemoryObjects();
    await openTestTable(objects).flush({ task: 't', batches: [{ commit: 1, rows }] });
    expect(await readByDuckDb(objects, flightsPlan)).toEqual(spellIn(rows));
  },
);

test('types as Delta names them', async () => {
  const objects = new MemoryObjects();
  await openTestTable(objects).flush({ task: 't', batches: [{ commit: 1, rows: edgeRows }] });
  const { files } = await readTable({ objects, folder, format: 'delta' });
  const [name = ''] = files.map((file) => file.name);
  const described = await askDuckDb(
    objects,
    [name],
    (fileOf) => `DESCRIBE SELECT * FROM read_parquet('${fileOf(name)}')`,
  );
  expect(described.map(([column, type]) => [column, type])).toEqual([
    ['id', 'VARCHAR'],
    ['number', 'BIGINT'],
    ['ratio', 'DOUBLE'],
    ['late', 'BOOLEAN'],
    ['at', 'TIMESTAMP WITH TIME ZONE'],
    ['day', 'DATE'],
  ]);
});

describe('folders', () => {
  const odd = [
    'plain',
    'a/b',
    'a=b&c',
    '100%',
    "it's",
    'two words',
    'žluť 🐎',
    '..',
    '#?*:[]{}^"\\',
    'x%2Fy',
    '+',
    '\t\u007f',
  ];
  const plan: TablePlan = {
    ...flightsPlan,
    columns: flightsPlan.columns.map((column) => ({ ...column, nullable: true })),
    partitionBy: ['id', 'day'],
  };
  const rows: Row[] = [...odd, null].flatMap((value, index) => [
    [value, index, 1, true, 1_000, '2020-02-29'],
    [value, index, 2, false, 2_000, null],
  ]);

  test('values with odd characters, and nulls, come back through folder names', async () => {
    const objects = new MemoryObjects();
    const result = await openTestTable(objects, { plan }).flush({
      task: 't',
      batches: [{ commit: 1, rows }],
    });
    expect(result).toMatchObject({ files: rows.length, rowsWritten: rows.length });
    expect(await readByDuckDb(objects, plan)).toEqual(spellIn(rows));
  });

  test('the log names the same values, and paths that lead to the files', async () => {
    const objects = new MemoryObjects();
    await openTestTable(objects, { plan }).flush({ task: 't', batches: [{ commit: 1, rows }] });
    const { files, version } = await readTable({ objects, folder, format: 'delta' });
    expect(version).toBe(1);
    expect(files.map(({ partitionValues }) => partitionValues['id'])).toEqual(
      rows.map(([id]) => id),
    );
    for (const { name, bytes } of files) expect(objects.objects.get(name)?.length).toBe(bytes);
  });

  test('300 folders in one flush are one commit', async () => {
    const objects = new MemoryObjects();
    const many: Row[] = Array.from({ length: 300 }, (_, index) => [
      `p${index}`,
      index,
      1,
      true,
      1,
      null,
    ]);
    await openTestTable(objects, { plan }).flush({
      task: 't',
      batches: [{ commit: 1, rows: many }],
    });
    expect((await readTable({ objects, folder, format: 'delta' })).version).toBe(1);
    expect(await readByDuckDb(objects, plan)).toEqual(spellIn(many));
  });
});

test('NDJSON files hold the same rows', async () => {
  for (const format of ['ndjson', 'ndjson-gzip'] as const) {
    const objects = new MemoryObjects();
    const plan: TablePlan = { ...flightsPlan, format, partitionBy: ['day'] };
    const rows = edgeRows.slice(0, 4);
    await openTestTable(objects, { plan }).flush({ task: 't', batches: [{ commit: 1, rows }] });
    const { files } = await readTable({ objects, folder, format });
    const read = await askDuckDb(
      objects,
      files.map(({ name }) => name),
      (fileOf) => `
        SELECT id, number::VARCHAR, ratio::VARCHAR, late, epoch_us("at"::TIMESTAMP)::VARCHAR, day
        FROM read_json([${files.map(({ name }) => `'${fileOf(name)}'`).join(', ')}],
             columns = {id: 'VARCHAR', number: 'BIGINT', ratio: 'DOUBLE', late: 'BOOLEAN', "at": 'VARCHAR', day: 'VARCHAR'},
             format = 'newline_delimited', hive_partitioning = false)`,
    );
    expect((read as Cell[][]).map(spell).sort()).toEqual(spellIn(rows));
  }
});

test('DuckDB reads a checkpoint as the protocol lays it out', async () => {
  const objects = new MemoryObjects();
  const plan: TablePlan = { ...flightsPlan, partitionBy: ['day'] };
  const table = openTestTable(objects, { plan, checkpointEvery: 5 });
  const batches: LakeBatch[] = [];
  for (let commit = 1; commit <= 5; commit += 1) {
    batches.push(batchOf('t', commit));
    await table.flush({ task: 't', batches });
  }
  const name = `${folder}/_delta_log/00000000000000000005.checkpoint.parquet`;
  const rows = await askDuckDb(
    objects,
    [name],
    (fileOf) => `
      SELECT txn.appId, txn.version::INT, add.path, add.partitionValues['day'], add.size::INT,
             json_extract(add.stats, '$.numRecords')::INT, protocol.minReaderVersion::INT,
             protocol.minWriterVersion::INT, metaData.partitionColumns[1], metaData.format.provider,
             cardinality(metaData.configuration)::INT, add.dataChange, remove.path
      FROM read_parquet('${fileOf(name)}')`,
  );
  const { files } = await readTable({ objects, folder, format: 'delta' });
  const none = (length: number): null[] => Array.from({ length }, () => null);
  expect(rows).toEqual([
    [...none(6), 1, 2, ...none(5)],
    [...none(8), 'day', 'parquet', 0, ...none(2)],
    ['t', 5, ...none(11)],
    ...files.map((file) => [
      null,
      null,
      decodeURIComponent(file.name.slice(folder.length + 1)),
      file.partitionValues['day'],
      file.bytes,
      file.rows,
      ...none(5),
      false,
      null,
    ]),
  ]);
});
