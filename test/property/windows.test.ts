// Goal: tumbling windows are those of a plain fold over the input in the order in which it came,
// for any size, lateness and late policy, and whatever is cut, refused or restarted in between.
import fc from 'fast-check';
import { Type } from 'typebox';
import type { Program, ProgramOutputs } from '../../shared/model/program';
import type { Row } from '../../shared/model/table';
import { plan } from '../../shared/planner';
import { compileStage, type CompiledProgram } from '../../shared/execution';
import { TaskStores } from '../../shared/state/task-stores';
import { count, sum, Timestamp, topology, tumbling, type LatePolicy } from '../../shared/dataflow';
import { copyState } from '../support/state-copy';

interface Event {
  readonly key: string;
  readonly time: number;
  readonly value: number;
}

interface Shape {
  readonly sizeMs: number;
  readonly grace: number;
  readonly outOfOrderness: number;
  readonly late: LatePolicy;
}

const schema = Type.Object({ key: Type.String(), time: Timestamp(), value: Type.Integer() });

function compile({ grace, late, outOfOrderness, sizeMs }: Shape): CompiledProgram {
  const defined = topology('windows', (t) => {
    const windows = t
      .source('events', { schema, eventTime: (event) => event.time, outOfOrderness })
      .keyBy((event) => event.key, { name: 'key', isPartitionedBySource: true })
      .window(tumbling(sizeMs), { name: 'windows', grace, late })
      .aggregate({ events: count(), total: sum((event) => event.value) });
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
    if (late === 'sideOutput') windows.late.toLake('late_events', { schema });
  });
  const [stage] = plan([defined]).stages;
  if (stage === undefined) throw new Error('the topology has a stage');
  return compileStage(stage, [defined]);
}

/** The fold: what comes out, in order, with nothing of the engine in it. */
function expected(events: readonly Event[], shape: Shape): { totals: string[]; late: string[] } {
  const { grace, outOfOrderness, sizeMs } = shape;
  const open = new Map<number, Map<string, [number, number]>>();
  const totals: string[] = [];
  const late: string[] = [];
  let watermark = -Infinity;
  const close = (): void => {
    const due = Array.from(open.keys()).filter((start) => isFinal(start));
    for (const start of due.sort((left, right) => left - right)) {
      for (const [key, [number, total]] of Array.from(open.get(start) ?? []).sort()) {
        totals.push(JSON.stringify([key, start, number, total]));
      }
      open.delete(start);
    }
  };
  const isFinal = (start: number): boolean => start + sizeMs + grace <= watermark;
  let latest = -Infinity;
  for (const { key, time, value } of events) {
    let start = Math.floor(time / sizeMs) * sizeMs;
    const isLate = isFinal(start);
    if (isLate) late.push(JSON.stringify([key, time, value]));
    while (isFinal(start)) start += sizeMs;
    if (!isLate || shape.late === 'clamp') {
      const keys = open.get(start) ?? new Map<string, [number, number]>();
      open.set(start, keys);
      const [number, total] = keys.get(key) ?? [0, 0];
      keys.set(key, [number + 1, total + value]);
    }
    latest = Math.max(latest, time);
    watermark = latest - outOfOrderness;
    close();
  }
  watermark = Infinity;
  close();
  return { totals, late };
}

class Gathered implements ProgramOutputs {
  readonly isFull = false;
  readonly tables: string[][] = [[], []];
  mark(): void {
    // Nothing fails here.
  }
  rollbackToMark(): void {
    throw new Error('nothing fails here');
  }
  row(table: number, row: Row): void {
    this.tables[table]?.push(JSON.stringify(row));
  }
  send(): void {
    throw new Error('no exchange here');
  }
  deadLetter(): void {
    throw new Error('nothing fails here');
  }
}

type Ending = 'commit' | 'refused' | 'restart';

/** Runs the events in batches of which each is committed, refused and repeated, or followed by a restart. */
function run(
  events: readonly Event[],
  compiled: CompiledProgram,
  batches: readonly { readonly size: number; readonly ending: Ending }[],
): string[][] {
  const gathered = new Gathered();
  let state = new TaskStores();
  let program: Program = compiled.bind(state, gathered);
  const take = (from: number, to: number): void => {
    program.beginCommit(Infinity);
    events.slice(from, to).forEach((value, index) => {
      const position = { sequenceNumber: from + index, index: 0, enqueuedTimeMs: 10 ** 12 };
      program.process({ ...position, key: null, eventTimeMs: null, value });
    });
    program.beforeCommit();
  };
  let from = 0;
  for (const { ending, size } of [...batches, { size: events.length, ending: 'commit' as const }]) {
    const to = Math.min(events.length, from + size);
    const lengths = gathered.tables.map((rows) => rows.length);
    take(from, to);
    if (ending === 'refused') {
      state.rollback(0);
      gathered.tables.forEach((rows, table) => (rows.length = lengths[table] ?? 0));
      program.afterRollback();
      take(from, to);
    }
    state.settle();
    if (ending === 'restart') {
      const restored = new TaskStores();
      copyState(state, restored);
      state = restored;
      program = compiled.bind(state, gathered);
    }
    from = to;
  }
  program.advanceWatermark(Number.MAX_SAFE_INTEGER);
  const names = compiled.plan.tables.map(({ name }) => name);
  return ['totals', 'late_events'].map((name) => gathered.tables[names.indexOf(name)] ?? []);
}

const anEvent: fc.Arbitrary<Event> = fc.record({
  key: fc.constantFrom('', 'a', 'b', 'a|b', 'é'),
  // Before 1970 too, and often on the bounds of windows.
  time: fc.oneof(
    fc.integer({ min: -2_000, max: 2_000 }),
    fc.integer({ min: -20, max: 20 }).map((n) => n * 100),
  ),
  value: fc.integer({ min: -5, max: 5 }),
});

const aShape: fc.Arbitrary<Shape> = fc.record({
  sizeMs: fc.constantFrom(1, 7, 100, 300),
  grace: fc.constantFrom(0, 1, 100, 250),
  outOfOrderness: fc.constantFrom(0, 50, 100, 1_000),
  late: fc.constantFrom<LatePolicy>('drop', 'clamp', 'sideOutput'),
});

const someBatches = fc.array(
  fc.record({
    size: fc.integer({ min: 1, max: 12 }),
    ending: fc.constantFrom<Ending>('commit', 'refused', 'restart'),
  }),
  { maxLength: 12 },
);

it('gives the windows of a plain fold for input in any order', () => {
  fc.assert(
    fc.property(
      aShape,
      fc.array(anEvent, { maxLength: 60 }),
      someBatches,
      (shape, events, cuts) => {
        const { late, totals } = expected(events, shape);
        const [foundTotals, foundLate] = run(events, compile(shape), cuts);
        expect(foundTotals).toEqual(totals);
        expect(foundLate).toEqual(shape.late === 'sideOutput' ? late : []);
      },
    ),
    { numRuns: 300 },
  );
});

it('gives the same windows for any order of input within the out-of-orderness', () => {
  const shape = { sizeMs: 100, grace: 0, outOfOrderness: 4_000, late: 'drop' as const };
  const compiled = compile(shape);
  fc.assert(
    fc.property(
      fc
        .array(anEvent, { maxLength: 40 })
        .chain((events) =>
          fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length })),
        ),
      ([events, shuffled]) => {
        const [totals] = run(events, compiled, []);
        expect(run(shuffled, compiled, [])[0]).toEqual(totals);
        expect(totals).toEqual(expected(events, shape).totals);
      },
    ),
    { numRuns: 200 },
  );
});
