// Goal: windows over windows lose nothing: neither in one stage nor across exchanges, whatever
// lateness is allowed, and however many commits it takes to fire what a tick made due.
import { Type } from 'typebox';
import {
  count,
  minutes,
  seconds,
  sum,
  Timestamp,
  topology,
  tumbling,
} from '../../../shared/dataflow';
import { StageWorld } from '../../support/stage-world';

const event = Type.Object({ id: Type.Integer(), time: Timestamp() });
const total = Type.Object({ start: Timestamp(), events: Type.Number() });

type Exchange = 'none' | 'between' | 'both';

/** Minutes per key, then quarters of an hour over all keys. */
const nested = (exchange: Exchange, grace: number) =>
  topology('nested', (t) => {
    t.source('events', { schema: event, eventTime: (e) => e.time, outOfOrderness: seconds(30) })
      .keyBy((e) => `key ${e.id % 7}`, {
        name: 'first',
        isPartitionedBySource: exchange !== 'both',
      })
      .window(tumbling(minutes(1)), { name: 'first', grace })
      .aggregate({ events: count() })
      .keyBy(() => 'all', { name: 'second', isPartitionedBySource: exchange === 'none' })
      .window(tumbling(minutes(15)), { name: 'second' })
      .aggregate({ events: sum((window) => window.events) })
      .map(({ events, windowStart }) => ({ start: windowStart, events }))
      .toLake('totals', { schema: total });
  });

const firstMs = Date.UTC(2026, 0, 1);
const events = Array.from({ length: 500 }, (_, id) => ({ id, time: firstMs + id * 11_000 }));

function expected(): string[] {
  const totals = new Map<number, number>();
  for (const { time } of events) {
    const start = Math.floor(time / minutes(15)) * minutes(15);
    totals.set(start, (totals.get(start) ?? 0) + 1);
  }
  return Array.from(totals, (one) => JSON.stringify(one)).sort();
}

/** Some partitions of the second exchange get no result at all: they learn of time alone. */
async function run(exchange: Exchange, grace: number, firedResultsMax: number) {
  const world = new StageWorld({
    topologies: [nested(exchange, grace)],
    partitionCount: 1,
    exchangePartitionCount: 3,
    limits: { firedResultsMax },
  });
  for (const one of events) world.hub('events').append(0, Buffer.from(JSON.stringify(one)));
  await world.finish(world.worker(), 40);
  return world.rows('totals');
}

describe('a window over windows', () => {
  it.each([
    ['none', 0, 5_000],
    ['none', 0, 3],
    ['none', minutes(2), 5_000],
    ['between', 0, 5_000],
    ['between', minutes(2), 3],
    ['both', 0, 5_000],
    ['both', minutes(2), 5_000],
    ['both', minutes(2), 3],
  ] as const)(
    'has every event: exchanges %s, lateness %d ms, %d results in a commit',
    async (exchange, grace, firedResultsMax) => {
      expect(await run(exchange, grace, firedResultsMax)).toEqual(expected());
    },
  );
});

it('a task that is idle is waited for while its windows are open', async () => {
  const world = new StageWorld({ topologies: [nested('between', 0)], partitionCount: 2 });
  const worker = world.worker();
  const send = (partition: number, ...some: readonly { id: number; time: number }[]): void => {
    for (const one of some) world.hub('events').append(partition, Buffer.from(JSON.stringify(one)));
  };
  const round = async (): Promise<void> => {
    for (const { input, name } of world.stages) {
      for (const partition of (await world.hub(input.hub).describe()).partitionIds) {
        await world.deliver(worker, { stage: name, partition: Number(partition) });
      }
    }
    await worker.tendHeld(Infinity);
  };
  send(0, { id: 1, time: firstMs });
  send(1, { id: 2, time: firstMs + minutes(14) });
  await round();
  world.nowMs += seconds(40);
  await round();
  // The other one goes on: far enough to close what the idle one has still open.
  send(0, { id: 1, time: firstMs + minutes(60) });
  await round();
  await world.finish(worker);
  expect(await world.rows('totals')).toEqual([`[${firstMs},2]`, `[${firstMs + minutes(60)},1]`]);
});
