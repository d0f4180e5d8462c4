// Goal: the log lines that alerts are made of (infra/modules/alerts.bicep) are there, and are few.
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

  it('say nothing of input that has just come', async () => {
    const world = worldWith(ordersAsText);
    await world.deliver(world.worker(), { stage: 'orders', partition: 0 });
    expect(eventsOf(world, 'task.behind')).toEqual([]);
    expect(eventsOf(world, 'task.dead-letters')).toEqual([]);
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
