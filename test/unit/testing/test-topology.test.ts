// Goal: a topology is tested in milliseconds, on the engine that runs it, and what is wrong with a test
// is said in words that help.
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
import { testTopology, type TestOptions } from '../../../shared/testing';

const trade = Type.Object({
  symbol: Type.String(),
  time: Timestamp(),
  size: Type.Integer({ minimum: 1 }),
});
const bar = Type.Object({
  symbol: Type.String(),
  minute: Timestamp(),
  trades: Type.Integer(),
  volume: Type.Number(),
});

const trades = (withCopy = false) =>
  topology('trades', (t) => {
    const source = t.source('ticks', {
      schema: trade,
      eventTime: (event) => event.time,
      outOfOrderness: seconds(5),
    });
    source.toLake('ticks_kept', { schema: trade });
    if (withCopy) source.toLake('ticks_copied', { schema: trade });
    source
      .keyBy((event) => event.symbol, { name: 'symbol' })
      .window(tumbling(minutes(1)), { name: 'bars' })
      .aggregate({ trades: count(), volume: sum((event) => event.size) })
      .map((window) => ({
        symbol: window.key,
        minute: window.windowStart,
        trades: window.trades,
        volume: window.volume,
      }))
      .toLake('bars', { schema: bar });
  });

const at = (text: string): number => Date.parse(`2026-01-01T${text}Z`);
const tick = (time: string, symbol = 'AAA', size = 1) => ({ symbol, time: at(time), size });
const newTest = (options?: TestOptions) => testTopology(trades(), options);

it('comes to rest behind a restart, without an end', async () => {
  const test = newTest({ partitions: 2 })
    .send('ticks', [tick('10:00:10'), tick('10:00:20', 'BBB')])
    .restart()
    .restart({ at: 'stage.after-commit' })
    .send('ticks', [tick('10:01:10'), tick('10:01:20', 'BBB')])
    .restart();
  expect(await test.table('ticks_kept')).toHaveLength(4);
});

it('gives a window when time has passed its end, and not before', async () => {
  const test = newTest().send('ticks', [tick('10:00:10'), tick('10:00:50', 'AAA', 4)]);
  expect(await test.table('bars')).toEqual([]);
  const bars = await test.advanceTo('2026-01-01T10:01:00Z').table('bars', bar);
  expect(bars).toEqual([{ symbol: 'AAA', minute: at('10:00:00'), trades: 2, volume: 5 }]);
  const [first] = bars;
  // Rows have the type of the schema.
  const volume: number | undefined = first?.volume;
  // @ts-expect-error -- there is no such column
  void first?.price;
  expect(volume).toBe(5);
});

it('closes every window at the end', async () => {
  const test = newTest()
    .send('ticks', [tick('10:00:10'), tick('10:07:00', 'BBB', 2)])
    .end();
  expect((await test.table('bars', bar)).map(({ symbol }) => symbol)).toEqual(['AAA', 'BBB']);
});

it('tells which events were late', async () => {
  const test = newTest()
    .send('ticks', [tick('10:00:10')])
    .advanceTo(at('10:02:00'))
    .send('ticks', [tick('10:00:20', 'AAA', 7), tick('10:02:10', 'BBB')])
    .end();
  expect(await test.table('bars', bar)).toMatchObject([
    { symbol: 'AAA', volume: 1 },
    { symbol: 'BBB', volume: 1 },
  ]);
  expect(await test.late()).toEqual([{ stage: 'by-symbol', event: tick('10:00:20', 'AAA', 7) }]);
  expect((await test.ledger())['by-symbol']).toMatchObject({ read: 3, late: 1 });
});

it('tells of each of many late events in one batch', async () => {
  const late = Array.from({ length: 150 }, (_, size) => tick('10:00:20', 'AAA', size + 1));
  const test = newTest({ exchangePartitions: 1 })
    .send('ticks', [tick('10:00:10')])
    .advanceTo(at('10:02:00'))
    .send('ticks', late);
  expect((await test.late()).map(({ event }) => event)).toEqual(late);
});

it('tells of an event that does not fit the schema with its cause, and goes on', async () => {
  const test = newTest().send('ticks', [
    { ...tick('10:00:10'), size: 0 },
    tick('10:00:11'),
    new TextEncoder().encode('no JSON at all'),
  ]);
  expect(await test.deadLetters()).toEqual([
    {
      ...{ stage: 'ticks', operator: 'ticks', code: 'STREAM_EVENT_INVALID' },
      message: '/size must be >= 1',
      event: { ...tick('10:00:10'), size: 0 },
    },
    expect.objectContaining({ code: 'STREAM_EVENT_UNDECODABLE', event: 'no JSON at all' }),
  ]);
  expect(await test.table('ticks_kept')).toHaveLength(1);
});

describe('a worker that dies', () => {
  const sent = [tick('10:00:10'), tick('10:00:30', 'BBB', 2), tick('10:01:20', 'AAA', 3)];
  const whole = () => newTest().send('ticks', sent).end().table('bars');

  it('leaves its work to the next', async () => {
    const test = newTest().send('ticks', sent.slice(0, 2)).restart();
    expect(await test.send('ticks', sent.slice(2)).end().table('bars')).toEqual(await whole());
  });

  it('at the very end is followed by one that has nothing left to do', async () => {
    const test = newTest().send('ticks', sent).end().restart();
    expect(await test.table('bars')).toEqual(await whole());
  });

  it.each(['stage.before-process', 'stage.after-process', 'stage.after-commit'] as const)(
    'at %s changes nothing',
    async (point) => {
      const late = tick('10:00:20');
      const test = newTest()
        .send('ticks', sent)
        .advanceTo(at('10:01:00'))
        .restart({ at: point })
        .send('ticks', [late])
        .end();
      expect(await test.table('bars')).toEqual(await whole());
      expect(await test.late()).toEqual([{ stage: 'by-symbol', event: late }]);
    },
  );
});

it('hands over to another build of the topology, with all that is open', async () => {
  const test = newTest()
    .send('ticks', [tick('10:00:10')])
    .deploy(trades(true))
    .send('ticks', [tick('10:00:20', 'AAA', 2)])
    .end();
  expect(await test.table('bars', bar)).toMatchObject([{ symbol: 'AAA', trades: 2, volume: 3 }]);
  expect(await test.table('ticks_copied')).toHaveLength(1);
});

it('refuses a build whose change needs a decision, as a worker does', async () => {
  const longer = topology('trades', (t) => {
    t.source('ticks', { schema: trade, eventTime: (event) => event.time })
      .keyBy((event) => event.symbol, { name: 'symbol' })
      .window(tumbling(minutes(5)), { name: 'bars' })
      .aggregate({ trades: count(), volume: sum((event) => event.size) })
      .map((window) => ({ ...window, symbol: window.key, minute: window.windowStart }))
      .toLake('bars', { schema: bar });
  });
  const test = newTest()
    .send('ticks', [tick('10:00:10')])
    .deploy(longer)
    .send('ticks', [tick('10:00:20')]);
  await expect(test.table('bars')).rejects.toMatchObject({ code: 'STREAM_DECISION_NEEDED' });
});

describe('two builds that run beside each other', () => {
  const sent = Array.from({ length: 40 }, (_, index) =>
    tick(`10:${String(index).padStart(2, '0')}:10`, `S${index % 3}`, 1 + (index % 7)),
  );
  const whole = () => newTest({ partitions: 2 }).send('ticks', sent).end().table('bars');

  it('take turns with the batches of one task, and give the tables of one', async () => {
    const test = newTest({ partitions: 2 }).interleave(3).send('ticks', sent.slice(0, 10));
    const both = test.deploy(trades(), { alongside: true }).send('ticks', sent.slice(10));
    expect(await both.end().table('bars')).toEqual(await whole());
    expect(await both.deadLetters()).toEqual([]);
  });

  it('both run: the one as well as the other is given batches', async () => {
    const seen = { old: 0, next: 0 };
    const build = (who: keyof typeof seen) =>
      topology('trades', (t) => {
        t.source('ticks', { schema: trade, eventTime: (event) => event.time })
          .filter(() => (seen[who] += 1) > 0)
          .toLake('ticks_kept', { schema: trade });
      });
    const test = testTopology(build('old')).deploy(build('next'), { alongside: true });
    for (const one of sent.slice(0, 6)) await test.send('ticks', [one]).settled();
    expect(seen).toEqual({ old: 3, next: 3 });
    expect(await test.table('ticks_kept')).toHaveLength(6);
    expect((await test.ledger())['ticks']).toMatchObject({ read: 6, emitted: 6 });
  });

  it('leave everything to the newer one where it has another plan', async () => {
    const test = newTest({ partitions: 2 })
      .send('ticks', sent.slice(0, 10))
      .deploy(trades(true), { alongside: true })
      .send('ticks', sent.slice(10, 20));
    await test.settled();
    // From its first commit to a task on, the newer one alone commits to it.
    test.send('ticks', sent.slice(20)).end();
    expect(await test.table('bars')).toEqual(await whole());
    const copied = await test.table('ticks_copied');
    expect(copied).toEqual(expect.arrayContaining(sent.slice(20)));
  });

  it('are one again after a restart', async () => {
    const test = newTest({ partitions: 2 })
      .deploy(trades(true), { alongside: true })
      .restart()
      .send('ticks', sent)
      .end();
    expect(await test.table('bars')).toEqual(await whole());
  });
});

describe('faults that a seed decides', () => {
  const sent = Array.from({ length: 50 }, (_, index) =>
    tick(
      `10:${String(index % 25).padStart(2, '0')}:${10 + (index % 3)}`,
      `S${index % 4}`,
      index + 1,
    ),
  );
  const first = sent.slice(0, 25);
  const second = sent.slice(25);
  const run = (test: ReturnType<typeof newTest>) =>
    test.send('ticks', first).advanceTo(at('10:15:00')).send('ticks', second).end();
  const outcome = async (test: ReturnType<typeof newTest>) => ({
    bars: await test.table('bars'),
    kept: await test.table('ticks_kept'),
    late: (await test.late()).map((one) => JSON.stringify(one)).sort(),
    ledger: await test.ledger(),
  });

  it('change no table, no late event and no count', async () => {
    const expected = await outcome(run(newTest({ partitions: 2 })));
    expect(expected.late.length).toBeGreaterThan(10);
    const struck = new Set<string>();
    for (let seed = 1; seed <= 6; seed += 1) {
      const test = run(newTest({ partitions: 2 }).interleave(seed).withFaults(seed));
      expect([seed, await outcome(test)]).toEqual([seed, expected]);
      for (const fault of await test.faults()) struck.add(fault.replace(/[\w.]+ (was|at).*/, '$1'));
    }
    expect(struck).toContain('messages came again');
    expect(struck).toContain('the host went on behind a batch that failed');
    expect(struck.size).toBeGreaterThanOrEqual(4);
  });

  it('happen again with the same seed', async () => {
    const faultsOf = (seed: number) =>
      run(newTest({ partitions: 2 }).interleave(seed).withFaults(seed)).faults();
    expect(await faultsOf(5)).toEqual(await faultsOf(5));
    expect(await faultsOf(5)).not.toEqual(await faultsOf(6));
  });

  it('meet two builds that take turns, too', async () => {
    const expected = await outcome(run(newTest({ partitions: 2 })));
    for (let seed = 1; seed <= 3; seed += 1) {
      const test = newTest({ partitions: 2 }).interleave(seed).withFaults(seed);
      const both = test.deploy(trades(), { alongside: true });
      expect([seed, await outcome(run(both))]).toEqual([seed, expected]);
    }
  });
});

it('moves the time of a quiet source with the clock alone', async () => {
  const quiet = topology('trades', (t) => {
    t.source('ticks', {
      schema: trade,
      eventTime: (event) => event.time,
      quiet: { after: seconds(10), maxDelay: seconds(20) },
    })
      .keyBy((event) => event.symbol, { name: 'symbol' })
      .window(tumbling(minutes(1)), { name: 'bars' })
      .aggregate({ trades: count(), volume: sum((event) => event.size) })
      .map((window) => ({ ...window, symbol: window.key, minute: window.windowStart }))
      .toLake('bars', { schema: bar });
  });
  const test = testTopology(quiet).send('ticks', [tick('10:00:30')]);
  expect(await test.waitUntil(at('10:01:19')).table('bars')).toEqual([]);
  expect(await test.waitUntil(at('10:02:30')).table('bars')).toHaveLength(1);
});

it('tells of the same late event in two partitions', async () => {
  const late = tick('10:00:20', 'AAA', 7);
  const kept = topology('trades', (t) => {
    t.source('ticks', { schema: trade, eventTime: (event) => event.time })
      .keyBy((event) => event.symbol, { name: 'symbol', isPartitionedBySource: true })
      .window(tumbling(minutes(1)), { name: 'bars' })
      .aggregate({ trades: count(), volume: sum((event) => event.size) })
      .map((window) => ({ ...window, symbol: window.key, minute: window.windowStart }))
      .toLake('bars', { schema: bar });
  });
  const test = testTopology(kept, { partitions: 2 }).advanceTo(at('10:02:00'));
  for (const partition of [0, 1]) {
    test.send('ticks', [tick('10:02:10')], { partition }).advanceTo(at('10:02:00'));
    test.send('ticks', [late], { partition });
  }
  expect(await test.late()).toHaveLength(2);
});

it('gives the same tables however batches are cut and partitions take turns', async () => {
  const sent = Array.from({ length: 60 }, (_, index) => ({
    symbol: `S${index % 5}`,
    time: at('10:00:00') + index * 3_000,
    size: 1 + (index % 7),
  }));
  const run = (seed: number | null) => {
    const test = newTest({ partitions: 3 });
    return (seed === null ? test : test.interleave(seed)).send('ticks', sent).end().table('bars');
  };
  const expected = await run(null);
  expect(expected.length).toBeGreaterThan(10);
  for (let seed = 1; seed <= 10; seed += 1) expect(await run(seed)).toEqual(expected);
});

describe('a test that is wrong', () => {
  it('is told the tables that there are', async () => {
    await expect(newTest().table('bar')).rejects.toThrow(
      'no table is called "bar"; there is: ticks_kept, bars',
    );
  });

  it('is told the sources that there are', () => {
    expect(() => newTest().send('tick', [])).toThrow('no source is called "tick"; there is: ticks');
  });

  it('is told how the schema differs from that of the table', async () => {
    await expect(newTest().table('ticks_kept', bar)).rejects.toThrow(
      'table ticks_kept was written with another schema: it has symbol string, time timestamp, size integer, the one given has symbol string, minute timestamp, trades integer, volume double',
    );
  });

  it('is told that a text without a zone is no time', () => {
    expect(() => newTest().advanceTo('2026-01-01T10:00')).toThrow(
      'advanceTo must be epoch milliseconds, a Date or a text with its zone as in 2026-01-01T10:00:00Z, it is 2026-01-01T10:00',
    );
  });

  it('is told that there is no such partition', () => {
    const send = (): unknown => newTest().send('ticks', [tick('10:00:00')], { partition: 1 });
    expect(send).toThrow('partition 1: ticks has 1, from 0 on');
  });

  it('is told that time does not go back', () => {
    const test = newTest().send('ticks', [tick('10:00:00')]);
    const send = (): unknown => test.send('ticks', [tick('09:00:00')], { at: at('09:00:00') });
    expect(send).toThrow("at: a hub's clock does not go back (it is 2026-01-01T10:00:00.000Z)");
  });

  it('is told that advanceTo does not go back', () => {
    const test = newTest().advanceTo(at('10:00:00'));
    expect(() => test.advanceTo(at('09:00:00'))).toThrow(
      'advanceTo: time does not go back (it is 2026-01-01T10:00:00.000Z)',
    );
    expect(() => test.waitUntil(at('09:00:00'))).toThrow('waitUntil: time does not go back');
  });

  it('is told that a worker never came by where it was to die', async () => {
    const test = newTest().restart({ at: 'stage.mid-send' }).send('ticks', []);
    // Nothing was to be done yet.
    expect(await test.table('ticks_kept')).toEqual([]);
    // The plan is written once, and it was.
    await newTest()
      .restart({ at: 'stage.before-plan' })
      .send('ticks', [tick('10:00:00')])
      .settled();
    test.send('ticks', [tick('10:00:00')], { partition: 0 }).restart({ at: 'stage.before-plan' });
    test.send('ticks', [tick('10:00:01')]);
    await expect(test.table('ticks_kept')).rejects.toThrow(
      'restart: no worker has come by stage.before-plan since, and none died',
    );
    const wrong = { at: 'stage.nowhere' as 'stage.mid-send' };
    expect(() => newTest().restart(wrong)).toThrow(
      'restart: no point is called "stage.nowhere"; there is: stage.before-plan,',
    );
  });

  it.each([1.5, NaN, '1' as unknown as number])('is told that %p is no seed', (seed) => {
    expect(() => newTest().withFaults(seed)).toThrow('withFaults: a seed is a whole number');
    expect(() => newTest().interleave(seed)).toThrow('interleave: a seed is a whole number');
  });

  it('is told that events are sent as an array', () => {
    const one = tick('10:00:00') as unknown as readonly unknown[];
    expect(() => newTest().send('ticks', one)).toThrow(
      'send takes an array of events for ticks, not one object',
    );
  });

  it('is told that the next build is of another topology', () => {
    const other = topology('other', (t) => {
      t.source('ticks', { schema: trade, eventTime: (event) => event.time }).toLake('rows', {
        schema: trade,
      });
    });
    expect(() => newTest().deploy(other)).toThrow(
      'deploy: a build of trades is followed by another of it, not by other',
    );
  });

  it('hears of a failing step from whatever asks next', async () => {
    const test = newTest().send('ticks', [tick('10:00:00')], { partition: 0 });
    expect(() => test.send('ticks', [1n])).toThrow('send its bytes');
    expect(await test.table('ticks_kept')).toHaveLength(1);
  });
});
