// Goal: redrive, audit and compact do what they say, also when they are killed and repeated.
// Method: the mendable topology on memory stores; discrepancies are made on purpose, and found.
import { replaceFiles } from '../../../shared/lake/replace-files';
import { readTable } from '../../../shared/lake/table-reader';
import { Surveyor } from '../../../shared/supervision/survey/surveyor';
import { readLetters } from '../../../shared/operations/letters/letter-reader';
import type { AuditOptions } from '../../../shared/operations/jobs/kinds/audit';
import type { CompactOptions } from '../../../shared/operations/jobs/kinds/compact';
import type { RedriveOptions } from '../../../shared/operations/jobs/kinds/redrive';
import { aJobWorker, createJob, reportOf, work } from '../../support/job-world';
import { expectedReadings, Mendable, someReadings, type Reading } from '../../support/mendable';
import { StageWorld, WorkerDied } from '../../support/stage-world';

const partitionCount = 2;

interface Run {
  readonly mendable: Mendable;
  readonly world: StageWorld;
}

async function aRun(
  readings: readonly Reading[],
  options: { maxAttempts?: number; isMended?: boolean; batchSize?: number } = {},
): Promise<Run> {
  const mendable = new Mendable(options);
  mendable.isMended = options.isMended ?? false;
  const world = new StageWorld({
    topologies: [mendable.topology],
    partitionCount,
    flushRowsMax: options.batchSize ?? 100,
  });
  readings.forEach((reading, index) => {
    world.hub('readings').append(index % partitionCount, Buffer.from(JSON.stringify(reading)));
  });
  const worker = world.worker();
  for (const stage of ['readings', 'by-sensor']) {
    for (let partition = 0; partition < partitionCount; partition += 1) {
      await world.deliver(worker, { stage, partition, batchSize: options.batchSize ?? 100 });
    }
  }
  return { mendable, world };
}

function redrive(options: Partial<RedriveOptions> = {}): RedriveOptions {
  return {
    ...{ topology: 'readings', verdict: 'redriven', reason: 'mended', filter: {}, isForced: false },
    ...options,
  };
}

async function runJob(
  { mendable, world }: Run,
  kind: string,
  options: unknown,
): Promise<Record<string, unknown>> {
  const id = await createJob(world, kind, options);
  await work(aJobWorker(world, { topologies: [mendable.topology] }), id);
  return reportOf(world, id);
}

async function finish({ world }: Run): Promise<void> {
  const worker = world.worker();
  await world.finish(worker);
  for (let partition = 0; partition < partitionCount; partition += 1) {
    await world.deliver(worker, { stage: 'by-sensor', partition });
  }
  await worker.tendHeld(Infinity);
}

async function expectAllThere(run: Run, readings: readonly Reading[]): Promise<void> {
  await finish(run);
  const expected = expectedReadings(readings);
  expect(await run.world.rows('readings_shaped')).toEqual(expected.shaped);
  expect(await run.world.rows('sensor_minutes')).toEqual(expected.minutes);
}

const audit: AuditOptions = { topology: 'readings', withHub: true };

describe('redrive', () => {
  it('redrives what is open and reports how it ended', async () => {
    const readings = someReadings(200);
    const run = await aRun(readings);
    run.mendable.isMended = true;
    expect(await runJob(run, 'redrive', redrive())).toMatchObject({
      ...{ found: 40, taken: 40, settled: 40, wasSettled: 0, ends: { emitted: 40 } },
      isRight: true,
    });
    await expectAllThere(run, readings);
  });

  it('has one effect when two jobs redrive the same letters at once and one is killed midway', async () => {
    const readings = someReadings(200);
    const run = await aRun(readings);
    run.mendable.isMended = true;
    const topologies = [run.mendable.topology];
    const [one, other] = [
      await createJob(run.world, 'redrive', redrive()),
      await createJob(run.world, 'redrive', redrive()),
    ];
    let commits = 0;
    const dieAt = (point: string): boolean =>
      point === 'stage.after-commit' && (commits += 1) === 2;
    const dying = work(aJobWorker(run.world, { topologies, dieAt }), one);
    await Promise.all([
      expect(dying).resolves.toBeDefined(),
      work(aJobWorker(run.world, { topologies }), other),
    ]);
    await work(aJobWorker(run.world, { topologies }), one);
    expect(await readLetters(run.world.appends, 'readings', { state: 'open' })).toEqual([]);
    await expectAllThere(run, readings);
  });

  it('leaves letters whose attempts are used up, unless it is told to take them', async () => {
    const run = await aRun(someReadings(20), { maxAttempts: 2 });
    expect(await runJob(run, 'redrive', redrive())).toMatchObject({
      ...{ taken: 4, ends: { deadLettered: 4 }, isRight: false },
    });
    expect(await runJob(run, 'redrive', redrive())).toMatchObject({
      found: 4,
      taken: 0,
      left: { 'its 2 attempts are used up (--force takes it all the same)': 4 },
    });
    run.mendable.isMended = true;
    expect(await runJob(run, 'redrive', redrive({ isForced: true }))).toMatchObject({
      ends: { emitted: 4 },
    });
  });

  it('leaves letters that are too old', async () => {
    const run = await aRun(someReadings(20));
    run.world.nowMs += 8 * 24 * 60 * 60 * 1000;
    expect(await runJob(run, 'redrive', redrive())).toMatchObject({ found: 4, taken: 0 });
  });

  it('takes only what its filter names, and discards with a reason', async () => {
    const run = await aRun(someReadings(20));
    const options = redrive({ verdict: 'discarded', filter: { stage: 'by-sensor' } });
    expect(await runJob(run, 'redrive', options)).toMatchObject({ settled: 2, isRight: true });
    const left = await readLetters(run.world.appends, 'readings', { state: 'open' });
    expect(left.map(({ path }) => path.stage)).toEqual(['readings', 'readings']);
  });
});

describe('audit', () => {
  it('finds nothing wrong in a run that went well, redriven letters included', async () => {
    const run = await aRun(someReadings(200));
    run.mendable.isMended = true;
    await runJob(run, 'redrive', redrive());
    await finish(run);
    const report = await runJob(run, 'audit', audit);
    expect(report).toMatchObject({ isRight: true, discrepancies: 0, logs: 4, notes: [] });
    expect(report['comparedWithHub']).toBeGreaterThanOrEqual(400);
    expect(report['tables']).toMatchObject([
      { name: 'readings_shaped', rows: 200 },
      { name: 'sensor_minutes', rows: expectedReadings(someReadings(200)).minutes.length },
    ]);
  });

  it('finds a file that somebody took out of a table', async () => {
    const run = await aRun(someReadings(200), { isMended: true });
    await finish(run);
    const { lake, nowMs, stages } = run.world;
    const plan = stages[0]?.tables[0];
    if (plan === undefined) throw new Error('no table');
    const folder = 'tables/readings_shaped';
    const { files, version } = await readTable({ objects: lake, folder, format: 'delta' });
    const [file] = files;
    if (file === undefined) throw new Error('no file');
    const telemetry = { emit: () => undefined };
    await replaceFiles(
      { objects: lake, plan, folder, clock: { nowMs: () => nowMs }, telemetry },
      {
        ...{ token: 'vandal', operation: 'DELETE', readVersion: version },
        ...{ removes: [file.add], adds: [], isDataChange: true },
      },
    );
    const report = await runJob(run, 'audit', audit);
    expect(report).toMatchObject({ isRight: false, discrepancies: 1 });
    expect(report['first']).toMatchObject([
      {
        where: 'table readings_shaped',
        what: expect.stringContaining(`holds ${200 - Number(file.rows)} rows`),
      },
    ]);
  });

  it('finds other bytes in the hub than were read', async () => {
    const run = await aRun(someReadings(20), { isMended: true });
    run.world.hub('readings').overwrite(0, 3, Buffer.from('{"id":99}'));
    const report = await runJob(run, 'audit', audit);
    expect(report['first']).toMatchObject([
      { what: 'commit 1: the hub holds other bytes from 0.0 to 10.0' },
    ]);
  });

  it('finds events of an exchange that were sent and are not there', async () => {
    const run = await aRun(someReadings(20), { isMended: true });
    const worker = run.world.worker();
    someReadings(20).forEach((reading) => {
      run.world.hub('readings').append(0, Buffer.from(JSON.stringify(reading)));
    });
    await run.world.deliver(worker, { stage: 'readings', partition: 0 });
    // The exchange is deleted with what nobody has read, and made anew.
    run.world.hub('readings-sensor').recreate(2_000);
    const windows = run.world.worker();
    for (const partition of [0, 1]) {
      await windows.tendTask({
        ...{ functionName: 'readings-by-sensor', partition: String(partition) },
        deadlineMs: Infinity,
      });
    }
    run.world.nowMs += 60_000;
    const report = await runJob(run, 'audit', audit);
    expect(report).toMatchObject({ isRight: false });
    expect(JSON.stringify(report['first'])).toContain('events were sent');
  });
});

describe('compact', () => {
  const options: CompactOptions = { table: 'readings_shaped', targetBytes: 1_000_000 };

  it('puts one file in the place of many, and a reader of the old version still finds it', async () => {
    const readings = someReadings(400);
    const run = await aRun(readings, { isMended: true, batchSize: 10 });
    await finish(run);
    const where = {
      objects: run.world.lake,
      folder: 'tables/readings_shaped',
      format: 'delta',
    } as const;
    const before = await readTable(where);
    expect(before.files.length).toBeGreaterThan(20);
    const report = await runJob(run, 'compact', options);
    expect(report).toMatchObject({
      ...{ isRight: true, rows: 400, filesBefore: before.files.length, filesWritten: 1 },
    });
    expect((await readTable(where)).files).toHaveLength(1);
    expect((await readTable({ ...where, version: before.version })).files).toEqual(before.files);
    await expectAllThere(run, readings);
    expect(await runJob(run, 'audit', audit)).toMatchObject({ isRight: true });
    expect(await runJob(run, 'compact', options)).toMatchObject({ outcome: 'nothing to do' });
  });

  it('is done once when it is killed after its commit, and when rows are flushed meanwhile', async () => {
    const readings = someReadings(400);
    const run = await aRun(readings.slice(0, 300), { isMended: true, batchSize: 10 });
    const id = await createJob(run.world, 'compact', options);
    const topologies = [run.mendable.topology];
    const dieAt = (point: string): boolean => point === 'job.before-report';
    await expect(work(aJobWorker(run.world, { topologies, dieAt }), id)).rejects.toThrow(
      WorkerDied,
    );
    const worker = run.world.worker();
    readings.slice(300).forEach((reading, index) => {
      run.world.hub('readings').append(index % 2, Buffer.from(JSON.stringify(reading)));
    });
    for (const partition of [0, 1])
      await run.world.deliver(worker, { stage: 'readings', partition });
    await work(aJobWorker(run.world, { topologies }), id);
    expect(await reportOf(run.world, id)).toMatchObject({ isRight: true });
    for (const partition of [0, 1]) {
      await run.world.deliver(worker, { stage: 'by-sensor', partition });
    }
    await expectAllThere(run, readings);
  });

  it('changes nothing when another job took one of its files out', async () => {
    const run = await aRun(someReadings(100), { isMended: true, batchSize: 10 });
    await finish(run);
    const topologies = [run.mendable.topology];
    const slow = await createJob(run.world, 'compact', options);
    let isOvertaken = false;
    const dieAt = (point: string): boolean => point === 'job.after-piece' && !isOvertaken;
    await expect(work(aJobWorker(run.world, { topologies, dieAt }), slow)).rejects.toThrow(
      WorkerDied,
    );
    isOvertaken = true;
    await runJob(run, 'compact', options);
    await work(aJobWorker(run.world, { topologies }), slow);
    expect(await reportOf(run.world, slow)).toMatchObject({ isRight: false });
    expect(await run.world.rows('readings_shaped')).toHaveLength(100);
  });
});

describe('reset', () => {
  it('makes a topology read everything again, and nothing counts twice', async () => {
    const readings = someReadings(200);
    const run = await aRun(readings);
    await finish(run);
    run.mendable.isMended = true;
    run.world.isDraining = false;
    run.world.nowMs += 120_000;
    const report = await runJob(run, 'reset', { topology: 'readings' });
    expect(report).toMatchObject({ isRight: true });
    expect(report['filesTakenOut']).toBeGreaterThan(0);
    expect(await run.world.rows('readings_shaped')).toEqual([]);
    const worker = run.world.worker();
    for (let partition = 0; partition < partitionCount; partition += 1) {
      await run.world.deliver(worker, { stage: 'readings', partition });
    }
    await expectAllThere(run, readings);
    expect(await runJob(run, 'audit', audit)).toMatchObject({ isRight: true });
  });

  it('leaves nothing that a survey remembers of the logs that are gone', async () => {
    const run = await aRun(someReadings(200), { isMended: true });
    await finish(run);
    run.world.isDraining = false;
    const survey = (): ReturnType<Surveyor['survey']> =>
      new Surveyor({
        ...{ stages: run.world.served('surveyor'), objects: run.world.objects, graceMs: 4_000 },
        isDraining: async () => false,
      }).survey({ functionName: 'readings-readings', page: 0, settled: {}, recovering: {} });
    expect(await survey()).toMatchObject({ failed: 0, lag: 0 });
    await runJob(run, 'reset', { topology: 'readings' });
    expect(await survey()).toMatchObject({ failed: 0, lag: 200 });
    const worker = run.world.worker();
    await run.world.deliver(worker, { stage: 'readings', partition: 0 });
    expect(await survey()).toMatchObject({ failed: 0 });
  });

  it('goes on where a killed one left off', async () => {
    const readings = someReadings(100);
    const run = await aRun(readings, { isMended: true });
    await finish(run);
    run.world.isDraining = false;
    const id = await createJob(run.world, 'reset', { topology: 'readings' });
    const topologies = [run.mendable.topology];
    for (let life = 1; life <= 20; life += 1) {
      let pieces = 0;
      const dieAt = (point: string): boolean => point === 'job.after-piece' && (pieces += 1) === 2;
      const isDead = await work(aJobWorker(run.world, { topologies, dieAt }), id, { claimMax: 1 })
        .then(() => false)
        .catch(() => true);
      if (!isDead) break;
    }
    expect(await reportOf(run.world, id)).toMatchObject({ isRight: true });
    const worker = run.world.worker();
    for (let partition = 0; partition < partitionCount; partition += 1) {
      await run.world.deliver(worker, { stage: 'readings', partition });
    }
    await expectAllThere(run, readings);
  });
});
