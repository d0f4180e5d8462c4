// Goal: a roll waits for no snapshot and for no output, and whoever loads a task has all of its state and all
// that it owes, wherever its worker died and however far behind its snapshot is.
// Method: the real engine on memory stores with tiny logs and tables that are flushed at the end only; a
// worker dies at each point; the tables are compared with a plain fold.
import { commitLogFaultPoints } from '../../../shared/commit-log/fault-points';
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import { MemoryAppendStore } from '../../../shared/adapters/memory-stores';
import type { HeaderRecord } from '../../../shared/model/commit';
import { topologies } from '../../fixtures/topologies/orders';
import { expectedMinutes, expectedPaid, someOrders } from '../../support/orders';
import { StageWorld, WorkerDied } from '../../support/stage-world';

const orders = someOrders(400);
const log = { blocksMax: 8, bytesMax: 2 ** 30, ageMaxMs: 10 ** 12, blockBytesMax: 2 ** 22 };

function aWorld(): StageWorld {
  const appends = new MemoryAppendStore({ nowMs: () => world.nowMs });
  const world: StageWorld = new StageWorld({
    ...{ topologies, partitionCount: 1, appends, flushRowsMax: 1_000_000 },
    limits: { log, logRetentionMs: 0 },
  });
  for (const order of orders) {
    world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
  }
  return world;
}

const source = { stage: 'orders', partition: 0 };

async function headersOf(world: StageWorld, stage: string): Promise<readonly HeaderRecord[]> {
  const headers: HeaderRecord[] = [];
  for (const path of await listLogs(world.appends, 'orders')) {
    if (path.stage !== stage) continue;
    for (const record of (await readLog(world.appends, path, null)).records) {
      if (record.kind === 'header') headers.push(record);
    }
  }
  return headers;
}

async function expectAllThere(world: StageWorld): Promise<void> {
  await world.finish(world.worker());
  // What the source stage sent last is taken in, and drained.
  await world.finish(world.worker());
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(orders));
  expect(await world.rows('customer_minutes')).toEqual(expectedMinutes(orders));
}

it('rolls while rows are owed, and keeps what holds them until they have left', async () => {
  const world = aWorld();
  await world.deliver(world.worker(), { ...source, batchSize: 10 });
  const headers = await headersOf(world, 'orders');
  expect(headers.length).toBeGreaterThanOrEqual(4);
  // Nothing was flushed: all of the log is still built on.
  expect(headers.map(({ generation }) => generation)).toEqual(headers.map((_header, n) => n));
  const newest = headers.at(-1);
  expect(newest?.base).toMatchObject({ generation: 0 });
  expect(newest?.base?.commit).toBeGreaterThan(headers[1]?.afterCommit ?? Infinity);
  expect(newest?.summary?.owedRows).toMatchObject([{ table: 'orders_paid', fromCommit: 1 }]);
  await expectAllThere(world);
});

it('lets go of generations once nothing in them is owed', async () => {
  const world = aWorld();
  const worker = world.worker();
  await world.deliver(worker, { ...source, batchSize: 10 });
  await expectAllThere(world);
  for (const order of someOrders(300, 2)) {
    world.hub('orders').append(0, Buffer.from(JSON.stringify({ ...order, id: order.id + 400 })));
  }
  const late = world.worker();
  world.isDraining = true;
  for (let from = 400; from < 700; from += 30) {
    await world.deliver(late, { ...source, from, batchSize: 10 });
    await late.tendHeld(Infinity);
  }
  const [oldest] = await headersOf(world, 'orders');
  expect(oldest?.generation).toBeGreaterThan(2);
  expect((await world.rows('orders_paid')).length).toBeGreaterThan(expectedPaid(orders).length);
});

it('gives the same when a new worker loads the task after every batch', async () => {
  const world = aWorld();
  for (let from = 0; from < orders.length; from += 10) {
    const messages = world
      .hub('orders')
      .messages(0)
      .slice(from, from + 10);
    await world.worker().processBatch({
      ...{ functionName: 'orders-orders', partition: '0', messages, deadlineMs: Infinity },
    });
  }
  await expectAllThere(world);
});

describe.each(commitLogFaultPoints)('a worker that dies at %s', (point) => {
  it.each([1, 2, 3])('for the %s. time loses nothing and doubles nothing', async (passing) => {
    const world = aWorld();
    let deaths = 0;
    // An event on which every worker dies is taken for the one that kills them.
    const deathsMax = point.startsWith('commit.') ? 2 : 12;
    for (let life = 0; life < 40; life += 1) {
      let passings = 0;
      const dies = (reached: string): boolean =>
        reached === point && deaths < deathsMax && (passings += 1) === passing;
      try {
        await world.deliver(world.worker(dies), { ...source, batchSize: 10 });
        break;
      } catch (error) {
        if (!(error instanceof WorkerDied)) throw error;
        deaths += 1;
      }
    }
    expect(deaths).toBeGreaterThanOrEqual(1);
    await expectAllThere(world);
  });
});

it('rolls on with the base that there is where no snapshot ever gets whole', async () => {
  const world = aWorld();
  for (let life = 0; life < 60; life += 1) {
    try {
      const dying = world.worker((point) => point === 'snapshot.after-part');
      await world.deliver(dying, { ...source, batchSize: 10 });
      break;
    } catch (error) {
      if (!(error instanceof WorkerDied)) throw error;
    }
  }
  const headers = await headersOf(world, 'orders');
  for (const { base } of headers) expect(base).toBeNull();
  await expectAllThere(world);
});

it('is finished by two at once after a death in the middle of a roll, with one history', async () => {
  for (const point of ['roll.after-seal', 'roll.after-create', 'roll.after-header']) {
    const world = aWorld();
    const dying = world.worker((reached) => reached === point);
    await expect(world.deliver(dying, { ...source, batchSize: 10 })).rejects.toThrow(WorkerDied);
    await Promise.all(
      [world.worker(), world.worker()].map((worker) =>
        world.deliver(worker, { ...source, batchSize: 7 }),
      ),
    );
    await expectAllThere(world);
  }
});
