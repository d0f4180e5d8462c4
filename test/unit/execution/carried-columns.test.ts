// Goal: where all that take keyed values say what they need of them, only that travels through the exchange, and
// nothing else changes: the same tables, dead letters with their cause, whatever is redriven or deployed meanwhile.
import { Type } from 'typebox';
import {
  average,
  count,
  first,
  last,
  max,
  min,
  minutes,
  reduce,
  share,
  sum,
  Timestamp,
  topology,
  tumbling,
  type Aggregate,
  type Topology,
} from '../../../shared/dataflow';
import { faultInAggregate } from '../../../shared/operators/aggregates';
import {
  decodeEnvelope,
  eventOfEnvelope,
  withPort,
} from '../../../shared/delivery/exchange/envelope';
import { testTopology } from '../../../shared/testing';
import { StageWorld } from '../../support/stage-world';

const reading = Type.Object({
  sensor: Type.String(),
  time: Timestamp(),
  celsius: Type.Number(),
  note: Type.String(),
});
const row = Type.Object({ sensor: Type.String(), from: Timestamp(), figures: Type.String() });
const startMs = Date.UTC(2026, 0, 1);
const readings = Array.from({ length: 60 }, (_, id) => ({
  sensor: `s${id % 4}`,
  time: startMs + id * 9_000,
  celsius: id % 13 === 5 ? -300 : (id * 7) % 30,
  note: 'as long as nobody asks for it '.repeat(4),
}));

/** @param others takers of the keyed values that need them whole: then values travel */
const warmth = (others: boolean, late: 'drop' | 'sideOutput' = 'drop'): Topology =>
  topology('warmth', (t) => {
    const keyed = t
      .source('readings', {
        schema: reading,
        eventTime: (e) => e.time,
        outOfOrderness: minutes(30),
      })
      .keyBy((e) => e.sensor, { name: 'sensor' });
    const small = keyed.window(tumbling(minutes(1)), { name: 'small', late }).aggregate({
      readings: count(),
      least: min((e) => e.celsius),
      most: max((e) => e.celsius),
      frost: share((e) => e.celsius < 5),
    });
    small
      .map((w) => ({
        sensor: w.key,
        from: w.windowStart,
        figures: JSON.stringify([w.readings, w.least, w.most, w.frost]),
      }))
      .toLake('small', { schema: row });
    keyed
      .window(tumbling(minutes(4)), { name: 'large' })
      .aggregate({
        total: sum((e) => {
          if (e.celsius < -273) throw new RangeError('colder than anything');
          return e.celsius;
        }),
        mean: average((e) => e.celsius),
      })
      .map((w) => ({
        sensor: w.key,
        from: w.windowStart,
        figures: JSON.stringify([w.total, w.mean]),
      }))
      .toLake('large', { schema: row });
    if (others) keyed.toLake('raw', { schema: reading });
  });

describe('columns in the place of values', () => {
  it('travel alone where all windows behind a keyBy say what they need', async () => {
    for (const [others, isWhole] of [
      [false, false],
      [true, true],
    ] as const) {
      const world = new StageWorld({ topologies: [warmth(others)], partitionCount: 1 });
      for (const one of readings) world.hub('readings').append(0, Buffer.from(JSON.stringify(one)));
      await world.deliver(world.worker(), { stage: 'readings', partition: 0 });
      const sent = Buffer.concat(
        world
          .hub('warmth-sensor')
          .messages(0)
          .map(({ body }) => body),
      );
      expect(sent.includes('nobody asks')).toBe(isWhole);
      expect(sent.includes('small.0,large.0')).toBe(!isWhole);
    }
  });

  it('give the tables and dead letters that values give', async () => {
    const found = [];
    for (const others of [false, true]) {
      for (const seed of [0, 1, 2]) {
        const test = testTopology(warmth(others), {
          ...{ partitions: 3, exchangePartitions: 2, travels: 'columns' as const },
        });
        if (seed > 0) test.interleave(seed);
        test.send('readings', readings).restart().end();
        const letters = await test.deadLetters();
        found.push({
          small: await test.table('small', row),
          large: await test.table('large', row),
          letters: letters.map(({ code, message }) => `${code} ${message}`).sort(),
        });
        const stages = new Set(letters.map(({ stage }) => stage));
        // It ran before the exchange, where the whole event is kept.
        expect([...stages]).toEqual([others ? 'by-sensor' : 'readings']);
      }
    }
    const [first] = found;
    expect(first?.small.length).toBeGreaterThan(20);
    expect(first?.letters).toEqual(
      readings
        .filter(({ celsius }) => celsius === -300)
        .map(() => 'STREAM_USER_FUNCTION_THREW RangeError: colder than anything'),
    );
    for (const one of found) expect(one).toEqual(first);
  });

  it('do not where late values go on whole, or a fold takes values', async () => {
    const world = new StageWorld({ topologies: [warmth(false, 'sideOutput')], partitionCount: 1 });
    world.hub('readings').append(0, Buffer.from(JSON.stringify(readings[0])));
    await world.deliver(world.worker(), { stage: 'readings', partition: 0 });
    const [message] = world.hub('warmth-sensor').messages(0);
    expect(Buffer.from(message?.body ?? []).includes('nobody asks')).toBe(true);
  });

  it('go on across a build that takes values, and back', async () => {
    const test = testTopology(warmth(false), { partitions: 2, travels: 'columns' })
      .send('readings', readings.slice(0, 20))
      .deploy(warmth(true))
      .send('readings', readings.slice(20, 40))
      .restart({ at: 'stage.after-commit' })
      .send('readings', readings.slice(40))
      .end();
    const whole = testTopology(warmth(true), { travels: 'columns' })
      .send('readings', readings)
      .end();
    expect(await test.table('small', row)).toEqual(await whole.table('small', row));
    expect(await test.table('large', row)).toEqual(await whole.table('large', row));
    // Of what the former build sent nobody needed more than its columns.
    const raw = await test.table('raw', reading);
    expect(raw.length).toBe(readings.slice(20).filter(({ celsius }) => celsius > -273).length);
  });
});

it('columns that are under way are not given to a consumer that the next build adds', async () => {
  const world = new StageWorld({ topologies: [warmth(true)], partitionCount: 1 });
  for (const one of readings) world.hub('readings').append(0, Buffer.from(JSON.stringify(one)));
  const former = world.workerOf({ id: 'former', builtAtMs: 1 }, [warmth(false)]);
  await world.deliver(former, { stage: 'readings', partition: 0 });
  await world.finish(world.workerOf({ id: 'next', builtAtMs: 2 }, [warmth(true)]));
  const whole = await testTopology(warmth(true), { travels: 'columns' })
    .send('readings', readings)
    .end()
    .table('small', row);
  const small = (await world.rows('small')).map((text) => JSON.parse(text) as unknown[]);
  expect(small.map(([sensor, , figures]) => [sensor, figures]).sort()).toEqual(
    whole.map(({ figures, sensor }) => [sensor, figures]).sort(),
  );
  expect(await world.rows('raw')).toEqual([]);
  // Each message says under which plan it was sent: a raised count of producers goes by it.
  const plans = world
    .hub('warmth-sensor')
    .messages(0)
    .map(({ body }) => decodeEnvelope(body))
    .map((envelope) => (envelope.kind === 'events' ? envelope.planNumber : null));
  expect([...new Set(plans)]).toEqual([1, 2]);
  const letters = world.events.filter(({ event }) => event === 'task.dead-letters');
  expect(letters.filter(({ fields }) => fields['stage'] === 'by-sensor')).toEqual([]);
});

it('a dead letter of an exchange keeps its port, whom its columns are for and its numbers', () => {
  const kept = (text: string, port: number) =>
    Buffer.from(withPort(Buffer.from(text), port)).toString();
  expect(kept('["sa",1,{"n":1.0}]', 0)).toBe('["sa",1,{"n":1.0}]');
  for (const text of ['["sa",1,{"n":1.0}]', '["sa",1,{"n":1.0},5]', '["sa",1,[[1]],null,"w.0"]']) {
    const event = JSON.parse(kept(text, 1)) as Parameters<typeof eventOfEnvelope>[0];
    const [key, eventTimeMs, value, markMs, carriedFor] = JSON.parse(text) as typeof event;
    expect(eventOfEnvelope(event)).toEqual({
      ...{ key, eventTimeMs, value, port: 1 },
      ...{ markMs: markMs ?? undefined, carriedFor },
    });
  }
});

describe('accumulators', () => {
  const values = [3, -0.5, 8, 8, 0, -11, 2.25];
  const identity = (value: number): number => value;
  const all: readonly Aggregate<number, unknown, unknown>[] = [
    count(),
    sum(identity),
    min(identity),
    max(identity),
    average(identity),
    share((value: number) => value > 1),
    first(identity),
    last(identity),
    reduce<number, number[]>(
      [],
      (list, value) => [...list, value],
      (left, right) => left.concat(right),
    ),
  ] as readonly Aggregate<number, unknown, unknown>[];

  it.each(all.map((aggregate) => [aggregate.kind, aggregate] as const))(
    'of %s merge to what all values give, wherever they are cut',
    (_, { add, create, merge, result }) => {
      const of = (some: readonly number[]): unknown =>
        some.reduce((kept: unknown, value) => add(kept, value, value % 3), create());
      for (let cut = 0; cut <= values.length; cut += 1) {
        const [left, right] = [of(values.slice(0, cut)), of(values.slice(cut))];
        const before = JSON.stringify([left, right]);
        expect(result(merge?.(left, right))).toEqual(result(of(values)));
        expect(JSON.stringify([left, right])).toBe(before);
      }
    },
  );

  it('that are no plain values are refused when the topology is defined, unless they have a codec', async () => {
    const distinct = (
      isCoded: boolean,
    ): Aggregate<{ readonly celsius: number }, Set<number>, number> => ({
      kind: 'distinct',
      create: () => new Set(),
      add: (set, { celsius }) => new Set(set).add(celsius),
      result: (set) => set.size,
      ...(isCoded && {
        codec: {
          toJson: (set: Set<number>) => [...set],
          fromJson: (json: unknown) => new Set(json as number[]),
        },
      }),
    });
    const defined = (isCoded: boolean): Topology =>
      topology('distinct', (t) => {
        t.source('readings', {
          schema: reading,
          eventTime: (e) => e.time,
          outOfOrderness: minutes(30),
        })
          .keyBy((e) => e.sensor, { name: 'sensor' })
          .window(tumbling(minutes(60)), { name: 'hours' })
          .aggregate({ kinds: distinct(isCoded) })
          .map((w) => ({ sensor: w.key, from: w.windowStart, figures: `${w.kinds}` }))
          .toLake('rows', { schema: row });
      });
    expect(() => defined(false)).toThrow(
      /window hours: aggregate kinds: its accumulator is a Set: .*, or give it a codec/,
    );
    const test = testTopology(defined(true), { travels: 'columns' })
      .send('readings', readings.slice(0, 30))
      .restart()
      .send('readings', readings.slice(30))
      .end();
    const rows = await test.table('rows', row);
    expect(rows.map(({ figures }) => figures)).toEqual(
      ['s0', 's1', 's2', 's3'].map((name) => {
        const own = readings.filter(({ sensor }) => sensor === name);
        return `${new Set(own.map(({ celsius }) => celsius)).size}`;
      }),
    );
  });

  it('that cannot be made are a fault in words', () => {
    const broken = {
      ...count<never>(),
      create: (): number => {
        throw new Error('no');
      },
    };
    expect(faultInAggregate(broken as Aggregate<never, unknown, unknown>)).toMatch(/^no, or give/);
  });
});
