// Goal: what people write without a second thought (a fold that changes its accumulator, an async function, a
// text where several values are wanted) works, or is a dead letter that says what is wrong: never a wrong number.
import { Type } from 'typebox';
import {
  count,
  minutes,
  reduce,
  share,
  sum,
  Timestamp,
  topology,
  tumbling,
  type Topology,
} from '../../../shared/dataflow';
import type { Aggregate } from '../../../shared/operators/aggregates';
import { testTopology } from '../../../shared/testing';

const event = Type.Object({ key: Type.String(), time: Timestamp(), size: Type.Number() });
const firstMs = Date.parse('2026-01-01T10:00:00Z');
const sizes = [1, 2, 3, 4, 5, 6, 7, 8];
/** Two keys by turns, a new minute after every fourth. */
const events = sizes.map((size, index) => ({
  key: index % 2 === 0 ? 'a' : 'b',
  time: firstMs + Math.floor(index / 4) * 60_000 + index,
  size,
}));
const bySizes = [
  { key: 'a', start: firstMs, folded: '[1,3]' },
  { key: 'a', start: firstMs + 60_000, folded: '[5,7]' },
  { key: 'b', start: firstMs, folded: '[2,4]' },
  { key: 'b', start: firstMs + 60_000, folded: '[6,8]' },
];
const folds = Type.Object({ key: Type.String(), start: Timestamp(), folded: Type.String() });

type Size = Readonly<{ size: number }>;

function folding(fold: Aggregate<Size, unknown, unknown>, others = {}): Topology {
  return topology('folding', (t) => {
    t.source('events', { schema: event, eventTime: (e) => e.time })
      .keyBy((e) => e.key, { name: 'key' })
      .window(tumbling(minutes(1)), { name: 'minutes' })
      .aggregate({ folded: fold, ...others })
      .map((w) => ({
        key: w.key,
        start: w.windowStart,
        folded: typeof w.folded === 'bigint' ? String(w.folded) : JSON.stringify(w.folded),
      }))
      .toLake('folds', { schema: folds });
  });
}

const pushing = (): Aggregate<Size, unknown, unknown> =>
  reduce<Size, number[]>([], (all, { size }) => {
    all.push(size);
    return all;
  }) as Aggregate<Size, unknown, unknown>;

describe('a fold that changes its accumulator', () => {
  it('keeps the windows and keys apart', async () => {
    const run = testTopology(folding(pushing())).send('events', events).end();
    expect(await run.table('folds', folds)).toEqual(bySizes);
  });

  it('goes on behind a restart', async () => {
    const before = events.slice(0, 5);
    const run = testTopology(folding(pushing()))
      .send('events', before, { partition: 0 })
      .restart()
      .send('events', events.slice(5), { partition: 0 })
      .end();
    expect(await run.table('folds', folds)).toEqual(bySizes);
  });

  it('has nothing of an event that fails in another aggregate', async () => {
    const picky = sum(({ size }: Size) => {
      if (size === 3 || size === 6) throw new Error('not this one');
      return size;
    });
    const run = testTopology(folding(pushing(), { picky })).send('events', events).end();
    expect((await run.table('folds', folds)).map(({ folded }) => folded)).toEqual([
      '[1]',
      '[5,7]',
      '[2,4]',
      '[8]',
    ]);
    expect(await run.deadLetters()).toHaveLength(2);
  });

  it('does not share what the topology was given as a beginning', async () => {
    const initial = { all: [0] };
    const fold = reduce<Size, typeof initial>(initial, (accumulator, { size }) => {
      accumulator.all.push(size);
      return { ...accumulator };
    });
    initial.all.push(99);
    const run = testTopology(folding(fold as Aggregate<Size, unknown, unknown>))
      .send('events', events.slice(0, 1))
      .end();
    expect(await run.table('folds', folds)).toMatchObject([{ folded: '{"all":[0,1]}' }]);
    expect(initial).toEqual({ all: [0, 99] });
  });

  it('may hand its result to functions that change it', async () => {
    const defined = topology('sorting', (t) => {
      t.source('events', { schema: event, eventTime: (e) => e.time })
        .keyBy((e) => e.key, { name: 'key' })
        .window(tumbling(minutes(1)), { name: 'minutes' })
        .aggregate({ all: reduce<Size, number[]>([], (all, { size }) => [...all, size]) })
        .map((w) => ({
          key: w.key,
          start: w.windowStart,
          folded: JSON.stringify(w.all.reverse()),
        }))
        .toLake('folds', { schema: folds });
    });
    const run = testTopology(defined).send('events', events).end();
    expect((await run.table('folds', folds)).map(({ folded }) => folded)).toEqual([
      '[3,1]',
      '[7,5]',
      '[4,2]',
      '[8,6]',
    ]);
  });
});

describe('an accumulator that the state cannot keep', () => {
  it.each([
    ['a map', new Map(), 'is a Map'],
    ['a date', { since: new Date(0) }, 'at since, is a Date'],
    ['nothing', undefined, 'is undefined'],
    ['a function', () => 1, 'is a function'],
  ])('is refused at once: %s', (_name, initial, message) => {
    expect(() => reduce<Size, unknown>(initial, (accumulator) => accumulator)).toThrow(message);
  });

  it.each([
    ['a function that forgets to return', () => undefined, 'what the function gave is undefined'],
    ['an async function', async () => Promise.resolve(1), 'is a Promise'],
    ['a set', (_: unknown, { size }: Size) => new Set([size]), 'is a Set'],
  ])('is a dead letter of its event: %s', async (_name, add, message) => {
    const run = testTopology(folding(reduce<Size, unknown>(0, add)))
      .send('events', events)
      .end();
    const letters = await run.deadLetters();
    expect(letters).toHaveLength(events.length);
    for (const letter of letters) {
      expect(letter.code).toBe('STREAM_USER_FUNCTION_THREW');
      expect(letter.message).toContain(message);
    }
  });
});

describe('a function that answers what no operator can use', () => {
  const rows = Type.Object({ size: Type.Number() });
  const answer = (given: unknown) => (() => given) as never;

  it.each([
    ['an async filter', 'filter', Promise.resolve(false), 'it gave a promise'],
    ['a filter that forgets to return', 'filter', undefined, 'it gave undefined'],
    ['a filter that gives a text', 'filter', 'no', 'it gave "no"'],
    ['an async map', 'map', Promise.resolve({ size: 1 }), 'the function gave a promise'],
    ['a flatMap that gives a text', 'flatMap', 'ab', 'it gave "ab"'],
    ['a flatMap that gives nothing', 'flatMap', undefined, 'it gave undefined'],
    ['a flatMap that gives one value', 'flatMap', { size: 1 }, 'it gave {"size":1}'],
  ] as const)('dead-letters the event: %s', async (_name, operator, given, message) => {
    const defined = topology('answers', (t) => {
      t.source('events', { schema: event, eventTime: (e) => e.time })
        [operator](answer(given))
        .map(() => ({ size: 1 }))
        .toLake('rows', { schema: rows });
    });
    const run = testTopology(defined).send('events', events.slice(0, 1)).end();
    expect(await run.table('rows')).toEqual([]);
    const [letter] = await run.deadLetters();
    expect(letter?.code).toBe('STREAM_USER_FUNCTION_THREW');
    expect(letter?.message).toContain(message);
  });

  it('dead-letters events whose share is asked of an async function, which would be 1 always', async () => {
    const isCounted = async () => Promise.resolve(false);
    const wrong = share<Size>(isCounted as never) as Aggregate<Size, unknown, unknown>;
    const run = testTopology(folding(wrong, { events: count() }))
      .send('events', events)
      .end();
    expect(await run.table('folds')).toEqual([]);
    expect(await run.deadLetters()).toHaveLength(events.length);
  });
});
