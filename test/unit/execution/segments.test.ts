// Goal: events that run together end as they would one by one: what throws leaves no other trace, what a
// function did to a value in vain is not there when it runs again, and no branch sees what another does.
import { Type } from 'typebox';
import { count, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { runOf } from '../../support/program-run';

const event = Type.Object({ key: Type.String(), time: Timestamp(), value: Type.Integer() });
const source = { schema: event, eventTime: (e: { time: number }) => e.time };
const isPartitionedBySource = true;
type Event = { key: string; time: number; value: number };

const some = (values: readonly number[]): Event[] =>
  values.map((value, n) => ({ key: `k${n % 2}`, time: n, value }));

describe('a segment of events', () => {
  it('in which one throws behind a window that took it in leaves nothing of it in the window', () => {
    const both = topology('both', (t) => {
      const keyed = t
        .source('events', source)
        .keyBy((e) => e.key, { name: 'key', isPartitionedBySource });
      keyed
        .window(tumbling(1_000), { name: 'windows' })
        .aggregate({ n: count() })
        .map((w) => ({ key: w.key, time: w.windowStart, value: w.n }))
        .toLake('counts', { schema: event });
      keyed
        .dedupe({ name: 'once', within: 1_000, by: (e) => e.value })
        .map((e) => {
          if (e.value < 0) throw new Error('negative');
          return e;
        })
        .toLake('seen', { schema: event });
    });
    const { ends, outcome, program, run } = runOf(both);
    run(some([1, -2, 3, -2, 3, 1]));
    program.advanceWatermark(1_000);
    expect(ends).toEqual([
      'emitted',
      'deadLettered',
      'emitted',
      'deadLettered',
      'emitted',
      'emitted',
    ]);
    // Both are dead: the second is no double of the first, of which nothing is left.
    expect(outcome.letters).toEqual([
      'dead STREAM_USER_FUNCTION_THREW map-2 2.0',
      'dead STREAM_USER_FUNCTION_THREW map-2 4.0',
    ]);
    expect(outcome.of('counts')).toEqual(['["k0",0,3]', '["k1",0,1]']);
  });

  it('in which one throws behind a table that has its row puts out every row once', () => {
    const rows = topology('rows', (t) => {
      const read = t.source('events', source);
      read.toLake('first', { schema: event });
      read
        .map((e) => {
          if (e.value < 0) throw new Error('negative');
          return { ...e };
        })
        .toLake('second', { schema: event });
    });
    const { outcome, run } = runOf(rows);
    run(some([1, -2, 3]));
    expect(outcome.of('first')).toEqual(['["k0",0,1]', '["k0",2,3]']);
    expect(outcome.of('second')).toEqual(['["k0",0,1]', '["k0",2,3]']);
  });

  it('that runs again is read again: a function that changes what it is given does so once', () => {
    const changing = topology('changing', (t) => {
      t.source('events', source)
        .map((e) => {
          (e as { value: number }).value += 1;
          if (e.value === 6) throw new Error('six');
          return e;
        })
        .toLake('rows', { schema: event });
    });
    const { outcome, run } = runOf(changing);
    run(some([1, 2, 5, 7]));
    expect(outcome.of('rows').map((line) => (JSON.parse(line) as number[])[2])).toEqual([2, 3, 8]);
  });

  it('that two branches take is frozen, with all that it holds: what changes it is a dead letter', () => {
    const branches = topology('branches', (t) => {
      const shared = t.source('events', source).map((e) => ({ ...e, inner: { list: [e.value] } }));
      shared
        .map((e) => {
          if (e.value === 2) e.inner.list.push(99);
          return { key: e.key, time: e.time, value: e.inner.list.length };
        })
        .toLake('left', { schema: event });
      shared
        .map((e) => ({ key: e.key, time: e.time, value: e.inner.list.length }))
        .toLake('right', { schema: event });
    });
    const { ends, outcome, run } = runOf(branches);
    run(some([1, 2, 3]));
    expect(ends).toEqual(['emitted', 'deadLettered', 'emitted']);
    expect(outcome.letters).toEqual(['dead STREAM_USER_FUNCTION_THREW map-2 2.0']);
    expect(outcome.of('right')).toEqual(['["k0",0,1]', '["k0",2,1]']);
  });

  it('with a date in it, which cannot be frozen, gives each branch one of its own', () => {
    const dates = topology('dates', (t) => {
      const shared = t.source('events', source).map((e) => ({ ...e, at: new Date(e.time) }));
      shared
        .map((e) => ({ key: e.key, time: e.at.setTime(77), value: e.value }))
        .toLake('left', { schema: event });
      shared
        .map((e) => ({ key: e.key, time: e.at.getTime(), value: e.value }))
        .toLake('right', { schema: event });
    });
    const { outcome, run } = runOf(dates);
    run(some([1]));
    expect(outcome.lines).toEqual(['left ["k0",77,1]', 'right ["k0",0,1]']);
  });

  it('counts late ones for each operator under every policy', () => {
    for (const late of ['drop', 'clamp', 'sideOutput'] as const) {
      const windows = topology('windows', (t) => {
        t.source('events', source)
          .keyBy((e) => e.key, { name: 'key', isPartitionedBySource })
          .window(tumbling(10), { name: 'windows', late })
          .aggregate({ n: count() })
          .map((w) => ({ key: w.key, time: w.windowStart, value: w.n }))
          .toLake('counts', { schema: event });
      });
      const { ends, program, run } = runOf(windows);
      run([...some([1]), { key: 'k0', time: 100, value: 1 }, { key: 'k0', time: 5, value: 1 }]);
      expect([late, ends.at(-1)]).toEqual([late, late === 'clamp' ? 'emitted' : 'late']);
      expect(program.takeCounters()).toEqual({ 'late:windows': 1 });
    }
  });
});

describe('values of two streams in one stage', () => {
  const right = Type.Object({ key: Type.String(), time: Timestamp(), word: Type.String() });
  const joined = topology('joined', (t) => {
    const words = t
      .source('words', { schema: right, eventTime: (e) => e.time })
      .keyBy((e) => e.key, { name: 'word-key' });
    t.source('events', source)
      .keyBy((e) => e.key, { name: 'event-key' })
      .join(words, { name: 'pairs', within: 10 }, (e, w) => ({
        key: w.word,
        time: e.time,
        value: e.value,
      }))
      .map((pair) => {
        if (pair.value < 0) throw new Error('negative');
        return pair;
      })
      .toLake('pairs', { schema: event });
  });
  const stage = 'by-event-key-word-key';
  const left = (time: number, value: number) => ({ port: 0, key: 'sk', time, value });
  const word = (time: number, text: string) => ({ port: 1, key: 'sk', time, word: text });

  it('are joined once per pair within the bound, and go with time', () => {
    const { ends, outcome, program, run } = runOf(joined, stage);
    run([left(0, 1), word(10, 'ten'), word(11, 'eleven'), left(12, 2)]);
    expect(outcome.of('pairs')).toEqual(['["ten",0,1]', '["ten",12,2]', '["eleven",12,2]']);
    program.advanceWatermark(23);
    expect(program.nextDueMs).toBe(null);
    run([left(12, 3)]);
    expect(ends.at(-1)).toBe('late');
    expect(outcome.of('pairs')).toHaveLength(3);
  });

  it('of which a pair fails leave nothing: the event is no partner of later ones', () => {
    const { ends, outcome, run } = runOf(joined, stage);
    run([word(0, 'a'), left(1, -1), word(2, 'b'), left(3, 5)]);
    expect(ends).toEqual(['emitted', 'deadLettered', 'emitted', 'emitted']);
    expect(outcome.lines).toEqual([
      'dead STREAM_USER_FUNCTION_THREW map-1 2.0',
      'pairs ["a",3,5]',
      'pairs ["b",3,5]',
    ]);
  });
});
