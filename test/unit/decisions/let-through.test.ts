// Goal: what the comparison lets through, the logs take: a build that was told `compatible` has superseded the
// former one, and must not find then that it cannot open what that one left.
import { Type } from 'typebox';
import {
  count,
  max,
  minutes,
  Nullable,
  seconds,
  Timestamp,
  topology,
  tumbling,
  type LatePolicy,
  type Topology,
} from '../../../shared/dataflow';
import { testTopology } from '../../../shared/testing';

const firstMs = Date.parse('2026-01-01T10:00:00Z');
const at = (second: number, size: number, key = 'a') => ({
  ...{ key, size, time: firstMs + second * 1_000 },
});
const event = { key: Type.String(), time: Timestamp(), size: Type.Number() };
const bar = { key: Type.String(), end: Timestamp(), count: Type.Number() };
const withNote = Type.Object({ ...bar, note: Nullable(Type.String()) });

interface Choice {
  readonly aggregate?: 'count' | 'max';
  readonly column?: boolean;
  readonly early?: number;
  readonly field?: boolean;
  readonly flushRows?: number;
  readonly grace?: number;
  readonly isFiltered?: boolean;
  readonly joinWithin?: number;
  readonly late?: LatePolicy;
  readonly outOfOrderness?: number;
  readonly size?: number;
  readonly window?: string;
  readonly within?: number;
}

/** A window, a dedupe and a join, of which each can be changed. */
function bars(choice: Choice): Topology {
  const {
    flushRows = 1_000,
    grace = 0,
    late = 'drop',
    size = minutes(1),
    window = 'bars',
  } = choice;
  return topology('bars', (t) => {
    const source = t.source('events', {
      schema: Type.Object(choice.field ? { ...event, more: Type.Optional(Type.String()) } : event),
      eventTime: (e) => e.time,
      outOfOrderness: choice.outOfOrderness ?? 0,
      early: { limit: choice.early ?? minutes(10) },
    });
    const given = choice.isFiltered ? source.filter((e) => e.size >= 0) : source;
    const keyed = given.keyBy((e) => e.key, { name: 'key' });
    const aggregate = choice.aggregate === 'max' ? max((e: { size: number }) => e.size) : count();
    keyed
      .dedupe({ name: 'once', within: choice.within ?? 10, by: (e) => e.size })
      .window(tumbling(size), { name: window, grace, late })
      .aggregate({ count: aggregate as ReturnType<typeof count> })
      .map((w) => ({ key: w.key, end: w.windowEnd, count: w.count, note: null }))
      .toLake('bars', {
        schema: choice.column ? withNote : (Type.Object(bar) as unknown as typeof withNote),
        flush: { rowsMax: flushRows },
      });
    keyed
      .join(keyed, { name: 'pairs', within: choice.joinWithin ?? 0 }, (left, right) => ({
        ...{ key: left.key, end: left.time, count: right.size },
      }))
      .toLake('pairs', { schema: Type.Object(bar) });
  });
}

const sent = [at(1, 1), at(2, 2), at(3, 3, 'b')];
const sentAfter = [at(5, 5), at(65, 6, 'b')];

it.each<[string, Choice, 'runs' | 'waits']>([
  ['nothing', {}, 'runs'],
  ['a filter added', { isFiltered: true }, 'runs'],
  ['the late policy', { late: 'clamp' }, 'runs'],
  ['the out-of-orderness', { outOfOrderness: 2_000 }, 'runs'],
  ['the early limit', { early: minutes(5) }, 'runs'],
  ['an optional field', { field: true }, 'runs'],
  ['a nullable column', { column: true }, 'runs'],
  ['a flush limit', { flushRows: 10 }, 'runs'],
  ['the grace of a window', { grace: seconds(10) }, 'waits'],
  ['the size of a window', { size: minutes(2) }, 'waits'],
  ['an aggregate', { aggregate: 'max' }, 'waits'],
  ['the name of a window', { window: 'other' }, 'waits'],
  ['what a dedupe takes for one', { within: 20 }, 'waits'],
  ['how far apart a join looks', { joinWithin: 20 }, 'waits'],
])('a change of %s', async (_name, choice, outcome) => {
  const run = testTopology(bars({})).send('events', sent);
  await run.ledger();
  const next = run.deploy(bars(choice)).send('events', sentAfter).end();
  if (outcome === 'waits') {
    await expect(next.table('bars')).rejects.toMatchObject({ code: 'STREAM_DECISION_NEEDED' });
    return;
  }
  const rows = await next.table('bars');
  expect(rows.map(({ count: events, key }) => [key, events])).toEqual([
    ['a', 3],
    ['b', 1],
    ['b', 1],
  ]);
  expect(await next.table('pairs')).toHaveLength(5);
  expect((await next.ledger())['by-key']).toMatchObject({ read: 5, emitted: 5 });
});
