// Goal: what changed between two plans is told node by node, and what it means is judged rightly.
import { Type, type TObject } from 'typebox';
import {
  count,
  hours,
  minutes,
  Nullable,
  seconds,
  Timestamp,
  topology,
  tumbling,
  type Topology,
} from '../../../shared/dataflow';
import { planHash } from '../../../shared/model/plan-document';
import { planDocument } from '../../../shared/planner';
import {
  answered,
  comparePlans,
  verdictOf,
  type OpenQuestion,
} from '../../../shared/operations/decisions/compare-plans';

interface Shape {
  readonly source?: string;
  readonly field?: Record<string, ReturnType<typeof Type.String>>;
  readonly key?: string;
  readonly isLocal?: boolean;
  readonly window?: string;
  readonly size?: number;
  readonly grace?: number;
  readonly columns?: TObject['properties'];
  readonly second?: boolean;
  readonly table?: string;
  readonly map?: (count: number) => number;
  readonly isReordered?: boolean;
}

const row = Type.Object({ key: Type.String(), n: Type.Integer() });

const trades = (shape: Shape = {}): Topology =>
  topology('trades', (t) => {
    const { isReordered = false, second = false } = shape;
    const schema = Type.Object({ key: Type.String(), time: Timestamp(), ...shape.field });
    const events = t.source(shape.source ?? 'ticks', {
      schema: schema,
      eventTime: (e) => (e as unknown as { time: number }).time,
    });
    const keyed = events.keyBy((e) => e.key, {
      name: shape.key ?? 'symbol',
      isPartitionedBySource: shape.isLocal ?? false,
    });
    const window = (name: string, table: string): void => {
      keyed
        .window(tumbling(shape.size ?? minutes(1)), { name, grace: shape.grace ?? 0 })
        .aggregate({ n: count() })
        .map((w) => ({ key: w.key, n: (shape.map ?? ((n: number) => n))(w.n) }))
        .toLake(table, {
          schema: Type.Object({ ...row.properties, ...shape.columns }),
        });
    };
    const first = (): void => window(shape.window ?? 'bars', shape.table ?? 'bars');
    if (second && isReordered) window('other', 'other');
    first();
    if (second && !isReordered) window('other', 'other');
  });

const compare = (before: Shape, after: Shape) =>
  comparePlans(planDocument(trades(before)), planDocument(trades(after)));
const judged = async (before: Shape, after: Shape, open: number) =>
  verdictOf(await answered(compare(before, after), async () => open));

describe('a plan compared with the one before', () => {
  it('is the same where only what functions do has changed', () => {
    const [before, after] = [planDocument(trades()), planDocument(trades({ map: (n) => n + 1 }))];
    expect(planHash(after)).toBe(planHash(before));
    expect(comparePlans(before, after)).toEqual([]);
  });

  it.each<[string, Shape, Shape]>([
    ['an operator and a sink were added', {}, { second: true }],
    ['two windows were swapped', { second: true }, { second: true, isReordered: true }],
    ['a nullable column was added', {}, { columns: { more: Nullable(Type.String()) } }],
    ['an optional field was added', {}, { field: { more: Type.Optional(Type.String()) } }],
    ['a field is not asked for any more', { field: { more: Type.String() } }, {}],
    ['a sink was removed, whose rows leave', {}, { table: 'others' }],
  ])('is compatible where %s', async (_what, before, after) => {
    expect(await judged(before, after, 7)).not.toBe('decision');
  });

  it.each<[string, Shape, Shape]>([
    ['the size of a window was changed', {}, { size: hours(1) }],
    ['its grace was changed', {}, { grace: seconds(5) }],
    ['a window was renamed', {}, { window: 'candles' }],
    ['a window was removed', { second: true }, {}],
    ['a window moved to another stage', {}, { isLocal: true }],
  ])('asks the logs where %s', async (_what, before, after) => {
    expect(await judged(before, after, 7)).toBe('decision');
  });

  it('is compatible where what was removed has nothing open in any log', async () => {
    expect(await judged({ second: true }, {}, 0)).toBe('compatible');
    expect(await judged({}, { size: hours(1) }, 0)).toBe('compatible');
    expect(await judged({}, { window: 'candles' }, 0)).toBe('compatible');
  });

  it.each<[string, Shape, Shape]>([
    [
      'the type of a column was changed',
      { columns: { x: Type.String() } },
      { columns: { x: Type.Integer() } },
    ],
    ['a column was added that may not be null', {}, { columns: { x: Type.String() } }],
    ['a column was removed', { columns: { x: Type.String() } }, {}],
    ['the source is another hub', {}, { source: 'quotes' }],
    ['a field is new and required', {}, { field: { more: Type.String() } }],
    ['the key has another name', {}, { key: 'ticker' }],
  ])('needs a decision, whatever is open, where %s', async (_what, before, after) => {
    expect(await judged(before, after, 0)).toBe('decision');
  });

  it('tells what differs, what it means and how much is open', async () => {
    const asked: OpenQuestion[] = [];
    const differences = await answered(compare({}, { size: hours(1) }), async (question) => {
      asked.push(question);
      return 7;
    });
    expect(asked).toEqual([{ stage: 'by-symbol', name: 'bars' }]);
    expect(differences.map(({ text }) => text)).toEqual([
      'window bars: sizeMs is 3600000, was 60000: what it keeps means something else; 7 keys are open',
    ]);
    const [renamed] = compare({}, { window: 'candles' }).filter(({ asks }) => asks.length > 0);
    expect(renamed?.text).toContain('has the name candles now: state belongs to a name');
  });
});
