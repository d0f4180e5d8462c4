// Goal: a task that cannot be looked after is said, and keeps nobody from looking after the others.
import { listLogs } from '../../../shared/commit-log/log-reader';
import { generationName } from '../../../shared/commit-log/names';
import { topologies } from '../../fixtures/topologies/orders';
import { expectedPaid, someOrders } from '../../support/orders';
import { StageWorld } from '../../support/stage-world';

const all = { deadlineMs: Infinity, abandonedAfterMs: -Infinity };

/** Two partitions, of which the first has a log that cannot be read. */
async function aWorld() {
  const orders = someOrders(100);
  const world = new StageWorld({ topologies, partitionCount: 2 });
  const worker = world.worker();
  const append = (from: number, to: number): void => {
    for (const order of orders.slice(from, to)) {
      world.hub('orders').append(1, Buffer.from(JSON.stringify(order)));
    }
  };
  append(0, 50);
  await worker.tendAbandoned(all);
  world.nowMs += 60_000;
  await worker.tendAbandoned(all);
  append(50, 100);
  return { orders, world };
}

async function damage(world: StageWorld): Promise<void> {
  const path = (await listLogs(world.appends, 'orders')).find(
    ({ partition, stage }) => stage === 'orders' && partition === '0',
  );
  if (path === undefined) throw new Error('there is no log');
  const name = generationName(path, 0);
  const { bytes = 0 } = (await world.appends.stat(name)) ?? {};
  await world.appends.append({ name, block: Buffer.from('damage'), expectedPosition: bytes });
}

it('of one whose log is damaged the neighbours are looked after all the same', async () => {
  const { orders, world } = await aWorld();
  await damage(world);
  world.nowMs += 60_000;
  world.isDraining = true;
  const worker = world.worker();
  await expect(worker.tendAbandoned(all)).rejects.toThrow('STREAM_LOG_CORRUPT');
  await expect(worker.tendAbandoned(all)).rejects.toThrow('STREAM_LOG_CORRUPT');
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(orders));
});

it('of one that fails while it is held the neighbours are looked after all the same', async () => {
  const { orders, world } = await aWorld();
  const worker = world.worker();
  for (const partition of ['0', '1']) {
    const messages = world.hub('orders').messages(Number(partition));
    const request = { functionName: 'orders-orders', partition, messages };
    await worker.processBatch({ ...request, deadlineMs: Infinity });
  }
  await damage(world);
  world.nowMs += 60_000;
  world.isDraining = true;
  await expect(worker.tendHeld(Infinity)).rejects.toThrow('STREAM_LOG_CORRUPT');
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(orders));
});

it('that others took over and went on with long ago is let go, and nothing has failed', async () => {
  const orders = someOrders(200);
  const log = { blocksMax: 12, bytesMax: 2 ** 30, ageMaxMs: 10 ** 12, blockBytesMax: 2 ** 22 };
  const limits = { log, logRetentionMs: 0 };
  const world = new StageWorld({ topologies, partitionCount: 1, limits });
  for (const order of orders) world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
  const [held, other] = [world.worker(), world.worker()];
  await world.deliver(held, { stage: 'orders', partition: 0, batchSize: 200 });
  for (let batch = 0; batch < 30; batch += 1) {
    world.hub('orders').append(0, Buffer.from('no order'));
    const from = orders.length + batch;
    await world.deliver(other, { stage: 'orders', partition: 0, from });
  }
  world.nowMs += 60_000;
  await held.tendHeld(Infinity);
  expect(held.heldTasks()).toEqual([]);
});
