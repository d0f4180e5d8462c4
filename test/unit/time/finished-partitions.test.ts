// Goal: a partition that has ended is no idle one: time never ends because of it, and it holds nothing back.
// Once a hub that was made anew with fewer partitions and one quiet spell closed all windows for ever.
import { Type } from 'typebox';
import { count, minutes, seconds, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { eventsOf } from '../../support/envelopes';
import { MemoryHub } from '../../../shared/testing/memory-hub';
import { StageWorld } from '../../support/stage-world';

const finishing = topology('finishing', (t) => {
  t.source('in', {
    schema: Type.Object({ id: Type.Integer(), time: Timestamp() }),
    eventTime: (event) => event.time,
    outOfOrderness: seconds(10),
  })
    .keyBy(() => 'all', { name: 'all' })
    .window(tumbling(minutes(1)), { name: 'minutes' })
    .aggregate({ events: count() })
    .map(({ events, windowStart }) => ({ start: windowStart, events }))
    .toLake('minutes', { schema: Type.Object({ start: Timestamp(), events: Type.Integer() }) });
});

const firstMs = Date.UTC(2026, 5, 1);

class FinishingWorld {
  readonly world = new StageWorld({
    topologies: [finishing],
    ...{ partitionCount: 2, exchangePartitionCount: 1 },
  });
  readonly #read = new Map<string, number>();
  #ids = 0;

  send(partition: number, ...offsetsMs: readonly number[]): void {
    for (const offset of offsetsMs) {
      const event = { id: (this.#ids += 1), time: firstMs + offset };
      this.world.hub('in').append(partition, Buffer.from(JSON.stringify(event)));
    }
  }

  async round(worker = this.world.worker()): Promise<void> {
    for (const { input, name } of this.world.stages) {
      for (const id of (await this.world.hub(input.hub).describe()).partitionIds) {
        const partition = Number(id);
        const place = `${name}/${id}/${this.world.hub(input.hub).createdAtMs}`;
        const from = this.#read.get(place) ?? 0;
        await this.world.deliver(worker, { stage: name, partition, from });
        this.#read.set(place, this.world.hub(input.hub).messages(partition).length);
      }
    }
  }

  remake(partitionCount: number, createdAtMs: number): void {
    this.world.hubs.set('in', new MemoryHub({ partitionCount, createdAtMs }));
  }

  async ledger() {
    const all = await this.world.worker().ledgers('finishing-by-all');
    return all[0];
  }
}

it('a hub made anew with fewer partitions and a quiet spell make no later event late', async () => {
  const finished = new FinishingWorld();
  const { world } = finished;
  finished.send(0, 0);
  finished.send(1, 1_000);
  await finished.round();
  finished.remake(1, firstMs + 1);
  finished.send(0, seconds(20));
  const worker = world.worker();
  await finished.round(worker);
  for (let minute = 0; minute < 60; minute += 1) {
    world.nowMs += minutes(1);
    await worker.tendHeld(Infinity);
    await finished.round(worker);
  }
  finished.send(0, minutes(200), minutes(201), minutes(202));
  await finished.round(worker);
  expect(await finished.ledger()).toMatchObject({ read: 6, late: 0, deadLettered: 0 });
});

it('it is told that it has finished once, and by the message after its last results', async () => {
  const finished = new FinishingWorld();
  finished.send(0, 0);
  finished.send(1, 1_000);
  await finished.round();
  finished.remake(1, firstMs + 1);
  finished.send(0, seconds(20));
  await finished.round();
  await finished.round();
  const envelopes = finished.world
    .hub('finishing-all')
    .messages(0)
    .map(({ body }) => eventsOf(body));
  const told = envelopes.map(({ isFinished, partition }) => [partition, isFinished]);
  expect(told.filter(([, isFinished]) => isFinished)).toEqual([['1', true]]);
  expect(told.filter(([partition]) => partition === '1').at(-1)).toEqual(['1', true]);
});

it('a partition that comes to life again begins with its own time, and is waited for', async () => {
  const finished = new FinishingWorld();
  const { world } = finished;
  finished.send(0, 0);
  finished.send(1, 1_000);
  await finished.round();
  finished.remake(1, firstMs + 1);
  finished.send(0, seconds(20));
  await finished.round();
  finished.remake(2, firstMs + 2);
  finished.send(1, minutes(1));
  finished.send(0, minutes(30), minutes(31));
  await finished.round();
  finished.send(1, minutes(2), minutes(3));
  await finished.round();
  await world.finish(world.worker());
  expect(await finished.ledger()).toMatchObject({ read: 8, late: 0, deadLettered: 0 });
  const starts = (await world.rows('minutes')).map((row) => JSON.parse(row) as [number, number]);
  expect(starts.map(([start, events]) => [(start - firstMs) / minutes(1), events])).toEqual([
    [0, 3],
    [1, 1],
    [2, 1],
    [3, 1],
    [30, 1],
    [31, 1],
  ]);
});
