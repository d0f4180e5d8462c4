// Goal: a reset never makes a row count twice: a log goes only when every table is seen to be empty.
// Method: a topology with tables before and behind an exchange on memory stores; the lake fails,
// others write meanwhile, the job dies at each operation; then all is read again, and counted.
import { StreamError } from '../../../shared/model/errors';
import { listLogs } from '../../../shared/commit-log/log-reader';
import { expectedReadings, Mendable, someReadings } from '../../support/mendable';
import { aJobWorker, createJob, reportOf, work } from '../../support/job-world';
import { StageWorld, WorkerDied } from '../../support/stage-world';
import { harmStores } from '../../support/store-harm';

const readings = someReadings(40);
const expected = expectedReadings(readings);
const partitionCount = 2;

interface Run {
  readonly mendable: Mendable;
  readonly world: StageWorld;
}

async function aRun(options: { batchSize?: number; flushRowsMax?: number } = {}): Promise<Run> {
  const { batchSize = 7, flushRowsMax = 1 } = options;
  const mendable = new Mendable();
  mendable.isMended = true;
  const world = new StageWorld({ topologies: [mendable.topology], partitionCount, flushRowsMax });
  readings.forEach((reading, index) => {
    world.hub('readings').append(index % partitionCount, Buffer.from(JSON.stringify(reading)));
  });
  await readAll(world, world.worker(), batchSize);
  return { mendable, world };
}

type Worker = ReturnType<StageWorld['worker']>;

async function readAll(world: StageWorld, worker: Worker, batchSize = 7): Promise<void> {
  for (const stage of ['readings', 'by-sensor']) {
    for (let partition = 0; partition < partitionCount; partition += 1) {
      await world.deliver(worker, { stage, partition, batchSize });
    }
  }
}

/** Reads all again from where the logs stand, and ends: what is in the tables then counts. */
async function expectOnce({ world }: Run): Promise<void> {
  const worker = world.worker();
  await world.finish(worker);
  await readAll(world, worker);
  await worker.tendHeld(Infinity);
  expect(await world.rows('readings_shaped')).toEqual(expected.shaped);
  expect(await world.rows('sensor_minutes')).toEqual(expected.minutes);
}

async function reset({ mendable, world }: Run): Promise<Record<string, unknown>> {
  const id = await createJob(world, 'reset', { topology: 'readings' });
  await work(aJobWorker(world, { topologies: [mendable.topology] }), id);
  world.isDraining = false;
  return reportOf(world, id);
}

const unavailable = (): StreamError =>
  new StreamError('STREAM_STORE_UNAVAILABLE', 'the store answers 503');

it('empties tables, deletes logs, and all that the hubs hold is read once more', async () => {
  const run = await aRun();
  const report = await reset(run);
  expect(report).toMatchObject({ isRight: true, topology: 'readings', failures: [] });
  expect(report['filesTakenOut']).toBeGreaterThan(0);
  expect(report['logBlobsDeleted']).toBe(4);
  expect(await run.world.rows('readings_shaped')).toEqual([]);
  await expectOnce(run);
});

it('while the lake answers 503: logs are kept, the report says so, and no row is doubled', async () => {
  const run = await aRun();
  const before = await run.world.rows('readings_shaped');
  const logs = await listLogs(run.world.appends, 'readings');
  const harm = harmStores([run.world.lake], (_operation, method) => {
    if (method === 'putIfAbsent') throw unavailable();
  });
  const report = await reset(run);
  harm.end();
  expect(report).toMatchObject({ isRight: false, logBlobsDeleted: 0 });
  expect(JSON.stringify(report['failures'])).toContain('its logs were not touched');
  expect(await listLogs(run.world.appends, 'readings')).toEqual(logs);
  expect(await run.world.rows('readings_shaped')).toEqual(before);
  // And the topology goes on as if nobody had asked.
  await expectOnce(run);
});

it('while one of two tables cannot be emptied: no log goes', async () => {
  const run = await aRun();
  await expectOnce(run);
  const logs = await listLogs(run.world.appends, 'readings');
  const harm = harmStores([run.world.lake], (_operation, method, name) => {
    if (method === 'putIfAbsent' && name.includes('sensor_minutes')) throw unavailable();
  });
  expect(await reset(run)).toMatchObject({ isRight: false, logBlobsDeleted: 0 });
  harm.end();
  expect(await listLogs(run.world.appends, 'readings')).toEqual(logs);
  expect(await reset(run)).toMatchObject({ isRight: true });
  await expectOnce(run);
});

it('when a compaction commits between its read and its commit: what that wrote goes too', async () => {
  const run = await aRun();
  const { lake } = run.world;
  let isCompacting = false;
  const harm = harmStores([lake], async (_operation, method, name) => {
    if (isCompacting || method !== 'putIfAbsent' || !name.includes('readings_shaped/_delta_log')) {
      return;
    }
    isCompacting = true;
    const id = await createJob(run.world, 'compact', {
      table: 'readings_shaped',
      targetBytes: 1e6,
    });
    await work(aJobWorker(run.world, { topologies: [run.mendable.topology] }), id);
    expect(await reportOf(run.world, id)).toMatchObject({ isRight: true, filesWritten: 1 });
  });
  expect(await reset(run)).toMatchObject({ isRight: true });
  harm.end();
  expect(isCompacting).toBe(true);
  expect(await run.world.rows('readings_shaped')).toEqual([]);
  await expectOnce(run);
});

it('when a worker flushes what it holds in memory, before, in the middle of or after it: no row comes back', async () => {
  for (const flushAt of ['before', 'middle', 'after']) {
    const run = await aRun({ flushRowsMax: 1_000 });
    const { world } = run;
    const holder = world.worker();
    await readAll(world, holder);
    // What is committed and not flushed waits in the holder's memory until it is due.
    for (const reading of readings) {
      world.hub('readings').append(0, Buffer.from(JSON.stringify({ ...reading, id: -1 })));
    }
    await world.deliver(holder, { stage: 'readings', partition: 0 });
    const flush = async (): Promise<void> => {
      world.nowMs += 3_600_000;
      await holder.tendHeld(Infinity).catch((error: unknown) => {
        expect(String(error)).toMatch(/STREAM_(RESET_UNFINISHED|COMMIT_CONTENDED|LOG_CORRUPT)/);
      });
    };
    if (flushAt === 'before') await flush();
    let isFlushed = flushAt !== 'middle';
    const harm = harmStores([world.appends], async (_operation, method, name) => {
      if (isFlushed || method !== 'delete' || !name.startsWith('commits/readings/')) return;
      isFlushed = true;
      await flush();
    });
    expect(await reset(run)).toMatchObject({ isRight: true });
    harm.end();
    expect(isFlushed).toBe(true);
    if (flushAt === 'after') await flush();
    const worker = world.worker();
    await world.finish(worker);
    await readAll(world, worker);
    await worker.tendHeld(Infinity);
    const rows = await world.rows('readings_shaped');
    expect(rows.filter((row) => !row.startsWith('[-1,'))).toEqual(expected.shaped);
    expect(rows).toHaveLength(2 * readings.length);
  }
});

it('when messages of a former life reach an exchange behind it: they are not counted again', async () => {
  const run = await aRun();
  const { world } = run;
  const sent = world.hub('readings-sensor').messages(0).slice();
  expect(sent.length).toBeGreaterThan(0);
  expect(await reset(run)).toMatchObject({ isRight: true });
  // A worker that had slept sends its outbox again.
  world.hub('readings-sensor').append(0, ...sent.map(({ body }) => body));
  await expectOnce(run);
});

it('dies at each of its operations and is run again: every row is there once', async () => {
  const whole = await aRun();
  const stores = (run: Run): object[] => [run.world.appends, run.world.objects, run.world.lake];
  const counting = harmStores(stores(whole), () => undefined);
  await reset(whole);
  const { operations } = counting;
  counting.end();
  expect(operations).toBeGreaterThan(100);
  for (let deadly = 1; deadly <= operations; deadly += 3) {
    const run = await aRun();
    const harm = harmStores(stores(run), (operation) => {
      if (operation >= deadly) throw new WorkerDied(`operation ${operation}`);
    });
    await reset(run).catch((error: unknown) => expect(error).toBeInstanceOf(WorkerDied));
    harm.end();
    // What is left goes on where it can; where it cannot, it says so, and no row is doubled.
    await readAll(run.world, run.world.worker()).catch((error: unknown) => {
      expect(String(error)).toMatch(/STREAM_(RESET_UNFINISHED|LOG_BEHIND)/);
    });
    const between = await run.world.rows('readings_shaped');
    expect(new Set(between).size).toBe(between.length);
    expect(await reset(run)).toMatchObject({ isRight: true });
    await expectOnce(run);
  }
});

it('meets a store that fails for a while at any of its operations: every row is there once', async () => {
  for (let first = 1; first <= 160; first += 9) {
    const run = await aRun();
    const harm = harmStores([run.world.lake, run.world.appends], (operation) => {
      if (operation >= first && operation < first + 6) throw unavailable();
    });
    await reset(run).catch((error: unknown) => expect(error).toBeInstanceOf(StreamError));
    harm.end();
    expect(await reset(run)).toMatchObject({ isRight: true });
    await expectOnce(run);
  }
});

it('begins anew a topology whose log is damaged', async () => {
  const run = await aRun();
  const { appends } = run.world;
  const name = 'commits/readings/v1/readings/000000000001000/0/00000000';
  const { bytes = 0 } = (await appends.stat(name)) ?? {};
  await appends.append({ name, block: Buffer.from('damage'), expectedPosition: bytes });
  await expect(readAll(run.world, run.world.worker())).rejects.toThrow('STREAM_LOG_CORRUPT');
  expect(await reset(run)).toMatchObject({ isRight: true });
  await expectOnce(run);
});

it('empties a table whose old log versions were cleaned away behind a checkpoint', async () => {
  const run = await aRun({ batchSize: 1 });
  const { lake } = run.world;
  const folder = 'tables/readings_shaped/_delta_log/';
  const names = (await lake.list(folder)).map(({ name }) => name);
  const checkpoint = names.filter((name) => name.endsWith('.checkpoint.parquet')).at(-1) ?? '';
  const cleaned = names.filter((name) => name.endsWith('.json') && name < checkpoint);
  expect(cleaned.length).toBeGreaterThan(20);
  for (const name of cleaned) await lake.delete(name);
  const report = await reset(run);
  expect(report).toMatchObject({ isRight: true, filesTakenOut: readings.length });
  expect(await run.world.rows('readings_shaped')).toEqual([]);
  await expectOnce(run);
});

it('refuses a table that it cannot read, and keeps the logs', async () => {
  const run = await aRun({ batchSize: 1 });
  const logs = await listLogs(run.world.appends, 'readings');
  await run.world.lake.delete('tables/readings_shaped/_delta_log/00000000000000000003.json');
  for (const { name } of await run.world.lake.list('tables/readings_shaped/_delta_log/')) {
    if (name.includes('checkpoint')) await run.world.lake.delete(name);
  }
  const report = await reset(run);
  expect(report).toMatchObject({ isRight: false, logBlobsDeleted: 0 });
  expect(JSON.stringify(report['failures'])).toContain('STREAM_LOG_CORRUPT');
  expect(await listLogs(run.world.appends, 'readings')).toEqual(logs);
});
