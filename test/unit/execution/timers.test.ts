// Goal: what time makes due is lost behind no operator and counted as nothing else, and comes in the order in
// which it would have come had time gone up by single milliseconds.
import { Type } from 'typebox';
import { count, sum, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { runOf } from '../../support/program-run';

const event = Type.Object({ key: Type.String(), time: Timestamp(), value: Type.Integer() });
const row = Type.Object({ key: Type.String(), start: Timestamp(), n: Type.Number() });
const isPartitionedBySource = true;

/** Two windows in a chain with an operator that fails between them, and one beside them. */
const chained = (grace = 0) =>
  topology('chained', (t) => {
    const keyed = t
      .source('events', { schema: event, eventTime: (e) => e.time, outOfOrderness: 10 })
      .keyBy((e) => e.key, { name: 'key', isPartitionedBySource });
    keyed
      .window(tumbling(100), { name: 'small', grace })
      .aggregate({ n: count() })
      .map((w) => {
        if (w.key === 'bad') throw new Error('cannot be shaped');
        return w;
      })
      .keyBy(() => 'all', { name: 'all', isPartitionedBySource })
      .window(tumbling(100), { name: 'whole' })
      .aggregate({ n: sum((w) => w.n) })
      .map((w) => ({ key: 'all', start: w.windowStart, n: w.n }))
      .toLake('wholes', { schema: row });
    keyed
      .window(tumbling(70), { name: 'beside' })
      .aggregate({ n: count() })
      .map((w) => ({ key: w.key, start: w.windowStart, n: w.n }))
      .toLake('besides', { schema: row });
  });

const events = Array.from({ length: 40 }, (_, n) => ({
  key: n % 7 === 3 ? 'bad' : `k${n % 3}`,
  time: n * 13,
  value: 1,
}));

describe('results behind operators with timers', () => {
  it('are all there: a window over a window is behind by the time of its input', () => {
    const { outcome, program, run } = runOf(chained());
    run(events);
    program.advanceWatermark(Number.MAX_SAFE_INTEGER);
    const good = events.filter(({ key }) => key !== 'bad');
    const total = outcome
      .of('wholes')
      .reduce((all, line) => all + (JSON.parse(line) as number[])[2]!, 0);
    expect(total).toBe(good.length);
  });

  it('that fail are dead letters of the result, and events stay emitted', () => {
    const { ends, outcome, program, run } = runOf(chained());
    run(events);
    program.advanceWatermark(Number.MAX_SAFE_INTEGER);
    expect(new Set(ends)).toEqual(new Set(['emitted']));
    const windows = new Set(
      events.filter(({ key }) => key === 'bad').map(({ time }) => Math.floor(time / 100)),
    );
    expect(outcome.letters).toHaveLength(windows.size);
    expect(outcome.letters[0]).toMatch(/^dead STREAM_RESULT_FAILED map-1 .*"key":"bad"/);
    expect(program.takeCounters()).toEqual({ deadLetteredResults: windows.size });
  });

  it.each([0, 35, 250])(
    'come in the same order after a jump of time as after its steps (grace %d)',
    (grace) => {
      const jump = runOf(chained(grace));
      const steps = runOf(chained(grace));
      // Windows of one time in several operators: nothing is due yet.
      const some = events.map((one) => ({ ...one, time: 1_000 + (one.time % 9) }));
      for (const { run } of [jump, steps]) {
        run(some.map((one, n) => ({ ...one, time: one.time - (n % 2 === 0 ? 0 : 8) })));
        run([{ key: 'k0', time: 1_005, value: 1 }]);
      }
      jump.program.advanceWatermark(1_700);
      for (let time = 1_000; time <= 1_700; time += 1) steps.program.advanceWatermark(time);
      expect(jump.outcome.lines).toEqual(steps.outcome.lines);
      expect(jump.outcome.of('wholes').length).toBeGreaterThan(0);
    },
  );

  it('come in the same order where a commit takes only some of what is due, also after a restart', () => {
    const whole = runOf(chained(35));
    whole.run(events.slice(0, 6));
    whole.program.advanceWatermark(2_000);
    const parts = runOf(chained(35));
    parts.run(events.slice(0, 6));
    parts.program.beginCommit(0);
    parts.program.advanceWatermark(2_000);
    while (parts.program.isFiringDue) {
      parts.program.beforeCommit();
      parts.state.settle();
      parts.program.afterRollback();
      parts.program.beginCommit(1);
    }
    expect(parts.outcome.lines).toEqual(whole.outcome.lines);
  });

  it('of several operators come by when they became due, then by their times', () => {
    const three = topology('three', (t) => {
      const keyed = t
        .source('events', { schema: event, eventTime: (e) => e.time })
        .keyBy((e) => e.key, { name: 'key', isPartitionedBySource });
      for (const size of [210, 250]) {
        keyed
          .window(tumbling(size), { name: `beside-${size}` })
          .aggregate({ n: count() })
          .map((w) => ({ key: w.key, start: size, n: w.n }))
          .toLake(`besides_${size}`, { schema: row });
      }
      keyed
        .window(tumbling(100), { name: 'small', grace: 50 })
        .aggregate({ n: count() })
        .keyBy(() => 'all', { name: 'all', isPartitionedBySource })
        .window(tumbling(200), { name: 'whole' })
        .aggregate({ n: sum((w) => w.n) })
        .map((w) => ({ key: 'all', start: w.windowEnd, n: w.n }))
        .toLake('wholes', { schema: row });
    });
    const { outcome, program, run } = runOf(three);
    run([{ key: 'a', time: 10, value: 1 }]);
    program.advanceWatermark(160);
    program.advanceWatermark(300);
    // The whole of 200 is due when its input, 50 behind, has reached that: at 250, where it is the older one.
    expect(outcome.lines.map((line) => line.split(' ')[0])).toEqual([
      'besides_210',
      'wholes',
      'besides_250',
    ]);
  });

  it('hold consumers back no longer than they are open', () => {
    const { program, run } = runOf(
      topology('held', (t) => {
        t.source('events', { schema: event, eventTime: (e) => e.time })
          .keyBy((e) => e.key, { name: 'key', isPartitionedBySource })
          .window(tumbling(100), { name: 'small', grace: 50 })
          .aggregate({ n: count() })
          .keyBy(() => 'all', { name: 'all' })
          .window(tumbling(100), { name: 'whole' })
          .aggregate({ n: sum((w) => w.n) })
          .map((w) => ({ key: 'all', start: w.windowStart, n: w.n }))
          .toLake('wholes', { schema: row });
      }),
    );
    run([{ key: 'a', time: 10, value: 1 }]);
    // A window of [0, 100) is open, and gives out an event of 99.
    program.advanceWatermark(149);
    expect(program.exchangeTime(0)).toEqual({ watermarkMs: 99, isAwaited: true });
    program.advanceWatermark(150);
    expect(program.exchangeTime(0)).toEqual({ watermarkMs: 100, isAwaited: false });
    program.advanceWatermark(Number.MAX_SAFE_INTEGER);
    expect(program.exchangeTime(0).watermarkMs).toBe(Number.MAX_SAFE_INTEGER);
  });
});
