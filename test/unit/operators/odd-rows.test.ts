// Goal: events at the end of time and columns of odd names end as any others do.
import { Type } from 'typebox';
import { count, Nullable, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { StageWorld } from '../../support/stage-world';

it('an event that comes after a drain is late, also where late ones are adjusted', async () => {
  const defined = topology('drained', (t) => {
    t.source('events', {
      schema: Type.Object({ key: Type.String(), time: Timestamp() }),
      eventTime: (e) => e.time,
    })
      .keyBy((e) => e.key, { name: 'key', isPartitionedBySource: true })
      .window(tumbling(1_000), { name: 'windows', late: 'clamp' })
      .aggregate({ events: count() })
      .map(({ events }) => ({ events }))
      .toLake('counts', { schema: Type.Object({ events: Type.Integer() }) });
  });
  const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
  world.hub('events').append(0, Buffer.from('{"key":"a","time":1}'));
  await world.finish(world.worker());
  world.hub('events').append(0, Buffer.from('{"key":"a","time":2}'));
  await world.finish(world.worker());
  await world.finish(world.worker());
  const [ledger] = await world.worker().ledgers('drained-events');
  expect(ledger).toMatchObject({ read: 2, emitted: 1, late: 1 });
});

it('a column that is called as something every object has is null where the row has none', async () => {
  const event = Type.Object({
    time: Timestamp(),
    constructor: Nullable(Type.String()),
    toString: Type.Optional(Type.String()),
  });
  const defined = topology('races', (t) => {
    t.source('events', { schema: Type.Object({ time: Timestamp() }), eventTime: (e) => e.time })
      .map(({ time }) => ({ time }) as never)
      .toLake('races', { schema: event });
  });
  const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
  world.hub('events').append(0, Buffer.from('{"time":1}'));
  await world.finish(world.worker());
  const [ledger] = await world.worker().ledgers('races-events');
  expect(ledger).toMatchObject({ read: 1, emitted: 1 });
});
