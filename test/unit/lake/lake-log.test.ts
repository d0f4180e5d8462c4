import { version as packageVersion } from '../../../package.json';
import { StreamError } from '../../../shared/model/errors';
import { deltaCheckpoint } from '../../../shared/lake/delta-checkpoint';
import { readTable } from '../../../shared/lake/table-reader';
import type { TablePlan } from '../../../shared/model/table';
import { FaultyObjects } from '../../support/lake-faults';
import { MemoryObjects, flightsPlan, openTestTable } from '../../support/lake-memory';
import { batchOf, batchesOf, idsOf, readIds } from '../../support/lake-rows';

const log = 'tables/flights/_delta_log';
const version = (number: number): string => `${log}/${String(number).padStart(20, '0')}.json`;
const task = 'flights/clean/0/1';

function linesOf(objects: MemoryObjects, name: string): Record<string, Record<string, unknown>>[] {
  return objects
    .text(name)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, Record<string, unknown>>);
}

describe('log entries, against the Delta protocol', () => {
  test('version 0: commitInfo, protocol, metaData', async () => {
    const objects = new MemoryObjects();
    const plan: TablePlan = { ...flightsPlan, partitionBy: ['day'] };
    await openTestTable(objects, { plan }).flush({ task, batches: [batchOf(task, 1)] });
    const [info, protocol, metaData, ...rest] = linesOf(objects, version(0));
    expect(rest).toEqual([]);
    expect(Object.keys(info ?? {})).toEqual(['commitInfo']);
    expect(info?.['commitInfo']).toMatchObject({ operation: 'CREATE TABLE', isBlindAppend: false });
    expect(protocol).toEqual({ protocol: { minReaderVersion: 1, minWriterVersion: 2 } });
    expect(metaData?.['metaData']).toEqual({
      id: expect.any(String),
      name: 'flights',
      format: { provider: 'parquet', options: {} },
      schemaString: JSON.stringify({
        type: 'struct',
        fields: [
          { name: 'id', type: 'string', nullable: false, metadata: {} },
          { name: 'number', type: 'long', nullable: true, metadata: {} },
          { name: 'ratio', type: 'double', nullable: true, metadata: {} },
          { name: 'late', type: 'boolean', nullable: true, metadata: {} },
          { name: 'at', type: 'timestamp', nullable: true, metadata: {} },
          { name: 'day', type: 'date', nullable: true, metadata: {} },
        ],
      }),
      partitionColumns: ['day'],
      configuration: {},
      createdTime: expect.any(Number),
    });
  });

  test('a flush: commitInfo, txn, then an add per file with statistics', async () => {
    const objects = new MemoryObjects();
    await openTestTable(objects).flush({ task, batches: batchesOf(task, 4, 5) });
    const [info, txn, add, ...rest] = linesOf(objects, version(1));
    expect(rest).toEqual([]);
    expect(info?.['commitInfo']).toEqual({
      timestamp: expect.any(Number),
      operation: 'STREAMING UPDATE',
      operationParameters: { outputMode: 'Append', epochId: '5' },
      isBlindAppend: true,
      engineInfo: `millrace/${packageVersion}`,
      txnId: expect.any(String),
    });
    expect(txn).toEqual({ txn: { appId: task, version: 5, lastUpdated: expect.any(Number) } });
    expect(add?.['add']).toEqual({
      path: expect.stringMatching(/^flights-clean-0-1\.4-5\.[0-9a-f]{32}\.snappy\.parquet$/),
      partitionValues: {},
      size: objects.objects.get(objects.names('.parquet')[0] ?? '')?.length,
      modificationTime: expect.any(Number),
      dataChange: true,
      stats: [
        '{"numRecords":6,',
        '"minValues":{"id":"flights/clean/0/1:4:0","number":4,"ratio":-0.0,"late":false,"at":"2020-01-01T00:00:04.000Z","day":"2020-01-02"},',
        '"maxValues":{"id":"flights/clean/0/1:5:2","number":5,"ratio":1,"late":true,"at":"2020-01-01T00:00:05.000Z","day":"2020-01-03"},',
        '"nullCount":{"id":0,"number":0,"ratio":0,"late":0,"at":0,"day":0}}',
      ].join(''),
    });
  });

  test('long string bounds are cut to valid ones', async () => {
    const objects = new MemoryObjects();
    const long = '\u{1F40E}'.repeat(40);
    const rows = [[long, null, null, null, null, null]];
    await openTestTable(objects).flush({ task, batches: [{ commit: 1, rows }] });
    const add = linesOf(objects, version(1))[2]?.['add'];
    const stats = JSON.parse(String(add?.['stats'])) as Record<string, Record<string, string>>;
    expect(stats['minValues']?.['id']).toBe('\u{1F40E}'.repeat(32));
    expect(stats['maxValues']?.['id']).toBe('\u{1F40E}'.repeat(32) + '\u{10FFFF}');
  });

  test('string bounds are in the order of UTF-8 bytes, not of UTF-16 units', async () => {
    const objects = new MemoryObjects();
    const rows = ['\u{1F40E}', '\uffee'].map((id) => [id, null, null, null, null, null]);
    await openTestTable(objects).flush({ task, batches: [{ commit: 1, rows }] });
    const add = linesOf(objects, version(1))[2]?.['add'];
    expect(JSON.parse(String(add?.['stats']))).toMatchObject({
      minValues: { id: '\uffee' },
      maxValues: { id: '\u{1F40E}' },
    });
  });

  test('the same rows give the same file under the same name', async () => {
    const [one, two] = [new MemoryObjects(), new MemoryObjects()];
    for (const objects of [one, two]) {
      await openTestTable(objects).flush({ task, batches: batchesOf(task, 1, 9) });
    }
    expect(one.names('.parquet')).toEqual(two.names('.parquet'));
    const [name = ''] = one.names('.parquet');
    expect(one.objects.get(name)).toEqual(two.objects.get(name));
  });

  test('tasks whose names look alike in a file name get files of their own', async () => {
    const objects = new MemoryObjects();
    const rows = [['same', 1, 1, true, 1, '2020-01-01']];
    const table = openTestTable(objects);
    for (const name of ['a/b-c', 'a-b/c']) {
      await table.flush({ task: name, batches: [{ commit: 1, rows }] });
    }
    expect(await readIds(objects)).toEqual(['same', 'same']);
  });
});

describe('flush', () => {
  test('commits without rows are flushed by saying so', async () => {
    const objects = new MemoryObjects();
    const table = openTestTable(objects);
    expect(await table.flush({ task, batches: [{ commit: 7, rows: [] }] })).toEqual({
      flushedThrough: 7,
      rowsWritten: 0,
      files: 0,
      bytes: 0,
    });
    expect(await table.flush({ task, batches: [] })).toMatchObject({ flushedThrough: 0 });
    expect(objects.objects.size).toBe(0);
  });

  test('once the table is known, a flush is two puts, and nothing is listed or read', async () => {
    const objects = new MemoryObjects();
    const calls: string[] = [];
    const watched = new FaultyObjects(objects, (operation) => {
      calls.push(operation);
      return undefined;
    });
    const table = openTestTable(watched, { checkpointEvery: 100 });
    await table.flush({ task, batches: batchesOf(task, 1, 1) });
    calls.length = 0;
    for (let commit = 2; commit <= 20; commit += 1) {
      await table.flush({ task, batches: [batchOf(task, commit)] });
    }
    expect(calls).toEqual(Array.from({ length: 19 * 2 }, () => 'putIfAbsent'));
  });

  test('flushedThrough answers from memory, and from the log on refresh', async () => {
    const objects = new MemoryObjects();
    const [writer, reader] = [openTestTable(objects), openTestTable(objects)];
    expect(await reader.flushedThrough(task)).toBe(0);
    await writer.flush({ task, batches: batchesOf(task, 1, 3) });
    expect(await reader.flushedThrough(task)).toBe(0);
    expect(await reader.flushedThrough(task, { refresh: true })).toBe(3);
  });

  test.each([
    ['null in a required column', [null, 1, 1, true, 1, null]],
    ['a fraction for an integer', ['a', 1.5, 1, true, 1, null]],
    ['text for a boolean', ['a', 1, 1, 'true', 1, null]],
    ['a day that does not exist', ['a', 1, 1, true, 1, '2021-02-29']],
    ['a time out of range', ['a', 1, 1, true, 1e17, null]],
  ])('%s never gets into a file', async (_, row) => {
    const objects = new MemoryObjects();
    const flush = openTestTable(objects).flush({ task, batches: [{ commit: 1, rows: [row] }] });
    await expect(flush).rejects.toMatchObject({ code: 'STREAM_TABLE_INCOMPATIBLE' });
    expect(objects.names('.parquet')).toEqual([]);
  });
});

describe('cold start', () => {
  async function written(commits: number): Promise<MemoryObjects> {
    const objects = new MemoryObjects();
    const table = openTestTable(objects, { checkpointEvery: 10 });
    for (let commit = 1; commit <= commits; commit += 1) {
      await table.flush({ task, batches: [batchOf(task, commit)] });
    }
    return objects;
  }
  const hint = `${log}/_last_checkpoint`;
  const bytesOf = (text: string): Uint8Array => Buffer.from(text);

  test.each<[string, (objects: MemoryObjects) => void]>([
    ['with a good hint', () => undefined],
    ['without a hint', (objects) => objects.objects.delete(hint)],
    ['with an old hint', (objects) => objects.objects.set(hint, bytesOf('{"version":10}'))],
    ['with a rubbish hint', (objects) => objects.objects.set(hint, bytesOf('{"vers'))],
    ['with null for a hint', (objects) => objects.objects.set(hint, bytesOf('null'))],
    ['with a hint to nothing', (objects) => objects.objects.set(hint, bytesOf('{"version":33}'))],
    [
      'with a torn checkpoint',
      (objects) => {
        const [, newest = ''] = objects.names('.checkpoint.parquet');
        const whole = objects.objects.get(newest) ?? new Uint8Array();
        objects.objects.set(newest, whole.subarray(0, whole.length / 2));
      },
    ],
    [
      'without any checkpoint',
      (objects) => {
        for (const name of objects.names('checkpoint')) objects.objects.delete(name);
      },
    ],
    [
      'with the log before the checkpoint cleaned away by another tool',
      (objects) => {
        for (let old = 0; old < 20; old += 1) objects.objects.delete(version(old));
      },
    ],
  ])('%s', async (_, damage) => {
    const objects = await written(24);
    expect(objects.names('.checkpoint.parquet')).toHaveLength(2);
    damage(objects);
    const fresh = openTestTable(objects, { checkpointEvery: 10 });
    expect(await fresh.flushedThrough(task)).toBe(24);
    expect(await fresh.flush({ task, batches: batchesOf(task, 20, 26) })).toMatchObject({
      flushedThrough: 26,
      rowsWritten: 6,
    });
  });

  test('a checkpoint holds the whole table', async () => {
    const objects = await written(20);
    const name = `${log}/${'20'.padStart(20, '0')}.checkpoint.parquet`;
    const actions = await deltaCheckpoint.decode(
      name,
      objects.objects.get(name) ?? bytesOf(''),
      'all',
    );
    expect(actions.filter(({ add }) => add)).toHaveLength(20);
    expect(actions.find(({ txn }) => txn)?.txn).toMatchObject({ appId: task, version: 20 });
    const first = linesOf(objects, version(0));
    expect(actions.find(({ protocol }) => protocol)).toEqual(first[1]);
    expect(actions.find(({ metaData }) => metaData)).toEqual(first[2]);
    expect(actions.find(({ add }) => add)?.add).toEqual({
      ...linesOf(objects, version(1))[2]?.['add'],
      dataChange: false,
    });
    expect(JSON.parse(objects.text(hint))).toMatchObject({ version: 20, size: 23 });
  });

  test('a checkpoint that cannot be written does not fail the flush', async () => {
    const objects = new MemoryObjects();
    objects.put = () => Promise.reject(new StreamError('STREAM_STORE_UNAVAILABLE', 'no puts'));
    const events: string[] = [];
    const table = openTestTable(objects, {
      checkpointEvery: 1,
      telemetry: { emit: (_, event) => events.push(event) },
    });
    await table.flush({ task, batches: batchesOf(task, 1, 2) });
    expect(events).toContain('table.checkpoint-failed');
    expect(await readIds(objects)).toEqual(idsOf(batchesOf(task, 1, 2)));
  });

  test('a table untouched for long is read anew: its old log may have been cleaned away', async () => {
    const objects = await written(9);
    let nowMs = Date.UTC(2026, 0, 1);
    const idle = openTestTable(objects, { clock: { nowMs: () => nowMs } });
    expect(await idle.flushedThrough(task)).toBe(9);
    const other = openTestTable(objects, { checkpointEvery: 10 });
    for (let commit = 10; commit <= 12; commit += 1) {
      await other.flush({ task, batches: [batchOf(task, commit)] });
    }
    for (let old = 0; old <= 10; old += 1) objects.objects.delete(version(old));
    nowMs += 31 * 24 * 60 * 60 * 1000;
    expect(await idle.flush({ task, batches: batchesOf(task, 12, 13) })).toMatchObject({
      flushedThrough: 13,
      rowsWritten: 3,
    });
    expect(objects.names(version(13))).toHaveLength(1);
    expect(objects.names(version(10))).toEqual([]);
  });

  test('a log entry damaged on its way is read again', async () => {
    const objects = await written(3);
    const whole = objects.get.bind(objects);
    let damaged = 0;
    objects.get = async (name) => {
      const bytes = await whole(name);
      if (name !== version(2) || damaged > 0) return bytes;
      damaged += 1;
      return bytes?.subarray(0, bytes.length - 20);
    };
    expect(await openTestTable(objects).flushedThrough(task)).toBe(3);
    expect(damaged).toBe(1);
  });

  test('a log entry that is not JSON halts with its name', async () => {
    const objects = await written(3);
    objects.objects.set(version(2), bytesOf('{"commitInfo":{'));
    const fresh = openTestTable(objects).flushedThrough(task);
    await expect(fresh).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
    await expect(fresh).rejects.toThrow(version(2));
  });
});

describe('an existing table of another shape', () => {
  const { columns } = flightsPlan;

  async function open(plan: TablePlan, change?: (objects: MemoryObjects) => void): Promise<void> {
    const objects = new MemoryObjects();
    await openTestTable(objects).flush({ task, batches: [batchOf(task, 1)] });
    change?.(objects);
    const places = plan.columns.map(({ name }) => columns.findIndex((c) => c.name === name));
    const rows = batchOf(task, 2).rows.map((row) => places.map((place) => row[place] ?? null));
    await openTestTable(objects, { plan }).flush({ task, batches: [{ commit: 2, rows }] });
    expect(await readIds(objects)).toEqual(idsOf(batchesOf(task, 1, 2)));
    const { metaData } = await readTable({ objects, folder: 'tables/flights', format: 'delta' });
    const fields = (JSON.parse(metaData?.schemaString ?? '') as { fields: { name: string }[] })
      .fields;
    const names = new Set([...columns, ...plan.columns].map(({ name }) => name));
    expect(fields.map(({ name }) => name)).toEqual(Array.from(names));
  }

  const added = { name: 'gate', type: 'string', nullable: true } as const;

  test('a new nullable column is added to it', () =>
    open({ ...flightsPlan, columns: [...columns, added] }));

  test('a nullable column less is written as null by an older build', () =>
    open({ ...flightsPlan, columns: columns.slice(0, 4) }));

  test.each<[string, TablePlan, RegExp]>([
    [
      'a new required column',
      { ...flightsPlan, columns: [...columns, { ...added, nullable: false }] },
      /column gate is new and required/,
    ],
    [
      'another type',
      {
        ...flightsPlan,
        columns: columns.map((c) => (c.name === 'ratio' ? { ...c, type: 'integer' } : c)),
      },
      /column ratio is "double", the plan's long/,
    ],
    [
      'a required column that may be null now',
      { ...flightsPlan, columns: columns.map((column) => ({ ...column, nullable: true })) },
      /column id is required/,
    ],
    [
      'a required column less',
      { ...flightsPlan, columns: columns.slice(1) },
      /column id is required/,
    ],
    [
      'other folders',
      { ...flightsPlan, partitionBy: ['day'] },
      /partitioned by nothing, the plan by day/,
    ],
  ])('%s is refused', async (_, plan, message) => {
    await expect(open(plan)).rejects.toMatchObject({ code: 'STREAM_TABLE_INCOMPATIBLE' });
    await expect(open(plan)).rejects.toThrow(message);
  });

  test('unknown writer features are refused, also when they come while we write', async () => {
    const objects = new MemoryObjects();
    const table = openTestTable(objects);
    await table.flush({ task, batches: [batchOf(task, 1)] });
    const protocol = { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['rowTracking'] };
    objects.objects.set(version(2), Buffer.from(`${JSON.stringify({ protocol })}\n`));
    await expect(table.flush({ task, batches: [batchOf(task, 2)] })).rejects.toThrow(/rowTracking/);
    await expect(
      openTestTable(objects).flush({ task, batches: [batchOf(task, 2)] }),
    ).rejects.toThrow(/STREAM_TABLE_INCOMPATIBLE/);
  });
});

describe('path patterns of NDJSON tables', () => {
  const plan: TablePlan = { ...flightsPlan, format: 'ndjson' };

  test('folders from event time, hub partition and columns', async () => {
    const objects = new MemoryObjects();
    const table = openTestTable(objects, { plan, pathPattern: 'p{partition}/{date}/{time}/{id}' });
    const atMs = Date.UTC(2026, 0, 31, 23, 59);
    const rows = [
      ['a/b', 1, 1, true, atMs, null],
      ['a/b', 2, 1, true, null, null],
    ];
    await table.flush({ task: 'flights/clean/12/1', batches: [{ commit: 1, rows }] });
    expect(objects.names('.ndjson').map((name) => name.replace(/[^/]*$/, ''))).toEqual([
      'tables/flights/p12/2026/01/31/23/a%2Fb/',
      'tables/flights/p12/__HIVE_DEFAULT_PARTITION__/__HIVE_DEFAULT_PARTITION__/a%2Fb/',
    ]);
    expect(await readIds(objects, 'tables/flights', 'ndjson')).toEqual(['a/b', 'a/b']);
  });

  test.each([
    ['{nothing}', plan, /\{nothing\} is neither a column/],
    ['{date', plan, /braces/],
    ['{date}', { ...plan, columns: plan.columns.slice(0, 2) }, /needs a timestamp column/],
    ['{date}', flightsPlan, /NDJSON tables/],
  ])('%s is refused', (pathPattern, plan, message) => {
    expect(() => openTestTable(new MemoryObjects(), { plan, pathPattern })).toThrow(message);
  });
});
