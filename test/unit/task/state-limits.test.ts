// Goal: a commit that a limit forbids is refused before it is appended: the log, the state and the hub's
// position are as they were, and the batch can be tried again.
import { count, minutes, seconds, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { StreamError } from '../../../shared/model/errors';
import { noStateLimits, StateBudget } from '../../../shared/state/state-budget';
import { Type } from 'typebox';
import { readHaltMarks } from '../../../shared/task/halt-marks';
import type { Runtime } from '../../../shared/task/runtime';
import { defaultStageLimits } from '../../../shared/task/services';
import { StageWorld } from '../../support/stage-world';

const keyed = topology('keyed', (t) => {
  t.source('posts', {
    schema: Type.Object({ user: Type.String(), time: Timestamp() }),
    eventTime: (post) => post.time,
    outOfOrderness: seconds(5),
  })
    .keyBy((post) => post.user, { name: 'user', isPartitionedBySource: true })
    .window(tumbling(minutes(1)), { name: 'counts' })
    .aggregate({ posts: count() })
    .map((found) => ({ user: String(found.key), posts: found.posts }))
    .toLake('counts', { schema: Type.Object({ user: Type.String(), posts: Type.Integer() }) });
});
const functionName = 'keyed-posts';
const firstMs = Date.UTC(2026, 5, 1);

function worldWith(partitionCount: number): StageWorld {
  return new StageWorld({ topologies: [keyed], partitionCount });
}

/** Another process, with limits of its own. */
function workerWith(
  world: StageWorld,
  limits: { readonly taskBytesMax?: number; readonly processBytesMax?: number },
): { readonly runtime: Runtime; readonly budget: StateBudget } {
  const budget = new StateBudget({ ...noStateLimits, ...limits });
  world.stateBudget = budget;
  return { runtime: world.worker(), budget };
}

/** One event a key, in one partition. */
function send(world: StageWorld, partition: number, keys: number, from = 0): void {
  const hub = world.hub('posts');
  for (let index = from; index < from + keys; index += 1) {
    const body = Buffer.from(JSON.stringify({ user: `user-${index}`, time: firstMs + index }));
    hub.append(partition, body);
  }
}

function sendAt(world: StageWorld, partition: number, user: string, time: number): void {
  world.hub('posts').append(partition, Buffer.from(JSON.stringify({ user, time })));
}

/** How long all logs of all tasks are. */
async function bytesOfLogs(world: StageWorld): Promise<number> {
  const names = await world.appends.list('commits/');
  const blobs = await Promise.all(names.map((name) => world.appends.stat(name)));
  return blobs.reduce((sum, blob) => sum + (blob?.bytes ?? 0), 0);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof StreamError) return error.code;
    throw error;
  }
}

describe('a task whose state would get too large', () => {
  it('commits nothing of the batch that would pass its limit, and goes on where the limit is raised', async () => {
    const world = worldWith(1);
    const { runtime } = workerWith(world, { taskBytesMax: 2_000 });
    send(world, 0, 5);
    await world.deliver(runtime, { stage: 'posts', partition: 0 });
    const before = await runtime.ledgers(functionName);
    expect(before).toMatchObject([{ read: 5 }]);
    send(world, 0, 1_000, 5);
    const log = await bytesOfLogs(world);
    const refused = world.deliver(runtime, { stage: 'posts', partition: 0, from: 5 });
    expect(await codeOf(refused)).toBe('STREAM_STATE_TOO_LARGE');
    expect(await runtime.ledgers(functionName)).toEqual(before);
    expect(await bytesOfLogs(world)).toBe(log);
    const roomy = workerWith(world, { taskBytesMax: 1e9 }).runtime;
    await world.deliver(roomy, { stage: 'posts', partition: 0, from: 5 });
    expect(await roomy.ledgers(functionName)).toMatchObject([{ read: 1_005, emitted: 1_005 }]);
  });

  it('is not opened by a worker that has no room for it, and is by one that has', async () => {
    const world = worldWith(2);
    const { runtime: first } = workerWith(world, {});
    for (const partition of [0, 1]) {
      send(world, partition, 500);
      await world.deliver(first, { stage: 'posts', partition });
    }
    const room = world.stateBudget.memoryBytes * 0.75;
    const { budget, runtime: second } = workerWith(world, { processBytesMax: room });
    await world.deliver(second, { stage: 'posts', partition: 0 });
    const held = budget.memoryBytes;
    expect(held).toBeGreaterThan(0);
    const refused = world.deliver(second, { stage: 'posts', partition: 1 });
    expect(await codeOf(refused)).toBe('STREAM_WORKER_FULL');
    expect(second.heldTasks()).toHaveLength(1);
    expect(budget.memoryBytes).toBe(held);
    const third = workerWith(world, { processBytesMax: room }).runtime;
    send(world, 1, 1, 500);
    await world.deliver(third, { stage: 'posts', partition: 1, from: 500 });
    expect(third.heldTasks()).toHaveLength(1);
  });

  it('is not read from its log again for each batch that is refused, and says so to the operator', async () => {
    const world = worldWith(1);
    const { runtime } = workerWith(world, { taskBytesMax: 2_000 });
    send(world, 0, 1_000);
    const deliver = (): Promise<string> =>
      codeOf(world.deliver(runtime, { stage: 'posts', partition: 0, batchSize: 1_000 }));
    expect(await deliver()).toBe('STREAM_STATE_TOO_LARGE');
    expect(await deliver()).toBe('STREAM_STATE_TOO_LARGE');
    expect(world.events.filter(({ event }) => event === 'task.opened')).toHaveLength(1);
    expect(runtime.heldTasks()).toHaveLength(1);
    const marks = await readHaltMarks(world.objects);
    expect(marks).toMatchObject([{ code: 'STREAM_STATE_TOO_LARGE', partition: '0' }]);
    expect(marks[0]?.message).toMatch(/MILLRACE_STATE_BYTES_MAX/);
  });

  it('takes no event for one that kills workers, however many of them come and go', async () => {
    const world = worldWith(1);
    send(world, 0, 16);
    for (let workers = 0; workers < 12; workers += 1) {
      const { runtime } = workerWith(world, { taskBytesMax: 100 });
      const refused = world.deliver(runtime, { stage: 'posts', partition: 0 });
      expect(await codeOf(refused)).toBe('STREAM_STATE_TOO_LARGE');
    }
    const { runtime } = workerWith(world, {});
    await world.deliver(runtime, { stage: 'posts', partition: 0 });
    expect(await runtime.ledgers(functionName)).toMatchObject([{ emitted: 16, deadLettered: 0 }]);
  });

  it('goes on by itself where its windows close with what comes next', async () => {
    const world = worldWith(1);
    const { runtime } = workerWith(world, { taskBytesMax: 30_000 });
    send(world, 0, 500);
    await world.deliver(runtime, { stage: 'posts', partition: 0 });
    const full = world.hub('posts').messages(0).length;
    send(world, 0, 400, 500);
    const refused = world.deliver(runtime, {
      stage: 'posts',
      partition: 0,
      from: full,
      batchSize: 400,
    });
    expect(await codeOf(refused)).toBe('STREAM_STATE_TOO_LARGE');
    // An hour later all windows of before are over: the batch takes less than it gives back.
    sendAt(world, 0, 'late-riser', firstMs + 3_600_000);
    await world.deliver(runtime, { stage: 'posts', partition: 0, from: full, batchSize: 401 });
    expect(await runtime.ledgers(functionName)).toMatchObject([{ read: 901, emitted: 901 }]);
  });
});

describe('a worker without memory for more state', () => {
  it('gives the batch back at once, uncommitted, and goes on with its other tasks', async () => {
    const world = worldWith(2);
    const { runtime } = workerWith(world, {});
    for (const partition of [0, 1]) {
      send(world, partition, 100);
      await world.deliver(runtime, { stage: 'posts', partition });
    }
    const { budget, runtime: full } = workerWith(world, {
      processBytesMax: world.stateBudget.memoryBytes + 10_000,
    });
    // Each begins with a commit of this worker: from there on an attempt is no news.
    for (const partition of [0, 1]) {
      send(world, partition, 1, 100);
      await world.deliver(full, { stage: 'posts', partition });
    }
    const held = budget.memoryBytes;
    const log = await bytesOfLogs(world);
    const { nowMs } = world;
    send(world, 0, 500, 101);
    const refused = world.deliver(full, {
      stage: 'posts',
      partition: 0,
      from: 101,
      batchSize: 500,
    });
    expect(await codeOf(refused)).toBe('STREAM_WORKER_FULL');
    expect(world.nowMs).toBe(nowMs);
    expect(await bytesOfLogs(world)).toBe(log);
    expect(budget.memoryBytes).toBe(held);
    send(world, 1, 5, 101);
    await world.deliver(full, { stage: 'posts', partition: 1, from: 101 });
    expect(await full.ledgers(functionName)).toMatchObject([{ read: 101 }, { read: 106 }]);
    // What would make room is done though the worker is full.
    sendAt(world, 0, 'late-riser', firstMs + 3_600_000);
    await world.deliver(full, { stage: 'posts', partition: 0, from: 101, batchSize: 501 });
    expect(await full.ledgers(functionName)).toMatchObject([{ read: 602, emitted: 602 }, {}]);
    expect(budget.memoryBytes).toBeLessThan(held);
  });

  it('opens again what it had room to commit, from its snapshot and without', async () => {
    const world = new StageWorld({
      topologies: [keyed],
      partitionCount: 1,
      limits: { log: { ...defaultStageLimits.log, blocksMax: 6 } },
    });
    const { budget, runtime } = workerWith(world, {});
    send(world, 0, 3_000);
    await world.deliver(runtime, { stage: 'posts', partition: 0 });
    const parts = await world.objects.list('snapshots/');
    expect(parts.length).toBeGreaterThan(0);
    const { runtime: again } = workerWith(world, { processBytesMax: budget.memoryBytes });
    await world.deliver(again, { stage: 'posts', partition: 0, from: 2_999 });
    expect(again.heldTasks()).toHaveLength(1);
  });
});
