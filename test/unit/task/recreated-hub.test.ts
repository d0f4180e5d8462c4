// Goal: a hub that is deleted and created again carries the state on, whatever is still on its way
// from the hub before.
import type { HostCheckpoints, HubMessage } from '../../../shared/model/ports';
import { topologies } from '../../fixtures/topologies/orders';
import { expectedPaid, someOrders } from '../../support/orders';
import { StageWorld } from '../../support/stage-world';

const functionName = 'orders-orders';
const recreatedAtMs = Date.UTC(2026, 5, 2);

function worldWith(
  orders: ReturnType<typeof someOrders>,
  options: { readonly hubCheckIntervalMs?: number } = {},
): StageWorld {
  const world = new StageWorld({ topologies, partitionCount: 1, ...options });
  for (const order of orders) world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
  return world;
}

const batch = (messages: readonly HubMessage[]) => ({
  ...{ functionName, partition: '0', messages, deadlineMs: Infinity },
});

test('a batch of the former hub that comes late does not double its events in the new one', async () => {
  const orders = someOrders(300);
  const world = worldWith(orders.slice(0, 200));
  const formerMessages = Array.from(world.hub('orders').messages(0));
  const worker = world.worker();
  const slowWorker = world.worker();
  await worker.processBatch(batch(formerMessages));
  await slowWorker.processBatch(batch(formerMessages.slice(0, 50)));
  world.hub('orders').recreate(recreatedAtMs);
  await slowWorker.processBatch(batch(formerMessages.slice(50)));
  for (const order of orders.slice(200)) {
    world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
  }
  await world.finish(worker);
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(orders));
  const dropped = world.events.filter(({ event }) => event === 'task.messages-of-former-hub');
  expect(dropped.map(({ fields }) => fields['messages'])).toEqual([150]);
});

test('what the host skipped is not read from a hub that was created again meanwhile', async () => {
  const orders = someOrders(300);
  const world = worldWith(orders.slice(0, 100));
  const hub = world.hub('orders');
  const formerMessages = Array.from(hub.messages(0));
  const worker = world.worker();
  await worker.processBatch(batch(formerMessages.slice(0, 20)));
  // The worker has asked which hub it is, and only then the hub is created again, with new events.
  const read = hub.read.bind(hub);
  hub.read = async (range) => {
    hub.read = read;
    hub.recreate(recreatedAtMs);
    for (const order of orders.slice(100)) hub.append(0, Buffer.from(JSON.stringify(order)));
    return read(range);
  };
  await worker.processBatch(batch(formerMessages.slice(60)));
  await world.finish(worker);
  const committed = [...orders.slice(0, 20), ...orders.slice(100)];
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(committed));
});

test('a worker that holds nothing does not look after the task of the former hub for ever', async () => {
  const orders = someOrders(100);
  const world = worldWith(orders.slice(0, 50));
  const idleWorker = world.worker();
  const abandoned = { deadlineMs: Infinity, abandonedAfterMs: -Infinity };
  await idleWorker.tendAbandoned(abandoned);
  world.hub('orders').recreate(recreatedAtMs);
  for (const order of orders.slice(50)) {
    world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
  }
  world.nowMs += 60_000;
  await idleWorker.tendAbandoned(abandoned);
  const opened = world.events.filter(({ event }) => event === 'task.opened');
  expect(opened.map(({ fields }) => fields['incarnation'])).toContain(`00${recreatedAtMs}`);
  await world.finish(world.worker());
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(orders));
});

test('a log of the former hub that begins late is handed on, or does not begin', async () => {
  const orders = someOrders(200);
  const world = worldWith(orders.slice(0, 100));
  const formerMessages = Array.from(world.hub('orders').messages(0));
  const slowWorker = world.worker();
  const create = world.appends.create.bind(world.appends);
  // The slow worker has found no log and is about to begin one: only now the hub is created again,
  // and another worker begins the log of the new one.
  world.appends.create = async (name) => {
    world.appends.create = create;
    world.hub('orders').recreate(recreatedAtMs);
    for (const order of orders.slice(100)) {
      world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
    }
    await world.worker().processBatch(batch(world.hub('orders').messages(0).slice(0, 60)));
    return create(name);
  };
  await slowWorker.processBatch(batch(formerMessages));
  await world.finish(world.worker());
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(orders.slice(100)));
});

test('a worker whose clock was set back still asks which hub it is', async () => {
  const orders = someOrders(90);
  const world = worldWith(orders.slice(0, 30), { hubCheckIntervalMs: 10_000 });
  const worker = world.worker();
  await worker.processBatch(batch(Array.from(world.hub('orders').messages(0))));
  world.nowMs -= 600_000;
  world.hub('orders').recreate(recreatedAtMs);
  for (const order of orders.slice(30)) {
    world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
  }
  // Its numbers happen to go on from those of the former hub.
  await worker.processBatch(batch(world.hub('orders').messages(0).slice(30)));
  await world.finish(world.worker());
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(orders));
});

describe('the host’s checkpoint', () => {
  /** A task whose trigger brings nothing: its input is read by who finds it waiting. */
  async function recover(
    checkpoints: Partial<HostCheckpoints>,
  ): Promise<{ readonly world: StageWorld; readonly forgotten: string[] }> {
    const forgotten: string[] = [];
    const world = worldWith(someOrders(20));
    world.checkpoints = {
      read: async () => undefined,
      forget: async (partition, { tag }) => {
        forgotten.push(`${partition} ${tag}`);
        return 'forgotten';
      },
      ...checkpoints,
    };
    const target = { functionName, partition: '0', deadlineMs: Infinity, isRecovery: true };
    const report = await world.worker().tendTask(target);
    expect(report.events).toBe(20);
    return { world, forgotten };
  }
  const said = (world: StageWorld): unknown[] =>
    world.events
      .filter(({ event }) => event.startsWith('task.checkpoint'))
      .map(({ event }) => event);

  it('of a former hub, beyond the end of the new one, no longer keeps the trigger from reading', async () => {
    const read = async () => ({ sequenceNumber: 20, tag: 'a' });
    const { forgotten, world } = await recover({ read });
    expect(forgotten).toEqual(['0 a']);
    expect(said(world)).toEqual(['task.checkpoint-forgotten']);
  });

  it('of this hub is left alone', async () => {
    const { forgotten, world } = await recover({
      read: async () => ({ sequenceNumber: 19, tag: 'a' }),
    });
    expect(forgotten).toEqual([]);
    expect(said(world)).toEqual([]);
  });

  it('that the host writes in that moment is left alone', async () => {
    const { world } = await recover({
      read: async () => ({ sequenceNumber: 20, tag: 'a' }),
      forget: async () => 'changed',
    });
    expect(said(world)).toEqual([]);
  });

  it('that cannot be read is said, and input is read all the same', async () => {
    const { world } = await recover({
      read: async () => {
        throw new Error('403');
      },
    });
    expect(said(world)).toEqual(['task.checkpoint-unread']);
  });
});
