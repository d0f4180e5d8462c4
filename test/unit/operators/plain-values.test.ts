// Goal: a value that JSON cannot say ends as the same dead letter whether or not it would travel.
import { Type } from 'typebox';
import { average, minutes, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { testTopology } from '../../../shared/testing';

const event = Type.Object({ id: Type.Integer(), time: Timestamp() });
const row = Type.Object({ key: Type.String(), mean: Type.Union([Type.Number(), Type.Null()]) });

class Fare {
  readonly amount = 1;
}

const values: readonly [string, () => unknown, string][] = [
  ['NaN', () => NaN, '/value is NaN'],
  ['Infinity', () => -Infinity, '/value is -Infinity'],
  ['a date', () => new Date(5), '/value is a Date'],
  ['a big integer', () => 5n, '/value is a bigint'],
  ['a map', () => new Map(), '/value is a Map'],
  ['an object of a class', () => new Fare(), '/value is a Fare'],
  ['a hole in a list', () => [1, undefined], '/value/1 is undefined'],
  ['a function', () => () => 1, '/value is a function'],
  ['an object that holds itself', selfish, 'is nested too deep'],
];

function selfish(): unknown {
  const one: Record<string, unknown> = {};
  one['self'] = one;
  return one;
}

async function run(make: () => unknown, isPartitionedBySource: boolean) {
  const subject = topology('plain', (t) => {
    t.source('events', { schema: event, eventTime: (e) => e.time })
      .map((e) => ({ id: e.id, value: e.id === 1 ? make() : e.id, gone: undefined }))
      .keyBy(() => 'k', { name: 'kk', ...(isPartitionedBySource && { isPartitionedBySource }) })
      .window(tumbling(minutes(1)), { name: 'windows' })
      .aggregate({ mean: average((e) => e.value as number) })
      .map(({ key, mean }) => ({ key, mean }))
      .toLake('means', { schema: row });
  });
  const sent = [1, 2, 4].map((id) => ({ id, time: id }));
  const test = testTopology(subject).send('events', sent).end();
  return { rows: await test.table('means', row), letters: await test.deadLetters() };
}

it.each(values)('%s is a dead letter with and without an exchange', async (_name, make, what) => {
  for (const isPartitionedBySource of [true, false]) {
    const { letters, rows } = await run(make, isPartitionedBySource);
    expect(letters).toMatchObject([{ code: 'STREAM_USER_FUNCTION_THREW', operator: 'kk' }]);
    expect(letters[0]?.message).toContain(what);
    expect(rows).toEqual([{ key: 'k', mean: 3 }]);
  }
});

it('null is no number: an average refuses it, with and without an exchange', async () => {
  for (const isPartitionedBySource of [true, false]) {
    const { letters, rows } = await run(() => null, isPartitionedBySource);
    expect(letters[0]?.message).toContain('average needs finite numbers, it got null');
    expect(rows).toEqual([{ key: 'k', mean: 3 }]);
  }
});
