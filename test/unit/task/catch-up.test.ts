// Goal: what a worker takes in from others' logs moves its clock and its windows too.
// Method: the real engine on memory stores; another worker goes on in the middle of a roll.
import { Type } from 'typebox';
import { decodeRecords } from '../../../shared/commit-log/record';
import { MemoryAppendStore } from '../../../shared/adapters/memory-stores';
import { count, minutes, seconds, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { LedgerReader } from '../../../shared/ledger/ledger-reader';
import type { AppendStore } from '../../../shared/model/ports';
import { topologies } from '../../fixtures/topologies/orders';
import { delegating } from '../../support/log-world';
import { someOrders } from '../../support/orders';
import { StageWorld, WorkerDied } from '../../support/stage-world';

const smallLogs = { blocksMax: 5, bytesMax: 2 ** 30, ageMaxMs: 10 ** 12, blockBytesMax: 2 ** 22 };

it('does not set the watermark back when others went on while this worker finished a roll', async () => {
  const inner = new MemoryAppendStore();
  let meanwhile: (() => Promise<void>) | null = null;
  const appends: AppendStore = {
    ...delegating(inner),
    create: async (name) => {
      const work = meanwhile;
      if (work !== null && name.startsWith('commits/orders/v1/orders/') && name.endsWith('1')) {
        meanwhile = null;
        await work();
      }
      return inner.create(name);
    },
  };
  const limits = { log: smallLogs };
  const world = new StageWorld({ topologies, partitionCount: 1, appends, limits });
  const orders = someOrders(200);
  const append = (from: number, to: number): void => {
    for (const order of orders.slice(from, to)) {
      world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
    }
  };
  append(0, 60);
  const dying = world.worker((point) => point === 'roll.after-seal');
  const first = { stage: 'orders', partition: 0, batchSize: 10 };
  await expect(world.deliver(dying, first)).rejects.toThrow(WorkerDied);

  append(60, 90);
  const other = world.worker();
  meanwhile = () => world.deliver(other, { ...first, batchSize: 30 });
  const late = world.worker();
  await world.deliver(late, first);
  expect(meanwhile).toBeNull();
  const reader = new LedgerReader({ appends, topology: 'orders' });
  const watermarkOf = async (): Promise<number | null> =>
    (await reader.refresh()).find(({ path }) => path.stage === 'orders')?.watermarkMs ?? null;
  const before = await watermarkOf();

  // An old event moves no watermark: what is journalled with it is what this worker believes.
  world.hub('orders').append(0, Buffer.from(JSON.stringify(orders[0])));
  await world.deliver(late, { ...first, from: 90 });
  expect(await watermarkOf()).toBe(before);
});

it('does not take a quiet task for quiet since 1970 when its log was rolled and nothing came since', async () => {
  const maxDelayMs = seconds(10);
  const quiet = topology('orders', (t) => {
    t.source('orders', {
      schema: Type.Object({ id: Type.Integer(), time: Timestamp() }),
      eventTime: (order) => order.time,
      quiet: { after: seconds(1), maxDelay: maxDelayMs },
    })
      .keyBy((order) => order.id, { name: 'id', isPartitionedBySource: true })
      .window(tumbling(minutes(1)), { name: 'minutes' })
      .aggregate({ orders: count() })
      .map(({ orders }) => ({ orders }))
      .toLake('counts', { schema: Type.Object({ orders: Type.Integer() }) });
  });
  const appends = new MemoryAppendStore({ nowMs: () => world.nowMs });
  const world: StageWorld = new StageWorld({
    topologies: [quiet],
    partitionCount: 1,
    appends,
    limits: { log: { ...smallLogs, blocksMax: 2 } },
  });
  for (let id = 0; id < 20; id += 1) {
    world.hub('orders').append(0, Buffer.from(JSON.stringify({ id, time: world.nowMs })));
  }
  const first = world.worker();
  await world.deliver(first, { stage: 'orders', partition: 0 });
  await first.tendHeld(Infinity);
  expect(await appends.list('commits/orders/v1/orders/')).toHaveLength(2);

  world.nowMs += 60_000;
  await world.worker().tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: 0 });
  const reader = new LedgerReader({ appends, topology: 'orders' });
  const account = (await reader.refresh()).find(({ path }) => path.stage === 'orders');
  // The last of 20 messages was enqueued at 19 ms by the hub's clock, when it was 0 ms by the worker's.
  expect(account?.watermarkMs).toBe(world.nowMs + 19 - maxDelayMs);
});

/** A worker dies with what it has said that it tries, having read it. */
function diesAtWork(): (point: string) => boolean {
  let isTried = false;
  return (point) => {
    isTried ||= point === 'stage.after-attempt';
    return isTried && point === 'stage.before-process';
  };
}

it('counts deaths on when the log is due to roll between them', async () => {
  const appends = new MemoryAppendStore({ nowMs: () => world.nowMs });
  const world: StageWorld = new StageWorld({
    topologies,
    partitionCount: 1,
    appends,
    limits: { log: { ...smallLogs, blocksMax: 3 } },
  });
  for (const order of someOrders(10)) {
    world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
  }
  for (let life = 0; life < 7; life += 1) {
    const dying = world.worker(diesAtWork());
    const delivery = world.deliver(dying, { stage: 'orders', partition: 0 });
    await expect(delivery).rejects.toThrow(WorkerDied);
    // Somebody else looks after the task without trying its input: a roll would be his to make.
    await world.worker().tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: 0 });
  }
  const reader = new LedgerReader({ appends, topology: 'orders' });
  // Ten events, halved from the third death on: the first is alone in the sixth.
  const account = (await reader.refresh()).find(({ path }) => path.stage === 'orders');
  expect(account?.ledger).toMatchObject({ read: 1, deadLettered: 1 });
});

it('does not dead-letter an event that a living worker is at, after others died with it', async () => {
  const inner = new MemoryAppendStore();
  let letGo: () => void = () => undefined;
  let isHeld = false;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  const appends: AppendStore = {
    ...delegating(inner),
    append: async (request) => {
      const { block, name } = request;
      const [first] = decodeRecords(block, { blob: name, position: 0 });
      if (isHeld && first?.record.kind === 'commit') {
        isHeld = false;
        await held;
      }
      return inner.append(request);
    },
  };
  const world = new StageWorld({ topologies, partitionCount: 1, appends });
  const orders = someOrders(1);
  world.hub('orders').append(0, Buffer.from(JSON.stringify(orders[0])));
  const first = { stage: 'orders', partition: 0 };
  for (let deaths = 0; deaths < 2; deaths += 1) {
    const dying = world.worker((point) => point === 'stage.after-attempt');
    await expect(world.deliver(dying, first)).rejects.toThrow(WorkerDied);
  }
  isHeld = true;
  const living = world.deliver(world.worker(), first);
  while (isHeld) await new Promise((resolve) => setImmediate(resolve));
  world.onSleep = async () => {
    letGo();
    await living;
  };
  await world.deliver(world.worker(), first);
  const reader = new LedgerReader({ appends, topology: 'orders' });
  const [task] = (await reader.refresh()).filter(({ path }) => path.stage === 'orders');
  expect(task?.ledger).toMatchObject({ read: 1, deadLettered: 0 });
});

it('dead-letters a killing event although its host ends every batch after two seconds', async () => {
  const world = new StageWorld({ topologies, partitionCount: 1 });
  const orders = someOrders(1);
  world.hub('orders').append(0, Buffer.from(JSON.stringify(orders[0])));
  const first = { stage: 'orders', partition: 0 };
  for (let deaths = 0; deaths < 3; deaths += 1) {
    const dying = world.worker(diesAtWork());
    const outcome = world.deliver(dying, first);
    await outcome.catch((error: unknown) => expect(error).toBeInstanceOf(WorkerDied));
  }
  const startedAtMs = world.nowMs;
  await world.worker().processBatch({
    functionName: 'orders-orders',
    partition: '0',
    messages: world.hub('orders').messages(0),
    deadlineMs: startedAtMs + 1_600,
  });
  expect(world.nowMs - startedAtMs).toBeLessThan(1_600);
  const reader = new LedgerReader({
    appends: world.appends,
    topology: 'orders',
  });
  const [task] = (await reader.refresh()).filter(({ path }) => path.stage === 'orders');
  expect(task?.ledger).toMatchObject({ read: 1, deadLettered: 1 });
});
