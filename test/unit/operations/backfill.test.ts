// Goal: a backfill gives the tables that the same events give live, whoever dies, and takes their
// place in one commit, or not at all.
// Method: the mendable topology on memory stores: what died while it was broken is right afterwards.
import { parquetReadObjects } from 'hyparquet';
import { readTable } from '../../../shared/lake/table-reader';
import type { BackfillOptions } from '../../../shared/operations/jobs/kinds/backfill';
import { captureFile, captureRecord } from '../../support/capture-file';
import { aJobWorker, createJob, reportOf, work } from '../../support/job-world';
import { expectedReadings, Mendable, someReadings, type Reading } from '../../support/mendable';
import { StageWorld } from '../../support/stage-world';

const partitionCount = 2;

interface Run {
  readonly mendable: Mendable;
  readonly world: StageWorld;
}

async function aRun(readings: readonly Reading[], isDrained: boolean): Promise<Run> {
  const mendable = new Mendable();
  const world = new StageWorld({ topologies: [mendable.topology], partitionCount });
  readings.forEach((reading, index) => {
    world.hub('readings').append(index % partitionCount, Buffer.from(JSON.stringify(reading)));
  });
  const worker = world.worker();
  if (isDrained) await world.finish(worker);
  else await world.deliver(worker, { stage: 'readings', partition: 0 });
  mendable.isMended = true;
  return { mendable, world };
}

function options(changed: Partial<BackfillOptions> = {}): BackfillOptions {
  return {
    ...{ topology: 'readings', source: null, outcome: 'beside', partitions: 3 },
    from: { kind: 'hub', fromMs: null, toMs: null },
    ...changed,
  };
}

async function backfill(
  { mendable, world }: Run,
  given: BackfillOptions,
  dieAt?: (point: string) => boolean,
): Promise<{ id: string; report: Record<string, unknown> }> {
  const id = await createJob(world, 'backfill', given);
  const topologies = [mendable.topology];
  await work(aJobWorker(world, { topologies, ...(dieAt && { dieAt }) }), id);
  return { id, report: await reportOf(world, id) };
}

/** Rows of a table that a backfill made and left beside. */
async function rowsBeside({ world }: Run, id: string, table: string): Promise<string[]> {
  const plan = world.stages.flatMap(({ tables }) => tables).find(({ name }) => name === table);
  const folder = `backfills/${id}/tables/${table}`;
  const { files } = await readTable({ objects: world.lake, folder, format: 'delta' });
  const rows: string[] = [];
  for (const { name } of files) {
    const bytes = (await world.lake.get(name)) ?? new Uint8Array();
    for (const row of await parquetReadObjects({ file: bytes.slice().buffer })) {
      const cells = plan?.columns.map(({ name: column }) => {
        const value: unknown = row[column];
        if (value instanceof Date) return value.getTime();
        return typeof value === 'bigint' ? Number(value) : value;
      });
      rows.push(JSON.stringify(cells));
    }
  }
  return rows.sort();
}

async function expectBeside(run: Run, id: string, readings: readonly Reading[]): Promise<void> {
  const expected = expectedReadings(readings);
  expect(await rowsBeside(run, id, 'readings_shaped')).toEqual(expected.shaped);
  expect(await rowsBeside(run, id, 'sensor_minutes')).toEqual(expected.minutes);
}

describe('a backfill', () => {
  it('makes new tables from all of a hub, beside those of a topology that runs', async () => {
    const readings = someReadings(300);
    const run = await aRun(readings, false);
    const { id, report } = await backfill(run, options());
    expect(report).toMatchObject({ isRight: true, outcome: 'beside' });
    expect(report['ledgers']).toMatchObject({
      'readings-readings': { read: 300, emitted: 300 },
      'readings-by-sensor': { read: 300, emitted: 300 },
    });
    await expectBeside(run, id, readings);
  });

  it('rings no alert: of its tasks none is behind or stalled', async () => {
    const run = await aRun(someReadings(300), true);
    run.world.events.length = 0;
    await backfill(run, options());
    const alarms = run.world.events.filter(({ event }) => /^task\.(behind|stalled)$/.test(event));
    expect(alarms).toEqual([]);
  });

  it.each([
    'stage.before-process',
    'commit.after-append',
    'stage.before-send',
    'stage.after-send',
    'stage.before-flush',
    'stage.after-flush',
    'job.after-piece',
  ])('has every row once when its worker dies at %s', async (point) => {
    const readings = someReadings(200);
    const run = await aRun(readings, false);
    let deaths = 0;
    const dieAt = (reached: string): boolean => reached === point && (deaths += 1) <= 2;
    const id = await createJob(run.world, 'backfill', options());
    const topologies = [run.mendable.topology];
    for (let life = 0; life < 4; life += 1) {
      await work(aJobWorker(run.world, { topologies, dieAt }), id).catch((error: unknown) => {
        expect(String(error)).toContain(point);
      });
    }
    expect(deaths).toBeGreaterThan(0);
    expect(await reportOf(run.world, id)).toMatchObject({ isRight: true });
    await expectBeside(run, id, readings);
  });

  it('takes the place of the old tables in one commit', async () => {
    const readings = someReadings(300);
    const run = await aRun(readings, true);
    const expected = expectedReadings(readings);
    expect(await run.world.rows('readings_shaped')).not.toEqual(expected.shaped);
    const folder = 'tables/readings_shaped';
    const where = { objects: run.world.lake, folder, format: 'delta' } as const;
    const { version } = await readTable(where);
    const { report } = await backfill(run, options({ outcome: 'swap' }));
    expect(report).toMatchObject({ isRight: true });
    expect(await readTable(where)).toMatchObject({ version: version + 1, rows: 300 });
    expect(await run.world.rows('readings_shaped')).toEqual(expected.shaped);
    expect(await run.world.rows('sensor_minutes')).toEqual(expected.minutes);
  });

  it('refuses to take the place of tables that are still written, or of more than it read', async () => {
    const run = await aRun(someReadings(50), false);
    await expect(backfill(run, options({ outcome: 'swap' }))).rejects.toThrow('drain it first');
    const part = { kind: 'hub', fromMs: 1, toMs: null } as const;
    await expect(backfill(run, options({ outcome: 'swap', from: part }))).rejects.toThrow(
      'rows of other events would be lost',
    );
  });

  it('leaves the checkpoints of the live trigger alone, which lie beyond what it reads', async () => {
    const run = await aRun(someReadings(300), false);
    const looked: string[] = [];
    run.world.checkpoints = {
      read: async (partition) => {
        looked.push(partition);
        return { sequenceNumber: Number.MAX_SAFE_INTEGER, tag: 'live' };
      },
      forget: async () => 'forgotten',
    };
    await backfill(run, options());
    expect(looked).toEqual([]);
  });

  it('reads the stretch of a hub that was enqueued in a time', async () => {
    const readings = someReadings(100);
    const run = await aRun(readings, false);
    const enqueued = run.world
      .hub('readings')
      .messages(0)
      .map(({ enqueuedTimeMs }) => enqueuedTimeMs);
    const from = { kind: 'hub', fromMs: enqueued[10] ?? 0, toMs: enqueued[20] ?? 0 } as const;
    const { id } = await backfill(run, options({ from }));
    const expected = expectedReadings(
      readings.filter((_, index) => Math.floor(index / 2) >= 10 && Math.floor(index / 2) < 20),
    );
    expect(await rowsBeside(run, id, 'readings_shaped')).toEqual(expected.shaped);
  });

  it('reads NDJSON files, and the files of a table', async () => {
    const readings = someReadings(250);
    const run = await aRun([], false);
    const lines = (some: readonly Reading[]): Buffer =>
      Buffer.from(some.map((reading) => `${JSON.stringify(reading)}\n`).join(''));
    await run.world.lake.put('incoming/one.ndjson', lines(readings.slice(0, 90)));
    await run.world.lake.put('incoming/two.ndjson', lines(readings.slice(90)));
    await run.world.lake.put('incoming/readme.txt', Buffer.from('no events'));
    const files = { kind: 'files', prefix: 'incoming/' } as const;
    const { id } = await backfill(run, options({ from: files }));
    await expectBeside(run, id, readings);
    const drained = await aRun(readings, false);
    drained.mendable.isMended = true;
    await drained.world.finish(drained.world.worker());
    const table = { kind: 'table', table: 'readings_shaped' } as const;
    const again = await backfill(drained, options({ from: table }));
    const shaped = await drained.world.rows('readings_shaped');
    expect(await rowsBeside(drained, again.id, 'readings_shaped')).toEqual(shaped);
  });

  it('reads what Event Hubs Capture kept, packed or not', async () => {
    const readings = someReadings(120);
    const run = await aRun([], false);
    const record = (some: readonly Reading[]): Buffer => {
      const body = some.map((reading) => JSON.stringify(reading)).join('\n');
      return captureRecord({ time: '11/26/2026 10:00:00 AM', body });
    };
    const single = readings.slice(0, 50).map((reading) => record([reading]));
    const packed = [record(readings.slice(50, 90)), record(readings.slice(90))];
    const folder = 'namespace/readings/0/2026/11/26/10';
    await run.world.capture.put(`${folder}/00/00.avro`, captureFile(single, 'deflate'));
    await run.world.capture.put(`${folder}/05/00.avro`, captureFile(packed, 'null'));
    await run.world.capture.put(`${folder}/10/00.avro`, captureFile([], 'deflate'));
    const from = { kind: 'capture', prefix: 'namespace/readings/' } as const;
    const { id } = await backfill(run, options({ from }));
    await expectBeside(run, id, readings);
  });

  it('says where there is nothing to read', async () => {
    const run = await aRun([], false);
    const capture = { kind: 'capture', prefix: 'other/' } as const;
    await expect(backfill(run, options({ from: capture }))).rejects.toThrow(
      'no file in container capture under other/',
    );
    const from = { kind: 'files', prefix: 'nothing/' } as const;
    await expect(backfill(run, options({ from }))).rejects.toThrow(
      'no file in the lake under nothing/',
    );
  });
});
