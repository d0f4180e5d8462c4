// Goal: an audit asks the table what it holds: whatever of it is gone, cut short or changed is found,
// with the file, version or task that differs; and a run that went well is right.
import { gzipSync } from 'node:zlib';
import { listLogs } from '../../../shared/commit-log/log-reader';
import { listLiveFiles } from '../../../shared/lake/table-reader';
import { copyLog, restoreLog } from '../../support/log-copies';
import { Mendable, someReadings } from '../../support/mendable';
import { aJobWorker, createJob, reportOf, work } from '../../support/job-world';
import { StageWorld } from '../../support/stage-world';
import type { HubMessage } from '../../../shared/model/ports';

const readings = someReadings(60);
const folder = 'tables/readings_shaped';

interface Run {
  readonly mendable: Mendable;
  readonly world: StageWorld;
}

async function aRun(options: { batchSize?: number } = {}): Promise<Run> {
  const mendable = new Mendable();
  mendable.isMended = true;
  const world = new StageWorld({
    ...{ topologies: [mendable.topology], partitionCount: 2, flushRowsMax: 1 },
  });
  readings.forEach((reading, index) => {
    world.hub('readings').append(index % 2, Buffer.from(JSON.stringify(reading)));
  });
  const worker = world.worker();
  for (const partition of [0, 1]) {
    await world.deliver(worker, {
      stage: 'readings',
      partition,
      batchSize: options.batchSize ?? 6,
    });
  }
  for (const partition of [0, 1]) await world.deliver(worker, { stage: 'by-sensor', partition });
  return { mendable, world };
}

async function audit({ mendable, world }: Run): Promise<{ isRight: unknown; text: string }> {
  const id = await createJob(world, 'audit', { topology: 'readings', withHub: true });
  await work(aJobWorker(world, { topologies: [mendable.topology] }), id);
  const report = await reportOf(world, id);
  return { isRight: report['isRight'], text: JSON.stringify([report['first'], report['notes']]) };
}

it('is right where all is there', async () => {
  expect(await audit(await aRun())).toEqual({ isRight: true, text: '[[],[]]' });
});

it.each([1, 6, 100])('finds that the whole table is gone, batches of %d', async (batchSize) => {
  const run = await aRun({ batchSize });
  for (const { name } of await run.world.lake.list(`${folder}/`)) await run.world.lake.delete(name);
  const { isRight, text } = await audit(run);
  expect(isRight).toBe(false);
  expect(text).toMatch(/there is no table readings_shaped|table readings_shaped is gone/);
});

it('finds that a version of the table is missing', async () => {
  const name = `${folder}/_delta_log/00000000000000000003.json`;
  for (const batchSize of [15, 2]) {
    const run = await aRun({ batchSize });
    await run.world.lake.delete(name);
    const { isRight, text } = await audit(run);
    expect(isRight).toBe(false);
    // With a checkpoint behind it the rows are all there; the history is not.
    expect(text).toContain(batchSize === 2 ? 'version 3 is missing, though version 0' : name);
  }
});

it('finds that the newest version of the table is gone', async () => {
  const run = await aRun({ batchSize: 15 });
  const names = (await run.world.lake.list(`${folder}/_delta_log/`)).map(({ name }) => name);
  const newest = names.filter((name) => name.endsWith('.json')).at(-1) ?? '';
  await run.world.lake.delete(newest);
  run.world.nowMs += 3_600_000;
  const { isRight, text } = await audit(run);
  expect(isRight).toBe(false);
  expect(text).toContain('were to be flushed, and table readings_shaped lacks them');
});

it.each([
  ['is missing', null],
  ['is cut short', (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 9)],
  ['is empty', () => new Uint8Array()],
  ['holds other bytes of the same length', (bytes: Uint8Array) => Buffer.alloc(bytes.length, 7)],
])('finds that a live file %s, and names it', async (_what, change) => {
  const run = await aRun();
  const { lake } = run.world;
  const [file] = await listLiveFiles({ objects: lake, folder });
  if (file === undefined) throw new Error('there is no file');
  const bytes = (await lake.get(file.name)) ?? new Uint8Array();
  if (change === null) await lake.delete(file.name);
  else await lake.put(file.name, change(bytes));
  const { isRight, text } = await audit(run);
  expect(isRight).toBe(false);
  expect(text).toContain(file.name);
});

it('finds that a file holds other rows than its log says, and which flush differs from the task', async () => {
  const run = await aRun({ batchSize: 15 });
  const { lake } = run.world;
  const name = `${folder}/_delta_log/00000000000000000002.json`;
  const text = Buffer.from((await lake.get(name)) ?? []).toString('utf8');
  const changed = text.replace(String.raw`\"numRecords\":15`, String.raw`\"numRecords\":14`);
  expect(changed).not.toBe(text);
  await lake.put(name, Buffer.from(changed));
  const found = await audit(run);
  expect(found.isRight).toBe(false);
  expect(found.text).toContain("holds 15 rows, the table's log says 14");
  expect(found.text).toMatch(
    /version 2 of table readings_shaped took in 14 rows of commits \d+ to \d+, the log has 15/,
  );
});

it('finds that a log is an older copy than the table knows', async () => {
  const run = await aRun();
  const path = (await listLogs(run.world.appends, 'readings')).find(
    ({ partition, stage }) => stage === 'readings' && partition === '0',
  );
  if (path === undefined) throw new Error('there is no log');
  const world = await aRun({ batchSize: 6 });
  const whole = await copyLog(world.world.appends, path);
  const shorter = new StageWorld({ topologies: [run.mendable.topology], partitionCount: 2 });
  run.world
    .hub('readings')
    .messages(0)
    .slice(0, 12)
    .forEach(({ body }: HubMessage) => shorter.hub('readings').append(0, body));
  await shorter.deliver(shorter.worker(), { stage: 'readings', partition: 0, batchSize: 6 });
  const copy = await copyLog(shorter.appends, path);
  expect(whole.size).toBe(copy.size);
  await restoreLog(run.world.appends, path, copy);
  const { isRight, text } = await audit(run);
  expect(isRight).toBe(false);
  expect(text).toContain('it is an older copy');
});

it('recounts messages that several commits share, arrays and gzip', async () => {
  const mendable = new Mendable();
  mendable.isMended = true;
  const world = new StageWorld({
    ...{ topologies: [mendable.topology], partitionCount: 2, flushRowsMax: 1 },
    limits: {
      log: { blocksMax: 1e4, bytesMax: 2 ** 30, ageMaxMs: 1e12, blockBytesMax: 4_000 },
    },
  });
  const hub = world.hub('readings');
  hub.append(0, Buffer.from(JSON.stringify(readings.slice(0, 40))));
  hub.append(0, gzipSync(JSON.stringify(readings.slice(40))));
  await world.deliver(world.worker(), { stage: 'readings', partition: 0 });
  const run = { mendable, world };
  expect((await audit(run)).isRight).toBe(true);
  hub.overwrite(0, 1, Buffer.from('{}'));
  expect((await audit(run)).text).toContain('the hub holds other bytes');
});
