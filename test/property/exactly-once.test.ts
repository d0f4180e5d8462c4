// Goal: whatever kills, repeats, skips or rewinds, the tables equal the oracle's and the ledger
// balances. Method: the real engine on memory stores, random faults from one seed (fast-check).
import fc from 'fast-check';
import { commitLogFaultPoints } from '../../shared/commit-log/fault-points';
import { lakeFaultPoints } from '../../shared/lake/fault-points';
import { addLedgers, emptyLedger, type LedgerCounts } from '../../shared/model/commit';
import { stageFaultPoints } from '../../shared/task/services';
import { topologies } from '../fixtures/topologies/orders';
import { expectedMinutes, expectedPaid, someOrders, type Order } from '../support/orders';
import { StageWorld, WorkerDied, type StageWorldOptions } from '../support/stage-world';

const faultPoints = [...stageFaultPoints, ...commitLogFaultPoints, ...lakeFaultPoints];
const source = 'orders';
const build = { id: 'a-build', builtAtMs: 1 };

function aWorld(orders: readonly Order[], options: Partial<StageWorldOptions> = {}): StageWorld {
  const world = new StageWorld({ topologies, partitionCount: 2, ...options });
  const partitionCount = options.partitionCount ?? 2;
  orders.forEach((order, index) =>
    world.hub(source).append(index % partitionCount, Buffer.from(JSON.stringify(order))),
  );
  return world;
}

/** Runs a piece of work whose worker may die. */
async function survive(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    // Tasks of one tend are apart from each other: each may have met its end.
    const met: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
    if (!met.every((one) => one instanceof WorkerDied)) throw error;
  }
}

async function ledgerOf(world: StageWorld, stage: string): Promise<LedgerCounts> {
  const runtime = world.workerOf(build, topologies);
  let total = emptyLedger;
  for (const ledger of await runtime.ledgers(stage)) total = addLedgers(total, ledger);
  return total;
}

async function expectOracle(world: StageWorld, orders: readonly Order[]): Promise<void> {
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(orders));
  expect(await world.rows('customer_minutes')).toEqual(expectedMinutes(orders));
  for (const stage of world.stages) {
    const { deadLettered, emitted, filtered, gap, late, read } = await ledgerOf(
      world,
      stage.functionName,
    );
    expect(emitted + filtered + late + deadLettered).toBe(read);
    expect(gap).toBe(0);
    if (stage.input.kind === 'source') expect(read).toBe(orders.length);
  }
}

/** Small generations: rolls happen within the run. */
const smallLogs = { blocksMax: 12, bytesMax: 2 ** 30, ageMaxMs: 10 ** 12, blockBytesMax: 2 ** 22 };

describe('a topology of two stages', () => {
  it('gives the oracle’s tables in a run without faults', async () => {
    const orders = someOrders(2_000);
    const world = aWorld(orders);
    await world.finish(world.worker());
    await expectOracle(world, orders);
  });

  it('gives the same tables for other batch cuts and partition counts', async () => {
    const orders = someOrders(1_500);
    for (const [partitionCount, exchangePartitionCount, batchSize] of [
      [1, 1, 1500],
      [3, 2, 7],
      [5, 4, 64],
    ] as const) {
      const world = aWorld(orders, { partitionCount, exchangePartitionCount });
      await world.finish(world.worker(), batchSize);
      await expectOracle(world, orders);
    }
  });

  it('keeps its promise when workers die anywhere and batches come doubled, skipped, rewound', async () => {
    const aStep = fc.record({
      stage: fc.nat(1),
      partition: fc.nat(1),
      from: fc.nat(400),
      batchSize: fc.integer({ min: 1, max: 120 }),
      worker: fc.nat(1),
      dieAt: fc.constantFrom(null, null, ...faultPoints),
      dieAfter: fc.nat(4),
      tend: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { maxLength: 14 }), fc.integer(), async (steps, seed) => {
        const orders = someOrders(700, seed);
        const world = aWorld(orders, {
          limits: { log: smallLogs, gapReadMessagesMax: 90 },
        });
        const dying = { point: null as string | null, left: 0 };
        const dieAt = (point: string): boolean => {
          if (point !== dying.point) return false;
          dying.left -= 1;
          return dying.left < 0;
        };
        let workers = [world.worker(dieAt), world.worker(dieAt)];
        for (const step of steps) {
          dying.point = step.dieAt;
          dying.left = step.dieAfter;
          const worker = workers[step.worker];
          const stage = world.stages[step.stage];
          if (worker === undefined || stage === undefined) continue;
          const before = dying.left;
          await survive(world.deliver(worker, { ...step, stage: stage.name }));
          if (step.tend) await survive(worker.tendHeld(Infinity));
          if (dying.left < 0 && before >= 0) {
            // Dead: all that it had in memory is gone.
            workers = workers.map((one) => (one === worker ? world.worker(dieAt) : one));
          }
          world.nowMs += 1_000;
        }
        dying.point = null;
        await world.finish(world.worker());
        await expectOracle(world, orders);
      }),
      { numRuns: 60 },
    );
  });

  it('dies at every named point at least once, and recovers from each', async () => {
    const orders = someOrders(900);
    for (const point of faultPoints) {
      // Many small files: their table comes to a checkpoint.
      const world = aWorld(orders, { limits: { log: smallLogs }, flushRowsMax: 20 });
      let deaths = 0;
      const dieOnce = (reached: string): boolean => {
        if (reached !== point || deaths > 0) return false;
        deaths += 1;
        return true;
      };
      for (let life = 0; life < 3; life += 1) {
        await survive(world.finish(world.workerOf(build, topologies, dieOnce), 40));
      }
      await world.finish(world.workerOf(build, topologies));
      expect([point, deaths]).toEqual([point, 1]);
      await expectOracle(world, orders);
    }
  });
});
