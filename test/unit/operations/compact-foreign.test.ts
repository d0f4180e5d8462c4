// Goal: compaction changes no value and no row, whoever wrote the files: what belongs together the
// log says, and a file that this writer could not write again as it is stays and is named.
import type { Action, AddAction } from '../../../shared/lake/actions';
import { encodeFile } from '../../../shared/lake/encode-file';
import { readFileRows } from '../../../shared/lake/read-file';
import { readTable } from '../../../shared/lake/table-reader';
import type { Row, TablePlan } from '../../../shared/model/table';
import type { PieceContext } from '../../../shared/operations/jobs/job-kind';
import { compactKind } from '../../../shared/operations/jobs/kinds/compact';
import {
  days,
  double,
  foreignParquet,
  int96Parquet,
  long,
  micros,
  text,
  type ForeignColumn,
} from '../../support/foreign-parquet';
import {
  addOf,
  foreignFolder,
  metaDataOf,
  protocolOf,
  putVersions,
} from '../../support/foreign-table';
import { MemoryObjects } from '../../support/lake-memory';

type Files = readonly {
  readonly path: string;
  readonly add?: Partial<AddAction>;
  readonly bytes: Uint8Array;
}[];

const deltaTypes = { integer: 'long' } as const;

function planOf(
  columns: TablePlan['columns'],
  partitionBy: readonly string[] = [],
  format: TablePlan['format'] = 'delta',
): TablePlan {
  const flush = { rowsMax: 1, bytesMax: 1, ageMaxMs: 1 };
  return { name: 'foreign', columns, partitionBy, format, flush };
}

function headOf({ columns, partitionBy }: TablePlan): Action[] {
  const fields = columns.map(({ name, nullable, type }) => ({
    ...{ name, nullable },
    type: type === 'integer' ? deltaTypes.integer : type,
  }));
  return [protocolOf(), metaDataOf(fields, { partitionColumns: partitionBy })];
}

function tableOf(plan: TablePlan, files: Files): MemoryObjects {
  const objects = new MemoryObjects();
  const adds = files.map(({ add, bytes, path }) =>
    addOf(path, { size: bytes.length, stats: null, ...add }),
  );
  putVersions(objects, 0, headOf(plan), adds);
  for (const { bytes, path } of files) {
    objects.objects.set(`${foreignFolder}/${decodeURIComponent(path)}`, bytes);
  }
  return objects;
}

async function compact(
  objects: MemoryObjects,
  plan: TablePlan,
  targetBytes = 2 ** 20,
): Promise<Record<string, unknown>> {
  const kind = compactKind({
    ...{ lake: objects, tables: [plan], clock: { nowMs: () => 1 } },
    telemetry: { emit: () => undefined },
  });
  const context: PieceContext = {
    ...{ jobId: 'job-1', folder: 'jobs/job-1/', deadlineMs: Infinity },
    beat: async () => undefined,
  };
  const { pieces, summary } = await kind.plan({ table: 'foreign', targetBytes }, context);
  const results: unknown[] = [];
  for (const { work } of pieces) {
    // As the journal of jobs keeps it.
    results.push(await kind.run(JSON.parse(JSON.stringify(work)), context));
  }
  const outcomes = { planSummary: summary, results, failures: [] };
  const report = await kind.report({ table: 'foreign', targetBytes }, outcomes, context);
  return { ...(report.summary as object), isRight: report.isRight };
}

async function rowsOf(objects: MemoryObjects, plan: TablePlan): Promise<Row[]> {
  const { files } = await readTable({ objects, folder: foreignFolder, format: plan.format });
  const rows: Row[] = [];
  for (const { name, partitionValues } of files) {
    const bytes = objects.objects.get(name) ?? new Uint8Array();
    rows.push(...(await readFileRows(plan, { name, bytes, partitionValues })));
  }
  return rows;
}

const sorted = (rows: readonly Row[]): string[] =>
  rows.map((row) => row.map((cell) => `${typeof cell}:${String(cell)}`).join('|')).sort();

describe('files that belong together', () => {
  const plan = planOf(
    [
      { name: 'n', type: 'integer', nullable: true },
      { name: 'k', type: 'string', nullable: true },
    ],
    ['k'],
  );
  const numbers = async (...values: readonly number[]): Promise<Uint8Array> =>
    (
      await encodeFile(
        plan,
        values.map((value) => [value, null]),
      )
    ).bytes;

  test('those of one folder keep the partition values that each has', async () => {
    const values = ['b', 'c', null, '__HIVE_DEFAULT_PARTITION__'];
    const files: { path: string; add: Partial<AddAction>; bytes: Uint8Array }[] = [];
    for (const [place, k] of values.entries()) {
      for (const copy of [0, 1]) {
        const path = `same/${place}-${copy}.parquet`;
        files.push({ path, add: { partitionValues: { k } }, bytes: await numbers(place, copy) });
      }
    }
    const objects = tableOf(plan, files);
    const before = sorted(await rowsOf(objects, plan));
    expect(await compact(objects, plan)).toMatchObject({
      ...{ filesBefore: 8, filesRewritten: 8, filesWritten: 4, rows: 16, isRight: true },
    });
    expect(sorted(await rowsOf(objects, plan))).toEqual(before);
  });

  test('files of the same rows do not become one file', async () => {
    const files = await Promise.all(
      [0, 1, 2, 3].map(async (file) => ({
        ...{ path: `k=a/${file}.parquet`, add: { partitionValues: { k: 'a' } } },
        bytes: await numbers(1, 2, 3),
      })),
    );
    const objects = tableOf(plan, files);
    const two = 2 * (files[0]?.bytes.length ?? 0);
    expect(await compact(objects, plan, two)).toMatchObject({ filesWritten: 2, rows: 12 });
    expect(await rowsOf(objects, plan)).toHaveLength(12);
  });

  test('those of one partition in several folders become one', async () => {
    const add = { partitionValues: { k: 'a' } };
    const objects = tableOf(plan, [
      { path: 'x1/a.parquet', add, bytes: await numbers(1) },
      { path: 'q7/b.parquet', add, bytes: await numbers(2) },
    ]);
    expect(await compact(objects, plan)).toMatchObject({ filesWritten: 1, rows: 2 });
    expect(await rowsOf(objects, plan)).toEqual([
      [1, 'a'],
      [2, 'a'],
    ]);
  });
});

describe('values of other tools', () => {
  const plan = planOf([
    { name: 'id', type: 'integer', nullable: true },
    { name: 'ratio', type: 'double', nullable: true },
    { name: 'at', type: 'timestamp', nullable: true },
    { name: 'day', type: 'date', nullable: true },
    { name: 'note', type: 'string', nullable: true },
  ]);
  const column = (name: string, element: ForeignColumn['element'], ...values: unknown[]) =>
    foreignParquet({ name, element, values });

  test.each<[string, Uint8Array, Row]>([
    [
      'an integer beyond 2^53',
      column('id', long, 9_007_199_254_740_993n),
      ['9007199254740993', null, null, null, null],
    ],
    [
      'the least integer',
      column('id', long, -(2n ** 63n)),
      ['-9223372036854775808', null, null, null, null],
    ],
    ['a negative zero', column('ratio', double, -0), [null, -0, null, null, null]],
    ['whole milliseconds before 1970', column('at', micros, -1_000n), [null, null, -1, null, null]],
    [
      'INT96 in whole milliseconds before 1970',
      int96Parquet('at', [-1_000_000n]),
      [null, null, -1, null, null],
    ],
    [
      'a mark at the beginning of a text',
      column('note', text, '\ufeffa'),
      [null, null, null, null, '\ufeffa'],
    ],
    ['a day', column('day', days, -1), [null, null, null, '1969-12-31', null]],
  ])('%s is kept', async (_what, bytes, row) => {
    const objects = tableOf(plan, [
      { path: 'a.parquet', bytes },
      { path: 'b.parquet', bytes },
    ]);
    expect(await compact(objects, plan)).toMatchObject({ filesWritten: 1, filesLeftAlone: 0 });
    expect(sorted(await rowsOf(objects, plan))).toEqual(sorted([row, row]));
    const [cell] = (await rowsOf(objects, plan)).map((found) => found[1]);
    expect(Object.is(cell, row[1])).toBe(true);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['NaN', column('ratio', double, 1, NaN), /column ratio \(double\) holds NaN/],
    ['an infinity', column('ratio', double, -Infinity), /holds -Infinity/],
    ['microseconds', column('at', micros, 1_577_836_800_000_123n), /holds 1577836800000\.123 ms/],
    ['microseconds before 1970', column('at', micros, -1n), /holds -0\.001 ms/],
    ['microseconds in INT96', int96Parquet('at', [1_577_836_800_000_123_000n]), /000\.123 ms/],
    ['nanoseconds in INT96', int96Parquet('at', [1n]), /holds 0\.000001 ms/],
    ['a day of year 0', column('day', days, -719_528), /holds 0000-01-01/],
    ['a year beyond 9999', column('day', days, 3_000_000), /column day \(date\) holds \+0?10/],
    ['a text for a number', column('id', text, 'seven'), /column id \(integer\) holds seven/],
    ['a column in other case', column('ID', long, 1n), /ID differs from the table's id in case/],
  ])(
    '%s: the file is left alone and named, the others are compacted',
    async (_what, bytes, why) => {
      const plain = foreignParquet({ name: 'id', element: long, values: [1n, 2n] });
      const objects = tableOf(plan, [
        { path: 'a.parquet', bytes: plain },
        { path: 'odd.parquet', bytes },
        { path: 'c.parquet', bytes: plain },
      ]);
      expect(await compact(objects, plan)).toMatchObject({
        ...{ filesRewritten: 2, filesWritten: 1, filesLeftAlone: 1, rows: 4, isRight: true },
        leftAlone: [{ path: 'odd.parquet', why: expect.stringMatching(why) }],
      });
      const { files } = await readTable({ objects, folder: foreignFolder, format: 'delta' });
      expect(files.map(({ add }) => add.path)).toContain('odd.parquet');
      expect(objects.objects.get(`${foreignFolder}/odd.parquet`)).toEqual(bytes);
    },
  );

  test('null in a required column leaves its file alone', async () => {
    const required = planOf([{ name: 'id', type: 'integer', nullable: false }]);
    const objects = tableOf(required, [
      { path: 'a.parquet', bytes: column('id', long, null) },
      { path: 'b.parquet', bytes: column('id', long, 1n) },
    ]);
    expect(await compact(objects, required)).toMatchObject({
      outcome: 'nothing to do',
      leftAlone: [{ why: 'column id is required and null in it' }],
    });
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['cut short', (bytes) => bytes.subarray(0, bytes.length - 20)],
    ['no Parquet', () => Buffer.from('{"id":1}')],
    ['of no bytes', () => new Uint8Array()],
  ])('a file that is %s is an error that names it', async (_what, damage) => {
    const whole = column('id', long, 1n, 2n);
    const objects = tableOf(plan, [
      { path: 'a.parquet', bytes: whole },
      { path: 'bad.parquet', bytes: damage(whole) },
    ]);
    const compacting = compact(objects, plan);
    await expect(compacting).rejects.toMatchObject({ code: 'STREAM_FILE_UNREADABLE' });
    await expect(compacting).rejects.toThrow(`${foreignFolder}/bad.parquet`);
  });

  test('a file with other rows than the log says is an error that names it', async () => {
    const bytes = column('id', long, 1n, 2n);
    const objects = tableOf(plan, [
      { path: 'a.parquet', bytes },
      { path: 'b.parquet', bytes, add: { stats: '{"numRecords":3}' } },
    ]);
    await expect(compact(objects, plan)).rejects.toThrow(/b\.parquet.*2 rows.*says 3/);
  });

  test('a table of NDJSON keeps its 64-bit integers and its negative zeros', async () => {
    const lines = { ...plan, format: 'ndjson' } as const;
    const objects = new MemoryObjects();
    const rows: Row[] = [
      ['9007199254740993', -0, 1, '2026-01-01', '"9007199254740993" \\" 1.1234567890123456789'],
      [1, 12345678901234567000000, -1, null, null],
    ];
    const { bytes } = await encodeFile(lines, rows);
    const [protocol, head] = headOf(lines);
    const metaData = head?.metaData && {
      metaData: { ...head.metaData, format: { provider: 'ndjson', options: {} } },
    };
    const entry = [protocol, metaData, addOf('a.ndjson'), addOf('b.ndjson')];
    for (const path of ['a.ndjson', 'b.ndjson']) {
      objects.objects.set(`${foreignFolder}/${path}`, bytes);
    }
    const text = entry.map((action) => `${JSON.stringify(action)}\n`).join('');
    const adds = text.replaceAll('"{\\"numRecords\\":1}"', '"{\\"numRecords\\":2}"');
    objects.objects.set(`${foreignFolder}/_millrace_log/${'0'.repeat(20)}.json`, Buffer.from(adds));
    expect(await compact(objects, lines)).toMatchObject({ filesWritten: 1, rows: 4 });
    const [name = ''] = objects.names('compact-');
    expect(Buffer.from(objects.objects.get(name) ?? []).toString()).toBe(
      Buffer.from(bytes).toString().repeat(2),
    );
  });
});

test.each<[string, readonly Action[], RegExp]>([
  [
    'columns that differ in case alone',
    [
      metaDataOf([
        { name: 'old', type: 'long' },
        { name: 'Old', type: 'long' },
      ]),
    ],
    /old and Old/,
  ],
  [
    'columns of types that we do not write',
    [metaDataOf([{ name: 'id', type: 'decimal(10,2)' }])],
    /decimal/,
  ],
  [
    'features that only writers must know',
    [protocolOf(['rowTracking'], { reader: 1 })],
    /rowTracking/,
  ],
  ['deletion vectors', [protocolOf(['deletionVectors'])], /deletionVectors/],
])('a table with %s is refused', async (_what, actions, message) => {
  const plan = planOf([{ name: 'id', type: 'integer', nullable: true }]);
  const bytes = foreignParquet({ name: 'id', element: long, values: [1n] });
  const objects = tableOf(plan, [
    { path: 'a.parquet', bytes },
    { path: 'b.parquet', bytes },
  ]);
  putVersions(objects, 2, actions);
  const compacting = compact(objects, plan);
  await expect(compacting).rejects.toMatchObject({ code: 'STREAM_TABLE_INCOMPATIBLE' });
  await expect(compacting).rejects.toThrow(message);
});
