// Goal: streams of several sources meet: in a union, in a window over it, in an operator of two inputs. What one
// stream gives two consumers is made once.
import { Type } from 'typebox';
import {
  count,
  hours,
  minutes,
  sum,
  Timestamp,
  topology,
  tumbling,
  type OperatorSpec,
  type Topology,
  type TypedOperator,
  type Update,
} from '../../../shared/dataflow';
import { StreamError } from '../../../shared/model/errors';
import { plan } from '../../../shared/planner';
import { testTopology } from '../../../shared/testing';

const order = Type.Object({ id: Type.Integer(), time: Timestamp(), amount: Type.Integer() });
const row = Type.Object({ id: Type.Integer(), orders: Type.Integer(), amount: Type.Number() });
const atMs = Date.UTC(2026, 0, 1);
const of = (id: number, minute: number, amount: number) => ({
  ...{ id, time: atMs + minute * 60_000, amount },
});

/** Both sources, keyed each for itself or together. */
const totals = (isKeyedFirst: boolean): Topology =>
  topology('totals', (t) => {
    const [east, west] = ['east', 'west'].map((name) =>
      t.source(name, { schema: order, eventTime: (e) => e.time }),
    );
    if (east === undefined || west === undefined) throw new Error('no source');
    const keyed = isKeyedFirst
      ? east
          .keyBy((e) => e.id, { name: 'east-id' })
          .union(west.keyBy((e) => e.id, { name: 'west-id' }))
      : east.union(west).keyBy((e) => e.id, { name: 'id' });
    keyed
      .window(tumbling(hours(1)), { name: 'hours' })
      .aggregate({ orders: count(), amount: sum((e) => e.amount) })
      .map((w) => ({ id: w.key, orders: w.orders, amount: w.amount }))
      .toLake('totals', { schema: row });
  });

describe('a window over a union of two sources', () => {
  it.each([true, false])(
    'has the values of both (each keyed for itself: %s)',
    async (isKeyedFirst) => {
      const test = testTopology(totals(isKeyedFirst), { partitions: 2, exchangePartitions: 3 })
        .send('east', [of(1, 1, 10), of(2, 2, 20)])
        .send('west', [of(1, 3, 30), of(3, 4, 40)])
        .end();
      expect(await test.table('totals')).toEqual([
        { id: 1, orders: 2, amount: 40 },
        { id: 2, orders: 1, amount: 20 },
        { id: 3, orders: 1, amount: 40 },
      ]);
    },
  );

  it.each([true, false])(
    'waits for the slower source (each keyed for itself: %s)',
    async (isKeyedFirst) => {
      const test = testTopology(totals(isKeyedFirst))
        .send('west', [of(1, 1, 1)])
        .send('east', [of(1, 2, 10), of(9, 500, 0)]);
      expect(await test.table('totals')).toEqual([]);
      test.send('west', [of(1, 3, 100), of(9, 500, 0)]);
      expect(await test.table('totals')).toContainEqual({ id: 1, orders: 3, amount: 111 });
    },
  );
});

it('a stream that is united with itself gives every value twice', async () => {
  const doubled = topology('doubled', (t) => {
    const source = t.source('in', { schema: order, eventTime: (e) => e.time });
    source.union(source.filter((e) => e.id > 1)).toLake('rows', { schema: order });
  });
  const test = testTopology(doubled)
    .send('in', [of(1, 1, 1), of(2, 2, 2)])
    .end();
  expect(await test.table('rows')).toEqual([of(1, 1, 1), of(2, 2, 2), of(2, 2, 2)]);
});

it('what two consumers take is made once', async () => {
  let calls = 0;
  const shared = topology('shared', (t) => {
    const shaped = t.source('in', { schema: order, eventTime: (e) => e.time }).map((e) => {
      calls += 1;
      return { ...e };
    });
    shaped.toLake('one', { schema: order });
    shaped.filter((e) => e.id > 1).toLake('two', { schema: order });
    shaped.union(shaped.filter((e) => e.id > 1)).toLake('three', { schema: order });
  });
  const test = testTopology(shared)
    .send('in', [of(1, 1, 1), of(2, 2, 2)])
    .end();
  expect(await test.table('three')).toHaveLength(3);
  expect(calls).toBe(2);
});

type Side = { readonly kind: 'order' | 'payment'; readonly id: number; readonly amount: number };
type Paid = { readonly id: number; readonly ordered: number; readonly paid: number };

/** Gives out a pair when both sides of a key have come: an operator from outside of the tree. */
const pairs: OperatorSpec<{ readonly name: string }> = {
  kind: 'pairs',
  stateVersion: 1,
  shape: () => ({
    inputs: [
      { name: 'orders', isKeyed: true },
      { name: 'payments', isKeyed: true },
    ],
    outputs: [{ name: 'out' }],
    stores: [{ name: 'sides', kind: 'map' }],
    timers: 'none',
  }),
  describe: ({ name }) => ({ name }),
  open: (_config, context) => {
    const sides = context.map<number>('sides');
    return {
      process: (port, rows) => {
        for (let index = 0; index < rows.length; index += 1) {
          context.begin(rows, index);
          sides.put(port, (rows.values[index] as Side).amount);
          const [ordered, paid] = [sides.get(0), sides.get(1)];
          if (ordered !== undefined && paid !== undefined) {
            context.emit(0, { id: context.key(), ordered, paid });
          }
        }
      },
    };
  },
};

const paidRow = Type.Object({
  id: Type.Integer(),
  ordered: Type.Integer(),
  paid: Type.Integer(),
});

const joined = (isSwapped = false): Topology =>
  topology('joined', (t) => {
    const side = (name: string) =>
      t
        .source(name, { schema: order, eventTime: (e) => e.time })
        .keyBy((e) => e.id, { name: `of-${name}` });
    const sides = (isSwapped ? ['payments', 'orders'] : ['orders', 'payments']).map(side);
    const [orders, payments] = isSwapped ? sides.reverse() : sides;
    if (orders === undefined || payments === undefined) throw new Error('no side');
    const operator: TypedOperator<unknown, Paid> = { spec: pairs, config: { name: 'paid' } };
    orders.applyWith(payments, operator, { name: 'paid' }).toLake('paid', { schema: paidRow });
  });

describe('an operator of two inputs', () => {
  it('has both sides of a key in one task, through one exchange', async () => {
    expect(plan([joined()]).hubs).toHaveLength(3);
    const ids = Array.from({ length: 20 }, (_, id) => id);
    const test = testTopology(joined(), { partitions: 2, exchangePartitions: 4 })
      .send(
        'orders',
        ids.map((id) => of(id, id, id)),
      )
      .send(
        'payments',
        ids.map((id) => of(id, id, id * 10)),
      )
      .end();
    const found = await test.table('paid');
    expect(found.map(({ id }) => id)).toEqual(ids);
    expect(found).toEqual(ids.map((id) => ({ id, ordered: id, paid: id * 10 })));
  });

  it('keeps its state where its sides are swapped in the source', async () => {
    const test = testTopology(joined())
      .send('orders', [of(1, 1, 5)])
      .deploy(joined(true))
      .send('payments', [of(1, 2, 7)])
      .end();
    expect(await test.table('paid')).toEqual([{ id: 1, ordered: 5, paid: 7 }]);
  });

  it('is refused where it is given one, or values without keys', () => {
    const define = (): unknown =>
      topology('wrong', (t) => {
        const source = t.source('in', { schema: order, eventTime: (e) => e.time });
        source.apply(pairs, { name: 'paid' }, { name: 'paid' }).filter(() => true);
      });
    expect(define).toThrow(StreamError);
    expect(define).toThrow(/operator pairs has 2 inputs, 1 are given/);
    expect(define).toThrow(/operator pairs keeps values by key: keyBy first/);
  });
});

it('of updates only the final ones are rows', async () => {
  const early: OperatorSpec<null> = {
    kind: 'early',
    stateVersion: 1,
    shape: () => ({
      ...{ inputs: [{ name: 'in', isKeyed: true }], outputs: [{ name: 'out' }] },
      ...{ stores: [], timers: 'none' },
    }),
    describe: () => null,
    open: (_config, context) => ({
      process: (_port, rows) => {
        for (let index = 0; index < rows.length; index += 1) {
          context.begin(rows, index);
          const value = rows.values[index] as { readonly amount: number };
          context.emit(0, { value, isFinal: value.amount > 10 });
        }
      },
    }),
  };
  const operator: TypedOperator<unknown, Update<{ id: number; time: number; amount: number }>> = {
    spec: early,
    config: null,
  };
  const updated = topology('updated', (t) => {
    t.source('in', { schema: order, eventTime: (e) => e.time })
      .keyBy((e) => e.id, { name: 'id', isPartitionedBySource: true })
      .applyUpdates(operator, { name: 'early' })
      .finals()
      .toLake('rows', { schema: order });
  });
  const test = testTopology(updated)
    .send('in', [of(1, 1, 5), of(1, 2, 15)])
    .end();
  expect(await test.table('rows')).toEqual([of(1, 2, 15)]);
});

it('a union of more streams than anybody writes, and of another topology, is refused', () => {
  const define = (): unknown =>
    topology('wide', (t) => {
      let stream = t.source('in', { schema: order, eventTime: (e) => e.time }).filter(() => true);
      for (let round = 0; round < 40; round += 1) stream = stream.union(stream);
      topology('other', (other) => {
        const source = other.source('in2', { schema: order, eventTime: (e) => e.time });
        source.toLake('others', { schema: order });
        stream = stream.union(source);
      });
      stream.toLake('rows', { schema: order });
    });
  expect(define).toThrow(/a union of 512 streams, 256 are allowed/);
  expect(define).toThrow(/a stream of another topology/);
});

it('the time of a key that is a number, a tuple or null is kept apart', async () => {
  const mixed = topology('mixed', (t) => {
    t.source('in', { schema: order, eventTime: (e) => e.time })
      .keyBy((e) => (e.amount > 50 ? null : ([e.id, e.amount > 10] as const)), { name: 'mixed' })
      .window(tumbling(minutes(1)), { name: 'minutes' })
      .aggregate({ orders: count() })
      .map((w) => ({ key: JSON.stringify(w.key), orders: w.orders }))
      .toLake('rows', { schema: Type.Object({ key: Type.String(), orders: Type.Integer() }) });
  });
  const test = testTopology(mixed)
    .send('in', [of(1, 1, 1), of(1, 1, 11), of(1, 1, 12), of(2, 1, 60), of(3, 1, 61)])
    .end();
  expect(await test.table('rows')).toEqual([
    { key: '[1,false]', orders: 1 },
    { key: '[1,true]', orders: 2 },
    { key: 'null', orders: 2 },
  ]);
});
