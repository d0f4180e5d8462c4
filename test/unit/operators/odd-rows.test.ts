// Goal: events at the end of time and columns of odd names end as any others do.
import { Type } from 'typebox';
import { count, Nullable, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { testTopology } from '../../../shared/testing';

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
  const test = testTopology(defined)
    .send('events', [{ key: 'a', time: 1 }])
    .end()
    .send('events', [{ key: 'a', time: 2 }])
    .restart()
    .end();
  expect((await test.ledger())['events']).toMatchObject({ read: 2, emitted: 1, late: 1 });
  expect(await test.late()).toEqual([{ stage: 'events', event: { key: 'a', time: 2 } }]);
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
  const test = testTopology(defined)
    .send('events', [{ time: 1 }])
    .end();
  expect(await test.table('races')).toEqual([{ time: 1, constructor: null, toString: null }]);
  expect((await test.ledger())['events']).toMatchObject({ read: 1, emitted: 1 });
});
