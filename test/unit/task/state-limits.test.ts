// Goal: a commit that a limit forbids is refused before it is appended: the log, the state and the hub's
// position are as they were, and the batch can be tried again.
import { count, minutes, seconds, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { StreamError } from '../../../shared/model/errors';
import { noStateLimits, StateBudget } from '../../../shared/state/state-budget';
import { Type } from 'typebox';
import type { Runtime } from '../../../shared/task/runtime';
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
    const refused = world.deliver(runtime, { stage: 'posts', partition: 0, from: 5 });
    expect(await codeOf(refused)).toBe('STREAM_STATE_TOO_LARGE');
    expect(await runtime.ledgers(functionName)).toEqual(before);
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
});
