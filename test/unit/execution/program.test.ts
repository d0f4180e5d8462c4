// Goal: each event has one end, a throw leaves no trace, windows are those of a naive fold.
import fc from 'fast-check';
import { Type } from 'typebox';
import type { DeadLetter } from '../../../shared/model/commit';
import type { EventEnd, Program, ProgramOutputs } from '../../../shared/model/program';
import type { Row } from '../../../shared/model/table';
import { plan } from '../../../shared/planner';
import { compileStage } from '../../../shared/execution';
import { TaskStores } from '../../../shared/state/task-stores';
import {
  count,
  sum,
  Timestamp,
  topology,
  tumbling,
  type LatePolicy,
} from '../../../shared/dataflow';
import { copyState } from '../../support/state-copy';

const event = Type.Object({ key: Type.String(), time: Timestamp(), value: Type.Integer() });
const sizeMs = 100;
const outOfOrderness = 50;
const grace = 30;

const folding = (late: LatePolicy) =>
  topology('folding', (t) => {
    const source = t.source('events', {
      schema: event,
      eventTime: (e) => e.time,
      outOfOrderness,
    });
    source
      .filter((e) => e.value !== 0)
      .map((e) => {
        if (e.value < 0) throw new Error('negative');
        return e;
      })
      .toLake('events_seen', { schema: event });
    const windows = source
      .keyBy((e) => e.key, { name: 'key', isPartitionedBySource: true })
      .window(tumbling(sizeMs), { name: 'windows', grace, late })
      .aggregate({ events: count(), total: sum((e) => e.value) });
    windows
      .map(({ events, key, total, windowStart }) => ({ key, start: windowStart, events, total }))
      .toLake('totals', {
        schema: Type.Object({
          key: Type.String(),
          start: Timestamp(),
          events: Type.Integer(),
          total: Type.Number(),
        }),
      });
    if (late === 'sideOutput') windows.late.toLake('late_events', { schema: event });
  });

class Gathered implements ProgramOutputs {
  readonly isFull = false;
  readonly rows: { table: number; row: Row }[] = [];
  readonly letters: Omit<DeadLetter, 'attempts' | 'payloadBase64'>[] = [];
  #mark = 0;
  mark(): void {
    this.#mark = this.rows.length;
  }
  rollbackToMark(): void {
    this.rows.length = this.#mark;
  }
  row(table: number, row: Row): void {
    this.rows.push({ table, row });
  }
  send(): void {
    throw new Error('no exchange here');
  }
  deadLetter(letter: Omit<DeadLetter, 'attempts' | 'payloadBase64'>): void {
    this.letters.push(letter);
  }
  of(table: number): string[] {
    return this.rows.filter((one) => one.table === table).map(({ row }) => JSON.stringify(row));
  }
}

function aProgram(late: LatePolicy, state = new TaskStores(), outputs = new Gathered()) {
  const defined = folding(late);
  const [stage] = plan([defined]).stages;
  if (stage === undefined) throw new Error('no stage');
  const program: Program = compileStage(stage, [defined]).bind(state, outputs);
  let sequenceNumber = 0;
  const process = (value: unknown): EventEnd => {
    sequenceNumber += 1;
    return program.process({
      sequenceNumber,
      index: 0,
      enqueuedTimeMs: 10 ** 9,
      key: null,
      eventTimeMs: null,
      value,
    });
  };
  return { program, process, state, outputs };
}

const anEvent = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  time: fc.nat(2_000),
  value: fc.integer({ min: 1, max: 9 }),
});

/** Watermark before each event decides; then a plain fold. */
function expectedTotals(events: readonly { key: string; time: number; value: number }[]): string[] {
  const windows = new Map<string, [string, number, number, number]>();
  let latest = -Infinity;
  for (const { key, time, value } of events) {
    const start = Math.floor(time / sizeMs) * sizeMs;
    if (start + sizeMs + grace > latest - outOfOrderness) {
      const window = windows.get(`${start} ${key}`) ?? [key, start, 0, 0];
      windows.set(`${start} ${key}`, [key, start, window[2] + 1, window[3] + value]);
    }
    latest = Math.max(latest, time);
  }
  return Array.from(windows.values(), (window) => JSON.stringify(window)).sort();
}

describe('a program', () => {
  it('folds windows as a naive fold does, whatever the order of events', () => {
    fc.assert(
      fc.property(fc.array(anEvent, { maxLength: 80 }), (events) => {
        const { outputs, process, program } = aProgram('drop');
        for (const one of events) process(one);
        program.advanceWatermark(Number.MAX_SAFE_INTEGER);
        expect(outputs.of(1).sort()).toEqual(expectedTotals(events));
      }),
    );
  });

  it('gives the same when its state is dumped and loaded between any two events', () => {
    fc.assert(
      fc.property(fc.array(anEvent, { maxLength: 40 }), fc.nat(40), (events, cut) => {
        const first = aProgram('drop');
        for (const one of events.slice(0, cut)) first.process(one);
        first.program.beforeCommit();
        const state = new TaskStores();
        copyState(first.state, state);
        const second = aProgram('drop', state, first.outputs);
        for (const one of events.slice(cut)) second.process(one);
        second.program.advanceWatermark(Number.MAX_SAFE_INTEGER);
        expect(first.outputs.of(1).sort()).toEqual(expectedTotals(events));
      }),
    );
  });

  it('fires no more than the budget and the rest with the next commits', () => {
    const { outputs, process, program } = aProgram('drop');
    for (const key of ['a', 'b', 'c', 'd', 'e']) process({ key, time: 10, value: 1 });
    program.beginCommit(2);
    program.advanceWatermark(Number.MAX_SAFE_INTEGER);
    expect([outputs.of(1).length, program.isFiringDue]).toEqual([2, true]);
    program.beginCommit(2);
    program.beginCommit(2);
    expect([outputs.of(1).length, program.isFiringDue]).toEqual([5, false]);
    expect(outputs.of(1).map((text) => (JSON.parse(text) as string[])[0])).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
    ]);
  });

  it('undoes every branch of an event that throws in one of them', () => {
    const { outputs, process, program } = aProgram('drop');
    expect(process({ key: 'a', time: 10, value: 5 })).toBe('emitted');
    expect(process({ key: 'a', time: 20, value: -1 })).toBe('deadLettered');
    expect(outputs.letters).toMatchObject([
      { code: 'STREAM_USER_FUNCTION_THREW', operator: 'map-1', sequenceNumber: 2 },
    ]);
    program.advanceWatermark(Number.MAX_SAFE_INTEGER);
    expect(outputs.of(1)).toEqual([JSON.stringify(['a', 0, 1, 5])]);
  });

  it.each([
    ['no object', 3],
    ['a missing field', { key: 'a', time: 1 }],
    ['a wrong type', { key: 'a', time: 'noon', value: 1 }],
  ])('dead-letters %s and says where', (_name, value) => {
    const { outputs, process } = aProgram('drop');
    expect(process(value)).toBe('deadLettered');
    expect(outputs.letters).toMatchObject([{ code: 'STREAM_EVENT_INVALID', operator: 'events' }]);
  });

  it.each([
    ['drop', 1, 0],
    ['clamp', 2, 0],
    ['sideOutput', 1, 1],
  ] as const)('treats late events by the policy %s', (policy, eventsInWindows, sideRows) => {
    const { outputs, process, program } = aProgram(policy);
    process({ key: 'a', time: 1_000, value: 1 });
    process({ key: 'a', time: 5, value: 1 });
    program.advanceWatermark(Number.MAX_SAFE_INTEGER);
    const events = outputs.of(1).map((text) => (JSON.parse(text) as number[])[2] ?? 0);
    expect(events.reduce((total, one) => total + one, 0)).toBe(eventsInWindows);
    expect(outputs.of(2)).toHaveLength(sideRows);
    expect(program.takeCounters()).toEqual({ 'late:windows': 1 });
  });

  it('halts on open windows that were made with other aggregates, whose figures would be wrong', () => {
    const before = aProgram('drop');
    before.process({ key: 'a', time: 10, value: 1 });
    before.program.beforeCommit();
    const wider = topology('folding', (t) => {
      t.source('events', { schema: event, eventTime: (e) => e.time })
        .keyBy((e) => e.key, { name: 'key', isPartitionedBySource: true })
        .window(tumbling(2 * sizeMs), { name: 'windows' })
        .aggregate({ events: count() })
        .map(({ key, windowStart }) => ({ key, start: windowStart }))
        .toLake('totals', { schema: Type.Object({ key: Type.String(), start: Timestamp() }) });
    });
    const [stage] = plan([wider]).stages;
    if (stage === undefined) throw new Error('no stage');
    const bind = (state: TaskStores) => compileStage(stage, [wider]).bind(state, new Gathered());
    expect(() => bind(before.state)).toThrow(
      /STREAM_STATE_MISMATCH: operator windows holds state that was made as .*"sizeMs":100,.*\["count events","sum total"\]/,
    );
    before.program.advanceWatermark(Number.MAX_SAFE_INTEGER);
    expect(() => bind(before.state)).not.toThrow();
  });

  it('halts on open windows of another version, for the functions mean something else', () => {
    const event = Type.Object({ key: Type.String(), time: Timestamp() });
    const versioned = (version: number) => {
      const subject = topology('versioned', (t) => {
        t.source('events', { schema: event, eventTime: (e) => e.time })
          .keyBy((e) => e.key, { name: 'key', isPartitionedBySource: true })
          .window(tumbling(sizeMs), { name: 'windows', version })
          .aggregate({ events: count() })
          .map(({ events }) => ({ events }))
          .toLake('totals', { schema: Type.Object({ events: Type.Integer() }) });
      });
      const [stage] = plan([subject]).stages;
      if (stage === undefined) throw new Error('no stage');
      return (state: TaskStores) => compileStage(stage, [subject]).bind(state, new Gathered());
    };
    const state = new TaskStores();
    const program = versioned(1)(state);
    program.process({
      ...{ sequenceNumber: 0, index: 0, enqueuedTimeMs: 10, key: null, eventTimeMs: null },
      value: { key: 'a', time: 10 },
    });
    program.beforeCommit();
    expect(() => versioned(1)(state)).not.toThrow();
    expect(() => versioned(2)(state)).toThrow(/STREAM_STATE_MISMATCH.*"version":1.*"version":2/);
  });

  it('does not let an event from the far future move the watermark', () => {
    const { process, program } = aProgram('drop');
    process({ key: 'a', time: 1_000, value: 1 });
    expect(process({ key: 'a', time: 10 ** 12, value: 1 })).toBe('deadLettered');
    expect(program.watermarkMs).toBe(950);
  });
});
