// Goal: wall clock closes windows where a source says so, and never decides what is late: with ticks and without
// the same events are, and the same rows come out.
import fc from 'fast-check';
import { Type } from 'typebox';
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import { count, seconds, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { MemoryHub } from '../../../shared/testing/memory-hub';
import { StageWorld } from '../../support/stage-world';

const event = Type.Object({ id: Type.Integer(), time: Timestamp() });

const quietTopology = (quiet: boolean) =>
  topology('quiet', (t) => {
    const windows = t
      .source('in', {
        schema: event,
        eventTime: (e) => e.time,
        outOfOrderness: seconds(4),
        ...(quiet && { quiet: { after: seconds(5), maxDelay: seconds(8) } }),
      })
      .keyBy(() => 'all', { name: 'all', isPartitionedBySource: true })
      .window(tumbling(seconds(5)), { name: 'windows', late: 'sideOutput' })
      .aggregate({ events: count() });
    windows
      .map(({ events, windowStart }) => ({ start: windowStart, events }))
      .toLake('counts', { schema: Type.Object({ start: Timestamp(), events: Type.Integer() }) });
    windows.late.toLake('late', { schema: event });
  });

interface Arrival {
  /** Since the one before it was enqueued. */
  readonly waitMs: number;
  readonly delayMs: number;
}

async function run(
  arrivals: readonly Arrival[],
  options: { isTicked: boolean; isQuiet?: boolean },
) {
  const { isQuiet = true, isTicked } = options;
  const world = new StageWorld({ topologies: [quietTopology(isQuiet)], partitionCount: 1 });
  const clock = { nowMs: () => world.nowMs };
  const hub = new MemoryHub({ partitionCount: 1, createdAtMs: 1_000, clock });
  world.hubs.set('in', hub);
  const worker = world.worker();
  for (const [id, { delayMs, waitMs }] of arrivals.entries()) {
    for (let waited = 0; waited < waitMs; waited += 2_000) {
      world.nowMs += Math.min(2_000, waitMs - waited);
      if (isTicked) await worker.tendHeld(Infinity);
    }
    hub.append(0, Buffer.from(JSON.stringify({ id, time: world.nowMs - delayMs })));
    await world.deliver(worker, { stage: 'in', partition: 0, from: id });
  }
  const ticks = await countTicks(world);
  await world.finish(worker);
  return { counts: await world.rows('counts'), late: await world.rows('late'), ticks, world };
}

async function countTicks({ appends }: StageWorld): Promise<number> {
  let ticks = 0;
  for (const path of await listLogs(appends, 'quiet')) {
    const { records } = await readLog(appends, path, null);
    for (const record of records) {
      if (record.kind === 'commit' && record.watermarkReason === 'idle') ticks += 1;
    }
  }
  return ticks;
}

it('the same events are late with ticks and without', async () => {
  let ticksSeen = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          waitMs: fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 60_000 })),
          delayMs: fc.integer({ min: 0, max: 20_000 }),
        }),
        { minLength: 1, maxLength: 15 },
      ),
      async (arrivals) => {
        const ticked = await run(arrivals, { isTicked: true });
        const plain = await run(arrivals, { isTicked: false });
        expect(plain.ticks).toBe(0);
        expect([ticked.late, ticked.counts]).toEqual([plain.late, plain.counts]);
        ticksSeen += ticked.ticks;
      },
    ),
    { numRuns: 25 },
  );
  expect(ticksSeen).toBeGreaterThan(0);
});

it('an event that is enqueued too long after it happened is late although no tick came', async () => {
  const late = [
    { waitMs: 0, delayMs: 0 },
    { waitMs: seconds(30), delayMs: seconds(25) },
  ];
  expect((await run(late, { isTicked: false })).late).toHaveLength(1);
  // Without quiet it is in time: nothing came that would have moved it.
  expect((await run(late, { isTicked: true, isQuiet: false })).late).toHaveLength(0);
});

describe('the last window', () => {
  async function rowsInLog(isQuiet: boolean): Promise<number> {
    const { world } = await run([{ waitMs: 0, delayMs: 0 }], { isTicked: false, isQuiet });
    return (await world.rows('counts')).length;
  }

  it.each([
    ['closes by wall clock where the source says so', true, 1],
    ['waits for the next event, or for a drain, where it does not', false, 0],
  ])('%s', async (_what, isQuiet, results) => {
    const world = new StageWorld({
      topologies: [quietTopology(isQuiet)],
      partitionCount: 1,
      flushRowsMax: 1,
    });
    const body = Buffer.from(JSON.stringify({ id: 1, time: world.nowMs }));
    world.hub('in').append(0, body);
    const worker = world.worker();
    await world.deliver(worker, { stage: 'in', partition: 0 });
    for (let passed = 0; passed < 120; passed += 2) {
      world.nowMs += seconds(2);
      await worker.tendHeld(Infinity);
    }
    expect(await world.rows('counts')).toHaveLength(results);
    expect(await rowsInLog(isQuiet)).toBe(1);
  });
});
