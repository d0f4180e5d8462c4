// Goal: how input is cut, spread over partitions and shared out among workers changes no table.
// Method: metamorphic: the real engine on memory stores; every run must give the oracle's rows.
import fc from 'fast-check';
import { topologies } from '../fixtures/topologies/orders';
import { expectedMinutes, expectedPaid, someOrders } from '../support/orders';
import { StageWorld } from '../support/stage-world';

const aRun = fc.record({
  partitionCount: fc.integer({ min: 1, max: 6 }),
  exchangePartitionCount: fc.integer({ min: 1, max: 6 }),
  workers: fc.integer({ min: 1, max: 4 }),
  ordersPerMessage: fc.integer({ min: 1, max: 9 }),
  batchSizes: fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 6 }),
  firedResultsMax: fc.constantFrom(1, 7, 5_000),
  blocksMax: fc.constantFrom(4, 12, 40_000),
  blockBytesMax: fc.constantFrom(8_000, 4 * 1024 * 1024),
  flushRowsMax: fc.constantFrom(1, 50, 10_000),
});

it('gives the same tables for any cut of batches, number of partitions and of workers', async () => {
  const orders = someOrders(400, 7);
  const expected = { paid: expectedPaid(orders), minutes: expectedMinutes(orders) };
  await fc.assert(
    fc.asyncProperty(aRun, async (run) => {
      const { batchSizes, blockBytesMax, blocksMax, firedResultsMax, workers } = run;
      const log = { blocksMax, blockBytesMax, bytesMax: 2 ** 30, ageMaxMs: 10 ** 12 };
      const world = new StageWorld({ ...run, topologies, limits: { firedResultsMax, log } });
      const { ordersPerMessage, partitionCount } = run;
      for (let from = 0; from < orders.length; from += ordersPerMessage) {
        const message = JSON.stringify(orders.slice(from, from + ordersPerMessage));
        const partition = (from / ordersPerMessage) % partitionCount;
        world.hub('orders').append(partition, Buffer.from(message));
      }
      const processes = Array.from({ length: workers }, () => world.worker());
      let turn = 0;
      for (let partition = 0; partition < partitionCount; partition += 1) {
        const { length } = world.hub('orders').messages(partition);
        for (let from = 0; from < length; turn += 1) {
          const size = batchSizes[turn % batchSizes.length] ?? 1;
          const [first] = world.stages;
          await processes[turn % workers]?.processBatch({
            functionName: first?.functionName ?? '',
            partition: String(partition),
            messages: world
              .hub('orders')
              .messages(partition)
              .slice(from, from + size),
            deadlineMs: Infinity,
          });
          from += size;
        }
      }
      await world.finish(world.worker(), batchSizes[0]);
      expect(await world.rows('orders_paid')).toEqual(expected.paid);
      expect(await world.rows('customer_minutes')).toEqual(expected.minutes);
    }),
    { numRuns: 25 },
  );
});
