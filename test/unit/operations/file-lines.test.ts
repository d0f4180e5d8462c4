// Goal: a file that is read again as events gives each value whole or a letter, never another value;
// and what a line means does not depend on the lines around it.
import { Type } from 'typebox';
import { gzipSync } from 'node:zlib';
import { decodeMessage } from '../../../shared/ingest/decode';
import { fileLines, packLines, tableLines } from '../../../shared/operations/backfill/file-lines';
import { readTable } from '../../../shared/lake/table-reader';
import { Timestamp, topology } from '../../../shared/dataflow';
import {
  days,
  double,
  foreignParquet,
  int96Parquet,
  long,
  micros,
  text,
} from '../../support/foreign-parquet';
import { addOf, metaDataOf, protocolOf } from '../../support/foreign-table';
import { aJobWorker, createJob, reportOf, work } from '../../support/job-world';
import { readIntegers } from '../../support/read-integers';
import { StageWorld } from '../../support/stage-world';

const bytesOf = (content: string): Buffer => Buffer.from(content);
const textsOf = (lines: readonly Uint8Array[]): string[] =>
  lines.map((line) => Buffer.from(line).toString());

describe('rows of Parquet keep every digit', () => {
  test.each<[string, Uint8Array, string[]]>([
    [
      'integers of 64 bits',
      foreignParquet({
        name: 'id',
        element: long,
        values: [9_007_199_254_740_993n, -(2n ** 63n), 1n],
      }),
      ['{"id":9007199254740993}', '{"id":-9223372036854775808}', '{"id":1}'],
    ],
    [
      'what no number of JSON can be',
      foreignParquet({ name: 'x', element: double, values: [NaN, Infinity, -0, 1.5, null] }),
      ['{"x":"NaN"}', '{"x":"Infinity"}', '{"x":-0.0}', '{"x":1.5}', '{"x":null}'],
    ],
    [
      'microseconds, also before 1970',
      foreignParquet({
        name: 'at',
        element: micros,
        values: [1_500_000n, 1_500_001n, -1n, -1_500n],
      }),
      ['{"at":1500}', '{"at":1500.001}', '{"at":-0.001}', '{"at":-1.5}'],
    ],
    ['INT96', int96Parquet('at', [1_000_000n, -1n]), ['{"at":1}', '{"at":-0.000001}']],
    [
      'days',
      foreignParquet({ name: 'day', element: days, values: [0, -1] }),
      ['{"day":"1970-01-01"}', '{"day":"1969-12-31"}'],
    ],
    [
      'decimals in integers',
      foreignParquet({
        name: 'price',
        element: { ...long, converted_type: 'DECIMAL', precision: 18, scale: 3 },
        values: [123_456_789_012_345_678n, -5n],
      }),
      ['{"price":123456789012345.678}', '{"price":-0.005}'],
    ],
    [
      'texts with a mark at their beginning',
      foreignParquet({ name: '__proto__', element: text, values: ['\ufeff"\n'] }),
      ['{"__proto__":"\ufeff\\"\\n"}'],
    ],
  ])('%s', async (_what, bytes, expected) => {
    expect(textsOf(await fileLines('a.parquet', bytes))).toEqual(expected);
  });

  test('of a table, with the types of its partition columns', async () => {
    const bytes = foreignParquet({ name: 'id', element: long, values: [9_007_199_254_740_993n] });
    const values = {
      ...{ day: '2026-01-31', n: '9007199254740993', x: 'NaN', is: 'true', none: null },
      ...{ at: '2026-01-31 01:02:03.000456', iso: '2026-01-31T01:02:03.004Z' },
    };
    const column = (
      name: string,
      type: 'integer' | 'double' | 'boolean' | 'timestamp' | 'date',
    ) => ({
      ...{ name, type, nullable: true },
    });
    const table = {
      columns: [
        ...[column('id', 'integer'), column('day', 'date'), column('n', 'integer')],
        ...[column('x', 'double'), column('is', 'boolean'), column('none', 'integer')],
        ...[column('at', 'timestamp'), column('iso', 'timestamp')],
      ],
      ...{ format: 'delta' as const, partitionBy: ['day', 'n', 'x', 'is', 'none', 'at', 'iso'] },
      partitionValues: { 'a.parquet': values },
    };
    expect(textsOf(await tableLines('a.parquet', bytes, table))).toEqual([
      '{"id":9007199254740993,"day":"2026-01-31","n":9007199254740993,"x":"NaN","is":true,' +
        '"none":null,"at":1769821323000.456,"iso":1769821323004}',
    ]);
  });

  test.each<[string, string, Uint8Array]>([
    ['Parquet', 'a.parquet', bytesOf('PAR1PAR1')],
    ['gzip', 'a.ndjson.gz', bytesOf('no gzip')],
    ['gzip that is cut short', 'a.ndjson.gz', gzipSync('{"a":1}\n'.repeat(99)).subarray(0, 30)],
  ])('a damaged file of %s is an error that names it', async (_what, name, bytes) => {
    const reading = fileLines(name, bytes);
    await expect(reading).rejects.toMatchObject({ code: 'STREAM_FILE_UNREADABLE' });
    await expect(reading).rejects.toThrow(name);
  });
});

describe('lines of NDJSON', () => {
  const eventsOf = async (content: Uint8Array, name = 'a.ndjson'): Promise<unknown[]> =>
    packLines(await fileLines(name, content))
      .flatMap((body) => decodeMessage(body))
      .map((event) => (event.ok ? event.value : 'letter'));

  test.each([0, 1, 99, 100, 101, 102])(
    'an array means its elements behind %i others',
    async (count) => {
      const content = `${'{"a":1}\n'.repeat(count)}[{"b":2},{"b":3}]\n[{"b":4}]\n`;
      const events = await eventsOf(bytesOf(content));
      expect(events).toHaveLength(count + 3);
      expect(events.slice(-3)).toEqual([{ b: 2 }, { b: 3 }, { b: 4 }]);
    },
  );

  test('what is not UTF-8 is a letter of its own, and nothing is changed', async () => {
    const content = Buffer.concat([
      bytesOf('{"a":1}\n{"a":"'),
      Buffer.from([0xff]),
      bytesOf('"}\n{"a":3}'),
    ]);
    const [, line] = await fileLines('a.ndjson', content);
    expect(line).toEqual(Buffer.concat([bytesOf('{"a":"'), Buffer.from([0xff]), bytesOf('"}')]));
  });

  test('a mark at the beginning, blank lines, other line ends, gzip of several members', async () => {
    expect(await eventsOf(bytesOf('\ufeff{"a":1}\r\n\r\n \n{"a":2}'))).toEqual([
      { a: 1 },
      { a: 2 },
    ]);
    const members = Buffer.concat([gzipSync('{"a":1}\n'), gzipSync('{"a":2}\n')]);
    expect(await eventsOf(members, 'a.ndjson.gz')).toEqual([{ a: 1 }, { a: 2 }]);
    expect(await eventsOf(new Uint8Array())).toEqual([]);
  });

  test('rows that are large make messages that can be read', async () => {
    const line = JSON.stringify({ note: 'x'.repeat(300_000) });
    const bodies = packLines(Array.from({ length: 150 }, () => bytesOf(line)));
    expect(Math.max(...bodies.map(({ length }) => length))).toBeLessThan(1024 * 1024 + 1);
    expect(bodies.flatMap((body) => decodeMessage(body))).toHaveLength(150);
  });
});

describe('three ids beyond 2^53 stay three ids', () => {
  const event = Type.Object({ id: Type.Integer(), time: Timestamp() });
  const defined = topology('ids', (t) => {
    const source = t.source('ids', { schema: event, eventTime: (e) => e.time });
    source.toLake('ids_kept', { schema: event });
  });
  const ids = [2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 53n + 2n];
  const file = foreignParquet(
    { name: 'id', element: long, values: ids },
    { name: 'time', element: micros, values: ids.map((_, place) => BigInt(place) * 1_000n) },
  );

  async function backfill(world: StageWorld, from: unknown): Promise<Set<string>> {
    const id = await createJob(world, 'backfill', {
      ...{ topology: 'ids', source: null, outcome: 'beside', partitions: 1, from },
    });
    await work(aJobWorker(world, { topologies: [defined] }), id);
    const report = await reportOf(world, id);
    const { deadLettered, emitted } = (
      report['ledgers'] as Record<string, { deadLettered: number; emitted: number }>
    )['ids-ids'] ?? { deadLettered: 0, emitted: 0 };
    expect(emitted + deadLettered).toBe(ids.length);
    const made = `backfills/${id}/tables/ids_kept`;
    const { files } = await readTable({ objects: world.lake, folder: made, format: 'delta' });
    const found: string[] = [];
    for (const { name } of files) {
      found.push(...(await readIntegers((await world.lake.get(name)) ?? new Uint8Array(), 'id')));
    }
    expect(found).toHaveLength(emitted);
    return new Set(found);
  }

  test('from a file of Parquet', async () => {
    const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
    await world.lake.put('files/a.parquet', file);
    const found = await backfill(world, { kind: 'files', prefix: 'files/' });
    for (const id of found) expect(ids.map(String)).toContain(id);
    expect(found).toContain(String(2n ** 53n - 1n));
  });

  test('from a table of another tool', async () => {
    const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
    const entry = [
      ...[
        protocolOf(),
        metaDataOf([
          { name: 'id', type: 'long' },
          { name: 'time', type: 'timestamp' },
        ]),
      ],
      addOf('a.parquet', { size: file.length, stats: null }),
    ];
    const folder = 'tables/ids_kept';
    await world.lake.put(`${folder}/a.parquet`, file);
    const lines = entry.map((action) => `${JSON.stringify(action)}\n`).join('');
    await world.lake.put(`${folder}/_delta_log/${'0'.repeat(20)}.json`, bytesOf(lines));
    const found = await backfill(world, { kind: 'table', table: 'ids_kept' });
    for (const id of found) expect(ids.map(String)).toContain(id);
  });

  test.each([
    ['deletion vectors', [protocolOf(['deletionVectors'])], /deletionVectors/],
    [
      'columns that differ in case alone',
      [
        metaDataOf([
          { name: 'id', type: 'long' },
          { name: 'ID', type: 'long' },
        ]),
      ],
      /id and ID/,
    ],
    ['a file outside', [addOf('../other/a.parquet')], /leads out/],
  ])('a table with %s is refused', async (_what, actions, message) => {
    const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
    const entry = [protocolOf(), metaDataOf([{ name: 'id', type: 'long' }]), ...actions];
    const lines = entry.map((action) => `${JSON.stringify(action)}\n`).join('');
    await world.lake.put(`tables/ids_kept/_delta_log/${'0'.repeat(20)}.json`, bytesOf(lines));
    const kind = aJobWorker(world, { topologies: [defined] }).kinds.find(
      (one) => one.name === 'backfill',
    );
    const options = {
      ...{ topology: 'ids', source: null, outcome: 'beside', partitions: 1 },
      from: { kind: 'table', table: 'ids_kept' },
    };
    await expect(kind?.plan(options, { jobId: 'j', folder: 'jobs/j/' })).rejects.toThrow(message);
    const escaping = { ...options, from: { kind: 'table', table: '../tables/ids_kept' } };
    await expect(kind?.plan(escaping, { jobId: 'j', folder: 'jobs/j/' })).rejects.toThrow(
      'not the name',
    );
  });
});
