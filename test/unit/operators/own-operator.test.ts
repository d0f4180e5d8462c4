// Goal: an operator is one file: with state, in the plan by its name, typed on both sides.
import { Type } from 'typebox';
import { plan } from '../../../shared/planner';
import { compileStage } from '../../../shared/execution';
import { KeyedState } from '../../../shared/state/keyed-state';
import { Timestamp, topology, type TypedOperator } from '../../../shared/dataflow';

/** Lets a value through when it differs from the one before it. */
function changes<Value>(select: (value: Value) => string): TypedOperator<Value, Value> {
  return {
    kind: 'changes',
    compile: ({ context, name, next }) => {
      const last = context.state.store<string>(`changes:${name}`);
      return (value, key, eventTimeMs) => {
        context.operator = name;
        const selected = select(value as Value);
        if (last.get('last') === selected) return;
        last.put('last', selected);
        next(value, key, eventTimeMs);
      };
    },
  };
}

const event = Type.Object({ time: Timestamp(), state: Type.String() });

const machines = topology('machines', (t) => {
  const source = t.source('machines', { schema: event, eventTime: (e) => e.time });
  source
    .apply(
      changes((e) => e.state),
      { name: 'changed' },
    )
    .toLake('changes', { schema: event });
  const named = { name: 'other' };
  // prettier-ignore
  // @ts-expect-error -- there is no such field
  void (() => source.apply(changes((e) => e.stat), named));
});

describe('an operator of its own', () => {
  it('runs with state between the built-in ones, and rolls back with its event', () => {
    const rows: unknown[] = [];
    const [stage] = plan([machines]).stages;
    if (stage === undefined) throw new Error('no stage');
    expect(stage.operators).toEqual(['machines', 'changed', 'changes']);
    const state = new KeyedState();
    const program = compileStage(stage, [machines]).bind(state, {
      isFull: false,
      mark: () => undefined,
      rollbackToMark: () => undefined,
      row: (_table, row) => rows.push(row),
      send: () => undefined,
      deadLetter: () => undefined,
    });
    const ends = ['on', 'on', 'off', 'on'].map((name, index) =>
      program.process({
        sequenceNumber: index,
        index: 0,
        enqueuedTimeMs: 10,
        key: null,
        eventTimeMs: null,
        value: { time: index, state: name },
      }),
    );
    expect(ends).toEqual(['emitted', 'filtered', 'emitted', 'emitted']);
    expect(rows).toEqual([
      [0, 'on'],
      [2, 'off'],
      [3, 'on'],
    ]);
  });
});
