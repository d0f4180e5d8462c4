// Goal: a value that a table's file or the log cannot hold is its event's fault, found before the
// commit: found later it would stop the table, or come back as another value.
import { Type } from 'typebox';
import type { DeadLetter } from '../../../shared/model/commit';
import type { ProgramOutputs } from '../../../shared/model/program';
import type { Row } from '../../../shared/model/table';
import { columnCells } from '../../../shared/lake/cells';
import { plan } from '../../../shared/planner';
import { compileStage } from '../../../shared/execution';
import { TaskStores } from '../../../shared/state/task-stores';
import {
  average,
  Day,
  max,
  min,
  sum,
  Timestamp,
  topology,
  tumbling,
  type Topology,
} from '../../../shared/dataflow';

const event = Type.Object({ time: Timestamp(), value: Type.Any() });
const source = { schema: event, eventTime: (e: { time: number }) => e.time };

function run(defined: Topology, value: unknown) {
  const rows: Row[] = [];
  const letters: Omit<DeadLetter, 'attempts' | 'payloadBase64'>[] = [];
  const outputs: ProgramOutputs = {
    isFull: false,
    mark: () => undefined,
    rollbackToMark: () => undefined,
    row: (_table, row) => rows.push(row),
    send: () => undefined,
    deadLetter: (letter) => letters.push(letter),
  };
  const [stage] = plan([defined]).stages;
  if (stage === undefined) throw new Error('no stage');
  const program = compileStage(stage, [defined]).bind(new TaskStores(), outputs);
  const position = { sequenceNumber: 1, index: 0, enqueuedTimeMs: 1_000 };
  const end = program.process({
    ...position,
    key: null,
    eventTimeMs: null,
    value: { time: 1_000, value },
  });
  return { end, letters, rows, stage };
}

describe('values that nothing can hold', () => {
  it.each([
    ['a day that no calendar has', Day(), '2026-02-31'],
    ['an instant after the last one', Timestamp(), 8_640_000_000_000_001],
    ['an infinite number', Type.Number(), Infinity],
  ])('dead-letters %s, which would stop the table at its flush', (_name, type, value) => {
    const defined = topology('rows', (t) => {
      t.source('events', source)
        .map((e) => ({ cell: e.value as never }))
        .toLake('cells', { schema: Type.Object({ cell: type }) });
    });
    const { end, letters, rows, stage } = run(defined, value);
    expect(end).toBe('deadLettered');
    expect(rows).toEqual([]);
    expect(letters).toMatchObject([{ operator: 'cells', code: 'STREAM_USER_FUNCTION_THREW' }]);
    const [column] = stage.tables[0]?.columns ?? [];
    if (column === undefined) throw new Error('no column');
    expect(() => columnCells({ column, place: 0 }, [[value as number]])).toThrow(
      /STREAM_TABLE_INCOMPATIBLE/,
    );
  });

  it.each([
    ['sum', sum],
    ['min', min],
    ['max', max],
    ['average', average],
  ])(
    'dead-letters what is no number for %s, which the log would give back as null',
    (name, fold) => {
      const defined = topology('folds', (t) => {
        t.source('events', source)
          .keyBy(() => 'all', { name: 'key', isPartitionedBySource: true })
          .window(tumbling(1_000), { name: 'windows' })
          .aggregate({ folded: fold((e: { value: unknown }) => e.value as number) })
          .map(() => ({ id: 1 }))
          .toLake('folded', { schema: Type.Object({ id: Type.Integer() }) });
      });
      const { end, letters } = run(defined, Number.NaN);
      expect(end).toBe('deadLettered');
      expect(letters[0]?.message).toMatch(new RegExp(`${name} needs finite numbers|value is NaN`));
      expect(run(defined, 2).end).toBe('emitted');
    },
  );
});
