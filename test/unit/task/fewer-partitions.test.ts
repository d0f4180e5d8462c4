// Goal: a hub created again with fewer partitions does not hold back time for ever: producers that
// are no more once kept every window of the next stage open.
import { topologies } from '../../fixtures/topologies/orders';
import { MemoryHub } from '../../../shared/testing/memory-hub';
import { expectedMinutes, expectedPaid, someOrders } from '../../support/orders';
import { StageWorld } from '../../support/stage-world';

test.each([
  ['fewer', 3, 1],
  ['more', 1, 3],
])('windows close when the hub is created again with %s partitions', async (_name, from, to) => {
  const orders = someOrders(300);
  const append = (first: number, last: number, partitionCount: number): void => {
    orders.slice(first, last).forEach((order, index) => {
      world.hub('orders').append(index % partitionCount, Buffer.from(JSON.stringify(order)));
    });
  };
  const world = new StageWorld({ topologies, partitionCount: from, exchangePartitionCount: 2 });
  append(0, 150, from);
  const worker = world.worker();
  for (let partition = 0; partition < from; partition += 1) {
    await world.deliver(worker, { stage: 'orders', partition });
  }
  for (const partition of [0, 1]) await world.deliver(worker, { stage: 'by-customer', partition });
  const again = new MemoryHub({ partitionCount: to, createdAtMs: Date.UTC(2026, 5, 2) });
  world.hubs.set('orders', again);
  append(150, 300, to);
  await world.finish(world.worker());
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(orders));
  expect(await world.rows('customer_minutes')).toEqual(expectedMinutes(orders));
});
