// Goal: the ledger recounted from the logs is the tasks' own, over rolls and incarnations.
import { LedgerReader, isBalanced, totalsByStage } from '../../../shared/ledger/ledger-reader';
import { topologies } from '../../fixtures/topologies/orders';
import { someOrders } from '../../support/orders';
import { StageWorld } from '../../support/stage-world';

const smallLogs = { blocksMax: 5, bytesMax: 2 ** 30, ageMaxMs: 10 ** 12, blockBytesMax: 2 ** 22 };

describe('the ledger', () => {
  it('is recounted from logs that rolled and from a hub that was recreated', async () => {
    const orders = someOrders(1_000);
    const world = new StageWorld({ topologies, partitionCount: 1, limits: { log: smallLogs } });
    const append = (from: number, to: number): void => {
      for (const order of orders.slice(from, to)) {
        world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
      }
    };
    append(0, 600);
    const worker = world.worker();
    await world.deliver(worker, { stage: 'orders', partition: 0, batchSize: 30 });
    world.hub('orders').recreate(2_000);
    append(600, 1_000);
    await world.finish(worker, 30);
    const reader = new LedgerReader({
      appends: world.appends,
      topology: 'orders',
    });
    const accounts = await reader.refresh();
    expect(accounts.every(({ ledger }) => isBalanced(ledger))).toBe(true);
    expect(totalsByStage(accounts).get('orders')).toMatchObject({ read: 1_000, gap: 0 });
    expect(await reader.refresh()).toEqual(accounts);
  });

  it('declares what retention ate as a gap, never silently', async () => {
    const world = new StageWorld({ topologies, partitionCount: 1 });
    const orders = someOrders(300);
    for (const order of orders) world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
    const worker = world.worker();
    await world.deliver(worker, { stage: 'orders', partition: 0, batchSize: 300 });
    for (const order of someOrders(100, 2)) {
      world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
    }
    world.hub('orders').truncate(0, 340);
    await world.finish(worker);
    const [ledger] = await world.worker().ledgers('orders-orders');
    expect(ledger).toMatchObject({ read: 360, gap: 40 });
  });
});
