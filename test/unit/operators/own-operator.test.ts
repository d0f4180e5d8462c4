// Goal: an operator of one's own is one file: with state and timers, typed on both sides, in the plan by its
// kind. It keeps no books: what its events end as is known to the engine.
import { Type, type Static } from 'typebox';
import {
  Timestamp,
  topology,
  type OperatorSpec,
  type TypedOperator,
} from '../../../shared/dataflow';
import { compileStage } from '../../../shared/execution';
import type { Row } from '../../../shared/model/table';
import { plan } from '../../../shared/planner';
import { TaskStores } from '../../../shared/state/task-stores';
import { testTopology } from '../../../shared/testing';
import { runOf } from '../../support/program-run';

interface SilenceConfig {
  readonly afterMs: number;
}

/** Gives out the last value of a key that has been silent for long enough in event time. */
const silenceSpec: OperatorSpec<SilenceConfig> = {
  kind: 'silence',
  stateVersion: 1,
  shape: () => ({
    inputs: [{ name: 'in', isKeyed: true }],
    outputs: [{ name: 'out' }],
    stores: [{ name: 'last', kind: 'value' }],
    timers: 'event',
  }),
  describe: ({ afterMs }) => ({ afterMs }),
  open: ({ afterMs }, context) => {
    const last = context.value<{ readonly value: unknown; readonly timeMs: number }>('last');
    return {
      process: (_port, rows) => {
        for (let index = 0; index < rows.length; index += 1) {
          context.begin(rows, index);
          const timeMs = rows.times[index] ?? 0;
          const before = last.get();
          if (before !== undefined && before.timeMs >= timeMs) continue;
          if (before !== undefined) context.deleteTimer(before.timeMs + afterMs);
          last.put({ value: rows.values[index], timeMs });
          context.setTimer(timeMs + afterMs);
        }
      },
      onTimer: () => {
        const found = last.get();
        last.delete();
        context.count('silences');
        if (found !== undefined) context.emit(0, found.value);
      },
    };
  },
};

function silence<Value>(afterMs: number): TypedOperator<Value, Value> {
  return { spec: silenceSpec, config: { afterMs } };
}

const event = Type.Object({ time: Timestamp(), machine: Type.String(), state: Type.String() });

const machines = topology('machines', (t) => {
  const source = t.source('machines', { schema: event, eventTime: (e) => e.time });
  source
    .keyBy((e) => e.machine, { name: 'machine', isPartitionedBySource: true })
    .apply(silence<Static<typeof event>>(10), { name: 'silent' })
    .map((e) => {
      if (e.state === 'broken') throw new Error('cannot be shaped');
      return e;
    })
    .toLake('silences', { schema: event });
  // @ts-expect-error -- there is no such field
  void (() => source.apply(silence<{ stat: string }>(10), { name: 'x' }).map((e) => e.state));
});

function bound(state = new TaskStores()) {
  const rows: Row[] = [];
  const letters: unknown[] = [];
  const [stage] = plan([machines]).stages;
  if (stage === undefined) throw new Error('no stage');
  const program = compileStage(stage, [machines]).bind(state, {
    isFull: false,
    mark: () => undefined,
    rollbackToMark: () => undefined,
    row: (_table, row) => rows.push(row),
    send: () => undefined,
    deadLetter: ({ code, operator }) => letters.push([code, operator]),
  });
  let sequenceNumber = 0;
  const process = (time: number, machine: string, name: string) =>
    program.process({
      ...{ sequenceNumber: (sequenceNumber += 1), index: 0, enqueuedTimeMs: 10 },
      ...{ key: null, eventTimeMs: null, value: { time, machine, state: name } },
    });
  return { letters, process, program, rows, stage, state };
}

describe('an operator of its own', () => {
  it('stands in the plan under its name', () => {
    expect(bound().stage.operators).toEqual(['machines', 'machine', 'silent', 'map-1', 'silences']);
  });

  it('takes rows into its state and gives them out with its timers, in the order of time', () => {
    const { letters, process, program, rows } = bound();
    expect(process(0, 'b', 'on')).toBe('emitted');
    expect(process(1, 'a', 'on')).toBe('emitted');
    expect(process(1, 'a', 'same time')).toBe('filtered');
    expect(process(5, 'b', 'off')).toBe('emitted');
    expect(process(40, 'c', 'broken')).toBe('emitted');
    program.advanceWatermark(100);
    expect(rows).toEqual([
      [1, 'a', 'on'],
      [5, 'b', 'off'],
    ]);
    expect(letters).toEqual([['STREAM_RESULT_FAILED', 'map-1']]);
    expect(program.takeCounters()).toEqual({ 'silences:silent': 3, deadLetteredResults: 1 });
  });

  it('has its timers fired between events of one segment, where they are reached', () => {
    const { outcome, run } = runOf(machines);
    const value = (time: number, machine: string) => ({ time, machine, state: 'on' });
    run([value(0, 'a'), value(40, 'b'), value(41, 'a'), value(42, 'a')]);
    expect(outcome.lines).toEqual(['silences [0,"a","on"]']);
  });

  it('gives the same rows in the whole engine, with workers that die and stores that do not answer', async () => {
    const at = (time: number, machine: string, state = 'on') => ({ time, machine, state });
    const sent = [at(0, 'b'), at(1, 'a'), at(1, 'a', 'same time'), at(5, 'b', 'off'), at(40, 'c')];
    for (let seed = 1; seed <= 3; seed += 1) {
      const test = testTopology(machines).interleave(seed).withFaults(seed).send('machines', sent);
      expect(await test.advanceTo(30).table('silences', event)).toEqual([
        at(1, 'a'),
        at(5, 'b', 'off'),
      ]);
      expect(await test.end().table('silences')).toContainEqual(at(40, 'c'));
      expect((await test.ledger())['machines']).toMatchObject({ read: 5, emitted: 4, filtered: 1 });
    }
  });

  it('goes on from what the log says of it', () => {
    const first = bound();
    first.process(0, 'a', 'on');
    first.program.beforeCommit();
    const state = new TaskStores();
    state.apply(first.state.changes() ?? []);
    const second = bound(state);
    second.program.advanceWatermark(10);
    expect(second.rows).toEqual([[0, 'a', 'on']]);
  });
});
