// Goal: a reset of a running topology needs nobody to stand still: afterwards each event counts once.
// Method: between any two operations of the reset on the stores, workers that hold tasks, workers that
// open them, frozen ones that wake and other resets do their work; then all is read, and counted.
import { readHaltMarks } from '../../../shared/task/halt-marks';
import { expectedReadings, Mendable, someReadings } from '../../support/mendable';
import { aJobWorker, createJob, reportOf, work } from '../../support/job-world';
import { StageWorld, WorkerDied } from '../../support/stage-world';
import { harmStores } from '../../support/store-harm';

const readings = someReadings(24);
const expected = expectedReadings(readings);
const partitionCount = 2;

type Worker = ReturnType<StageWorld['worker']>;

interface Run {
  readonly mendable: Mendable;
  readonly world: StageWorld;
  readonly holder: Worker;
}

/** All events are in the hub; a part of them was read by a worker that holds its tasks. */
async function aRun(share = 0.5): Promise<Run> {
  const mendable = new Mendable();
  mendable.isMended = true;
  const world = new StageWorld({
    topologies: [mendable.topology],
    partitionCount,
    flushRowsMax: 1,
  });
  readings.forEach((reading, index) => {
    world.hub('readings').append(index % partitionCount, Buffer.from(JSON.stringify(reading)));
  });
  const holder = world.worker();
  if (share > 0) await readAll(world, holder, share);
  return { mendable, world, holder };
}

async function readAll(world: StageWorld, worker: Worker, share = 1): Promise<void> {
  for (const stage of ['readings', 'by-sensor']) {
    const { functionName, input } = world.stage(stage);
    for (let partition = 0; partition < partitionCount; partition += 1) {
      const messages = world.hub(input.hub).messages(partition);
      await worker.processBatch({
        ...{ functionName, partition: String(partition), deadlineMs: Infinity },
        messages: messages.slice(0, Math.ceil(messages.length * share)),
      });
    }
  }
}

/** What it is refused with while a reset is under way; anything else is a fault. */
const refusals = /STREAM_(RESET_UNFINISHED|COMMIT_CONTENDED|LOG_BEHIND|HUB_RECREATED)/;

const orRefused = (work: Promise<unknown>): Promise<unknown> =>
  work.catch((error: unknown) => expect(String(error)).toMatch(refusals));

async function reset({ mendable, world }: Run): Promise<Record<string, unknown>> {
  const id = await createJob(world, 'reset', { topology: 'readings' });
  await work(aJobWorker(world, { topologies: [mendable.topology] }), id);
  return reportOf(world, id);
}

async function expectOnce({ world }: Run): Promise<void> {
  const worker = world.worker();
  await world.finish(worker);
  await readAll(world, worker);
  await worker.tendHeld(Infinity);
  expect(await world.rows('readings_shaped')).toEqual(expected.shaped);
  expect(await world.rows('sensor_minutes')).toEqual(expected.minutes);
  const ledgers = await worker.ledgers(world.stage('readings').functionName);
  expect(ledgers.reduce((sum, { read }) => sum + read, 0)).toBe(readings.length);
}

const stores = ({ world }: Run): object[] => [world.appends, world.objects, world.lake];

/** Does something at one operation of a reset, on the stores as others see them. */
async function resetWith(
  run: Run,
  at: number,
  others: (run: Run) => Promise<unknown>,
): Promise<{ readonly operations: number; readonly report: Record<string, unknown> }> {
  let isTurnOfOthers = false;
  const harm = harmStores(stores(run), async (operation) => {
    if (isTurnOfOthers || operation !== at) return;
    isTurnOfOthers = true;
    await others(run);
  });
  const report = await reset(run);
  const { operations } = harm;
  harm.end();
  return { operations, report };
}

it('says what it did: events, files and logs, by stage', async () => {
  const run = await aRun(1);
  expect(await reset(run)).toMatchObject({
    isRight: true,
    eventsReadAgain: readings.length,
    logsEnded: 4,
    logBlobsDeleted: 4,
    stages: [
      { stage: 'readings', logsEnded: 2, eventsRead: readings.length, messagesHeld: 24 },
      { stage: 'by-sensor', logsEnded: 2 },
    ],
    tables: [{ table: 'readings_shaped' }, { table: 'sensor_minutes' }],
  });
  await expectOnce(run);
});

const meanwhile: [string, (run: Run) => Promise<unknown>][] = [
  [
    'a worker that holds its tasks reads on, sends and flushes',
    async ({ holder, world }) => {
      await orRefused(readAll(world, holder));
      await orRefused(holder.tendHeld(Infinity));
    },
  ],
  [
    'a worker that holds nothing opens all tasks and reads everything',
    async ({ world }) => {
      const worker = world.worker();
      await orRefused(readAll(world, worker));
      await orRefused(worker.tendHeld(Infinity));
      await orRefused(worker.tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: -Infinity }));
    },
  ],
  ['another reset does all of it', async (run) => reset(run)],
];

describe.each(meanwhile)('while %s', (_name, others) => {
  it('at any operation of it: each event counts once', async () => {
    const step = 7;
    for (let at = 1, operations = Infinity; at <= operations; at += step) {
      const run = await aRun();
      const done = await resetWith(run, at, others);
      expect(done.report).toMatchObject({ isRight: true });
      operations = Math.min(operations, done.operations);
      await expectOnce(run);
    }
  });
});

it('a task that no worker had begun before: what is read of it in the middle is read again', async () => {
  for (let at = 1, operations = Infinity; at <= operations; at += 9) {
    const run = await aRun(0);
    const done = await resetWith(run, at, async ({ world }) => {
      await orRefused(readAll(world, world.worker()));
    });
    expect(done.report).toMatchObject({ isRight: true });
    operations = Math.min(operations, done.operations);
    await expectOnce(run);
  }
});

it('a worker that was frozen before its append and wakes after the reset: it is refused', async () => {
  for (const method of ['append', 'putIfAbsent']) {
    const run = await aRun();
    const { holder, world } = run;
    let wake = (): void => undefined;
    const awake = new Promise<void>((resolve) => (wake = resolve));
    let isFrozen = false;
    const harm = harmStores([world.appends, world.lake], async (_operation, name) => {
      if (isFrozen || name !== method) return;
      isFrozen = true;
      await awake;
    });
    const frozen = orRefused(readAll(world, holder));
    while (!isFrozen) await Promise.resolve();
    expect(await reset(run)).toMatchObject({ isRight: true });
    harm.end();
    wake();
    await frozen;
    await orRefused(holder.tendHeld(Infinity));
    await expectOnce(run);
  }
});

it('two resets side by side, one of which began later, and one after them: each event counts once', async () => {
  for (let at = 1, operations = Infinity; at <= operations; at += 11) {
    const run = await aRun();
    const { holder, world } = run;
    const later: Promise<Record<string, unknown>>[] = [];
    const harm = harmStores(stores(run), (operation) => {
      world.nowMs += 1;
      if (operation !== at) return;
      later.push(reset(run));
    });
    const first = await reset(run);
    operations = Math.min(operations, harm.operations);
    harm.end();
    for (const report of [first, ...(await Promise.all(later))])
      expect(report).toMatchObject({ isRight: true });
    await expectOnce(run);
    if (at > 1) continue;
    world.isDraining = false;
    await orRefused(readAll(world, holder));
    expect(await reset(run)).toMatchObject({ isRight: true });
    await expectOnce(run);
  }
});

it('a hub that was created again in the middle of it: nothing of before is handed on', async () => {
  const run = await aRun(1);
  const { mendable, world } = run;
  let isDecided = false;
  const harm = harmStores(stores(run), (_operation, method, name) => {
    // All logs have ended, and no table is empty yet.
    if (isDecided && name.includes('_delta_log')) throw new WorkerDied('before it empties a table');
    isDecided ||= method === 'putIfAbsent' && name.endsWith('-decision.json');
  });
  const id = await createJob(world, 'reset', { topology: 'readings' });
  await work(aJobWorker(world, { topologies: [mendable.topology] }), id);
  harm.end();
  expect(await reportOf(world, id)).toMatchObject({ isRight: false });
  world.hub('readings').recreate(world.nowMs + 1);
  readings.forEach((reading, index) => {
    world.hub('readings').append(index % partitionCount, Buffer.from(JSON.stringify(reading)));
  });
  await expect(readAll(world, world.worker())).rejects.toThrow('STREAM_RESET_UNFINISHED');
  expect(await reset(run)).toMatchObject({ isRight: true });
  await expectOnce(run);
});

it('a topology that was drained runs again, also where a worker still believes that it drains', async () => {
  const run = await aRun();
  const { holder, world } = run;
  await world.objects.put('control/readings/drain', Buffer.from('{}'));
  world.isDraining = true;
  await holder.tendHeld(Infinity);
  world.onSleep = async () => {
    world.isDraining = false;
  };
  expect(await reset(run)).toMatchObject({ isRight: true });
  expect(world.isDraining).toBe(false);
  expect(await world.objects.get('control/readings/drain')).toBeUndefined();
  await expectOnce(run);
});

it('a table that may not lose rows: nothing is touched, and what is wrong is said', async () => {
  const run = await aRun();
  const { world } = run;
  const name = 'tables/readings_shaped/_delta_log/00000000000000000000.json';
  const text = Buffer.from((await world.lake.get(name)) ?? []).toString('utf8');
  const changed = text.replace('"configuration":{', '"configuration":{"delta.appendOnly":"true",');
  expect(changed).not.toBe(text);
  await world.lake.put(name, Buffer.from(changed.replace(',}', '}')));
  const report = await reset(run);
  expect(report).toMatchObject({ isRight: false, logsEnded: 0 });
  expect(JSON.stringify(report['failures'])).toMatch(/its logs were not touched.*appendOnly/);
  await readAll(world, world.worker());
});

describe('what a reset leaves to be found', () => {
  it('is no host checkpoint of a source: a host that starts gives its trigger all that is read again', async () => {
    const run = await aRun(1);
    const kept = new Map([
      ['0', { sequenceNumber: 11, tag: 'a' }],
      ['1', { sequenceNumber: 11, tag: 'b' }],
    ]);
    run.world.checkpoints = {
      read: async (partition) => kept.get(partition),
      forget: async (partition, { tag }) => {
        if (kept.get(partition)?.tag !== tag) return 'changed';
        kept.delete(partition);
        return 'forgotten';
      },
    };
    await reset(run);
    expect(kept.size).toBe(0);
    await expectOnce(run);
  });

  it('is no task that is said to wait for a reset which is over', async () => {
    const run = await aRun();
    const met: string[] = [];
    await resetWith(run, 60, async () => {
      await orRefused(readAll(run.world, run.holder));
      met.push(...(await readHaltMarks(run.world.objects)).map(({ code }) => code));
    });
    expect(met).toContain('STREAM_RESET_UNFINISHED');
    expect(await readHaltMarks(run.world.objects)).toEqual([]);
    await expectOnce(run);
  });
});
