// Goal: the log lines that alerts are made of (infra/modules/alerts.bicep) are there, and are few.
import { Type } from 'typebox';
import { minutes, Timestamp, topology } from '../../../shared/dataflow';
import { topologies } from '../../fixtures/topologies/orders';
import { someOrders } from '../../support/orders';
import { StageWorld } from '../../support/stage-world';

function worldWith(bodies: readonly string[]): StageWorld {
  const world = new StageWorld({ topologies, partitionCount: 1 });
  for (const body of bodies) world.hub('orders').append(0, Buffer.from(body));
  return world;
}

const ordersAsText = someOrders(300).map((order) => JSON.stringify(order));
const eventsOf = (world: StageWorld, name: string): Readonly<Record<string, unknown>>[] =>
  world.events.filter(({ event }) => event === name).map(({ fields }) => fields);

it('a commit of a table says through which time its rows are complete', async () => {
  const event = Type.Object({ id: Type.Integer(), time: Timestamp() });
  const rows = topology('rows', (t) => {
    t.source('in', { schema: event, eventTime: (e) => e.time, outOfOrderness: minutes(1) }).toLake(
      'rows',
      { schema: event, flush: { rowsMax: 1 } },
    );
  });
  const world = new StageWorld({ topologies: [rows], partitionCount: 1, flushRowsMax: 1 });
  const worker = world.worker();
  for (const at of [0, 1]) {
    const value = { id: at, time: world.nowMs + at };
    world.hub('in').append(0, Buffer.from(JSON.stringify(value)));
    await world.deliver(worker, { stage: 'in', partition: 0, from: at });
  }
  const told: unknown[] = [];
  for (const { name } of await world.lake.list('')) {
    if (!/_delta_log.*[0-9]{20}[.]json$/.test(name)) continue;
    const text = Buffer.from((await world.lake.get(name)) ?? []).toString();
    told.push(/"watermarkMs":"(-?[0-9]+)"/.exec(text)?.[1]);
  }
  const expected = [0, 1].map((at) => String(world.nowMs + at - minutes(1)));
  expect(told.filter((one) => one !== undefined)).toEqual(expected);
});

describe('the reports of a commit', () => {
  it('say how long input waited, once a minute and not for every commit', async () => {
    const world = worldWith(ordersAsText);
    world.nowMs += 600_000;
    const delivery = { stage: 'orders', partition: 0, batchSize: 30 };
    await world.deliver(world.worker(), delivery);
    const [behind, ...more] = eventsOf(world, 'task.behind');
    expect(behind).toMatchObject({ topology: 'orders', stage: 'orders', partition: '0' });
    expect(behind?.['lagMs']).toBeGreaterThan(590_000);
    expect(more).toEqual([]);
  });

  it('say what operators count, once a minute, and lose none', async () => {
    const event = Type.Object({ id: Type.Integer(), time: Timestamp() });
    const once = topology('once', (t) => {
      t.source('in', { schema: event, eventTime: (e) => e.time })
        .keyBy((e) => e.id, { name: 'id', isPartitionedBySource: true })
        .dedupe({ name: 'doubles-go', within: minutes(5) })
        .toLake('rows', { schema: event });
    });
    const world = new StageWorld({ topologies: [once], partitionCount: 1 });
    const worker = world.worker();
    const send = async (howMany: number): Promise<void> => {
      const from = world.hub('in').messages(0).length;
      for (let at = 0; at < howMany; at += 1) {
        world.hub('in').append(0, Buffer.from(JSON.stringify({ id: 1, time: world.nowMs })));
      }
      await world.deliver(worker, { stage: 'in', partition: 0, from, batchSize: 2 });
    };
    await send(4);
    await send(4);
    const counts = (): unknown[] =>
      eventsOf(world, 'task.counted').map(({ count, counter, operator }) => [
        counter,
        operator,
        count,
      ]);
    expect(counts()).toEqual([['doubles', 'doubles-go', 1]]);
    world.nowMs += 60_000;
    await send(1);
    expect(counts()).toEqual([
      ['doubles', 'doubles-go', 1],
      ['doubles', 'doubles-go', 7],
    ]);
  });

  it('say nothing of input that has just come', async () => {
    const world = worldWith(ordersAsText);
    await world.deliver(world.worker(), { stage: 'orders', partition: 0 });
    expect(eventsOf(world, 'task.behind')).toEqual([]);
    expect(eventsOf(world, 'task.dead-letters')).toEqual([]);
  });

  it('say how many messages of a gap the hub has lost, where it still has the others', async () => {
    const world = worldWith(ordersAsText);
    const worker = world.worker();
    const messages = world.hub('orders').messages(0).slice(0, 100);
    const batch = { functionName: 'orders-orders', partition: '0', deadlineMs: Infinity };
    await worker.processBatch({ ...batch, messages });
    world.hub('orders').truncate(0, 200);
    await world.deliver(worker, { stage: 'orders', partition: 0, from: 250 });
    const gap = { fromSequenceNumber: 100, toSequenceNumber: 249 };
    expect(eventsOf(world, 'task.gap')).toEqual([
      expect.objectContaining({ ...gap, foundMessages: 50, lostMessages: 100 }),
    ]);
  });

  it('say that a gap which the hub fills has lost nothing, and one it cannot fill all', async () => {
    const world = worldWith(ordersAsText);
    const worker = world.worker();
    await world.deliver(worker, { stage: 'orders', partition: 0, from: 100, batchSize: 100 });
    for (const body of ordersAsText) world.hub('orders').append(0, Buffer.from(body));
    world.hub('orders').truncate(0, 400);
    await world.deliver(worker, { stage: 'orders', partition: 0, from: 400 });
    expect(eventsOf(world, 'task.gap')).toEqual([
      expect.objectContaining({ foundMessages: 100, lostMessages: 0 }),
      expect.objectContaining({ foundMessages: 0, lostMessages: 100 }),
    ]);
  });

  it('count dead letters by cause', async () => {
    const world = worldWith([...ordersAsText.slice(0, 10), '{broken', 'also broken']);
    await world.deliver(world.worker(), { stage: 'orders', partition: 0 });
    expect(eventsOf(world, 'task.dead-letters')).toEqual([
      expect.objectContaining({
        stage: 'orders',
        count: 2,
        code: expect.stringMatching(/^STREAM_/),
      }),
    ]);
  });
});
