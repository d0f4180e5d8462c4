// Goal: a hub that has another number of partitions than before never splits a key's state in silence.
// Method: a topology whose keys lie where the source puts them, on memory stores; the hub grows in
// place, or is created again with another count, while workers run and where new ones come.
import { Type } from 'typebox';
import { count, minutes, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { readHaltMarks } from '../../../shared/task/halt-marks';
import { MemoryHub } from '../../../shared/testing/memory-hub';
import { topologies as orders } from '../../fixtures/topologies/orders';
import { someOrders } from '../../support/orders';
import { StageWorld } from '../../support/stage-world';

const schema = Type.Object({ card: Type.String(), time: Timestamp() });
const counted = Type.Object({ card: Type.String(), n: Type.Integer() });
const cards = topology('cards', (t) => {
  t.source('payments', { schema, eventTime: (e) => e.time })
    .keyBy((e) => e.card, { name: 'card', isPartitionedBySource: true })
    .window(tumbling(minutes(1)), { name: 'per-minute' })
    .aggregate({ n: count() })
    .map(({ key, n }) => ({ card: key, n }))
    .toLake('card_minutes', { schema: counted });
});

function payments(hub: MemoryHub, partition: number, ...times: readonly number[]): void {
  for (const time of times) {
    hub.append(partition, Buffer.from(JSON.stringify({ card: 'card-1', time })));
  }
}

/** A hub of one partition, read by a worker; then it has another count. */
async function changed(to: { partitionCount: number; createdAtMs: number }, from = 1) {
  const world = new StageWorld({ topologies: [cards], partitionCount: from });
  payments(world.hub('payments'), 0, 1_000, 2_000, 3_000);
  const worker = world.worker();
  await world.deliver(worker, { stage: 'payments', partition: 0 });
  const hub = new MemoryHub(to);
  if (to.createdAtMs === 1_000) payments(hub, 0, 1_000, 2_000, 3_000);
  world.hubs.set('payments', hub);
  return { world, worker, hub };
}

const decision = /STREAM_STATE_MISMATCH.*had 1 partitions and now has 2.*millrace plan/;

test.each([
  ['grown in place', 1_000],
  ['created again with more', 2_000],
])('a hub %s: no task of a stage that keeps keys in place commits', async (_name, createdAtMs) => {
  const { hub, world } = await changed({ partitionCount: 2, createdAtMs });
  payments(hub, 1, 4_000, 5_000);
  payments(hub, 0, 70_000);
  const worker = world.worker();
  for (const partition of [1, 0]) {
    const delivery = world.deliver(worker, { stage: 'payments', partition });
    await expect(delivery).rejects.toThrow(decision);
  }
  expect(await readHaltMarks(world.objects)).toHaveLength(2);
});

test('a worker that runs while the hub grows stops when it asks which hub it is', async () => {
  const { hub, world } = await changed({ partitionCount: 2, createdAtMs: 1_000 });
  const runs = world.worker();
  hub.describe = async () => ({ createdAtMs: 1_000, partitionIds: ['0'] });
  await world.deliver(runs, { stage: 'payments', partition: 0 });
  Reflect.deleteProperty(hub, 'describe');
  payments(hub, 0, 70_000);
  const delivery = world.deliver(runs, { stage: 'payments', partition: 0 });
  await expect(delivery).rejects.toThrow(decision);
  expect(world.events.map(({ event }) => event)).toContain('hub.partitions-changed');
});

test('a hub created again with fewer partitions halts it too; with the count of before it goes on', async () => {
  const { hub, world } = await changed({ partitionCount: 1, createdAtMs: 2_000 }, 2);
  payments(hub, 0, 70_000);
  const delivery = world.deliver(world.worker(), { stage: 'payments', partition: 0 });
  await expect(delivery).rejects.toThrow(/had 2 partitions and now has 1/);
  const again = new MemoryHub({ partitionCount: 2, createdAtMs: 3_000 });
  world.hubs.set('payments', again);
  payments(again, 0, 4_000);
  await world.finish(world.worker());
  expect(await world.rows('card_minutes')).toEqual(['["card-1",4]']);
});

test('a stage without keyed state carries on, and says so', async () => {
  const world = new StageWorld({ topologies: orders, partitionCount: 1 });
  const [first, second] = [someOrders(50), someOrders(100).slice(50)];
  for (const order of first) world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
  const worker = world.worker();
  await world.deliver(worker, { stage: 'orders', partition: 0 });
  const grown = new MemoryHub({ partitionCount: 2, createdAtMs: 1_000 });
  for (const order of first) grown.append(0, Buffer.from(JSON.stringify(order)));
  for (const order of second) grown.append(1, Buffer.from(JSON.stringify(order)));
  world.hubs.set('orders', grown);
  const other = world.worker();
  for (const partition of [0, 1]) await world.deliver(other, { stage: 'orders', partition });
  const ledgers = await other.ledgers('orders-orders');
  expect(ledgers.reduce((sum, { read }) => sum + read, 0)).toBe(100);
});
