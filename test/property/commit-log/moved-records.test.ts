// Goal: a record that is doubled, missing or out of place in a commit log is never taken in in
// silence: the log is refused with its blob's name, or what comes of it is what would have come.
// Method: a log with commits, attempts and a killed worker; one record is moved, at every place and
// at random pairs; the task is opened, goes on, and its tables are compared.
import fc from 'fast-check';
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import { generationName } from '../../../shared/commit-log/names';
import { copyLog, recordsOf, restoreLog, type LogCopy } from '../../support/log-copies';
import { expectedReadings, Mendable, someReadings } from '../../support/mendable';
import { StageWorld, WorkerDied } from '../../support/stage-world';
import type { TaskAddress } from '../../../shared/model/task-address';

const readings = someReadings(40);
const expected = expectedReadings(readings);

interface Run {
  readonly world: StageWorld;
  readonly path: TaskAddress;
  readonly whole: LogCopy;
  readonly records: readonly Uint8Array[];
}

async function aRun(): Promise<Run> {
  const mendable = new Mendable();
  mendable.isMended = true;
  const log = { blocksMax: 1_000, bytesMax: 2 ** 30, ageMaxMs: 10 ** 12, blockBytesMax: 2 ** 22 };
  const world = new StageWorld({
    ...{ topologies: [mendable.topology], partitionCount: 1, flushRowsMax: 1_000 },
    limits: { log },
  });
  for (const reading of readings) {
    world.hub('readings').append(0, Buffer.from(JSON.stringify(reading)));
  }
  const deliver = (worker: ReturnType<StageWorld['worker']>, from: number) =>
    world.deliver(worker, { stage: 'readings', partition: 0, from, batchSize: 4 });
  // Dead workers leave attempts behind.
  for (const from of [0, 12, 20]) {
    let commits = 0;
    const dieAt = (point: string): boolean =>
      point === 'stage.after-process' && (commits += 1) === 3;
    await deliver(world.worker(dieAt), from).catch((error: unknown) => {
      if (!(error instanceof WorkerDied)) throw error;
    });
  }
  const path = (await listLogs(world.appends, 'readings'))[0];
  if (path === undefined) throw new Error('there is no log');
  const whole = await copyLog(world.appends, path);
  return { world, path, whole, records: await recordsOf(world.appends, path) };
}

/** Refused with the blob's name, or all rows as they would have been. */
async function expectRefusedOrRight(
  { path, world }: Run,
  records: readonly Uint8Array[],
): Promise<'refused' | 'right'> {
  const name = generationName(path, 0);
  await restoreLog(world.appends, path, new Map([[name, Buffer.concat(records)]]));
  const reading = readLog(world.appends, path, null).then(
    () => null,
    (error: unknown) => String(error),
  );
  const opening = world
    .worker()
    .tendTask({ functionName: 'readings-readings', partition: '0', deadlineMs: Infinity })
    .then(
      () => null,
      (error: unknown) => String(error),
    );
  const failures = [await reading, await opening].filter((failure) => failure !== null);
  for (const failure of failures) expect(failure).toContain(`STREAM_LOG_CORRUPT: ${name}`);
  if (failures.length > 0) return 'refused';
  const mended = new Mendable();
  mended.isMended = true;
  // The exchange of this copy is empty: a log that has read another's would take it for promoted.
  const others = (await world.appends.list('commits/readings/')).filter((name) =>
    name.includes('/by-sensor/'),
  );
  for (const name of others) await world.appends.delete(name);
  const copy = new StageWorld({
    ...{ topologies: [mended.topology], partitionCount: 1, flushRowsMax: 1_000 },
    appends: world.appends,
  });
  for (const reading of readings) {
    copy.hub('readings').append(0, Buffer.from(JSON.stringify(reading)));
  }
  const worker = copy.worker();
  await copy.deliver(worker, { stage: 'readings', partition: 0, batchSize: 9 });
  await copy.finish(worker);
  await worker.tendHeld(Infinity);
  expect(await copy.rows('readings_shaped')).toEqual(expected.shaped);
  return 'right';
}

it('refuses or bears one record doubled, missing, or swapped with any other', async () => {
  const run = await aRun();
  const { records } = run;
  expect(records.length).toBeGreaterThanOrEqual(10);
  const outcomes = { refused: 0, right: 0 };
  const place = fc.nat(records.length - 1);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.record({ kind: fc.constant('doubled' as const), from: place, to: place }),
        fc.record({ kind: fc.constant('missing' as const), from: place, to: place }),
        fc.record({ kind: fc.constant('swapped' as const), from: place, to: place }),
      ),
      async ({ from, kind, to }) => {
        const moved = records.slice();
        const [one, other] = [records[from], records[to]];
        if (one === undefined || other === undefined) return;
        if (kind === 'doubled') moved.splice(to + 1, 0, one);
        else if (kind === 'missing') moved.splice(from, 1);
        else [moved[from], moved[to]] = [other, one];
        outcomes[await expectRefusedOrRight(run, moved)] += 1;
      },
    ),
    { numRuns: 60 },
  );
  expect(outcomes.refused).toBeGreaterThan(outcomes.right);
});

it('refuses each commit that is missing before another one, and names it', async () => {
  const run = await aRun();
  const { records } = run;
  let refused = 0;
  for (let place = 1; place < records.length - 1; place += 1) {
    const left = records.filter((_record, index) => index !== place);
    if ((await expectRefusedOrRight(run, left)) === 'refused') refused += 1;
  }
  expect(refused).toBeGreaterThanOrEqual(5);
  await restoreLog(run.world.appends, run.path, run.whole);
});
