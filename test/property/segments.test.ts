// Goal: what a stage gives out, in which order, and how each event ends, does not depend on how its events are
// cut into segments and commits, on what is refused and run again, or on restarts in between.
// Method: metamorphic: small random topologies of every operator, against the same events one by one.
import fc from 'fast-check';
import { Type } from 'typebox';
import { count, sum, Timestamp, topology, tumbling, type Topology } from '../../shared/dataflow';
import { runOf, type StageRun } from '../support/program-run';

const event = Type.Object({ key: Type.String(), time: Timestamp(), value: Type.Integer() });
type Event = { readonly key: string; readonly time: number; readonly value: number };
const isPartitionedBySource = true;

interface Shape {
  readonly outOfOrderness: number;
  readonly grace: number;
  readonly sizeMs: number;
  readonly throwsOn: number;
  readonly isDeduped: boolean;
  readonly isFlat: boolean;
  readonly branches: readonly ('windows' | 'chain' | 'join' | 'rows')[];
  readonly late: 'drop' | 'clamp' | 'sideOutput';
}

function topologyOf(shape: Shape): Topology {
  const { grace, late, outOfOrderness, sizeMs, throwsOn } = shape;
  const fail = (value: number): void => {
    if (value === throwsOn) throw new Error('this one');
  };
  return topology('random', (t) => {
    const read = t
      .source('events', { schema: event, eventTime: (e) => e.time, outOfOrderness })
      .filter((e) => e.value !== 0);
    const flat = shape.isFlat
      ? read.flatMap((e) =>
          Array.from({ length: e.value % 3 }, (_, n) => ({ ...e, time: e.time + n })),
        )
      : read;
    const base = shape.isDeduped
      ? flat
          .keyBy((e) => e.key, { name: 'key', isPartitionedBySource })
          .dedupe({ name: 'once', within: 25, by: (e) => e.value })
      : flat;
    for (const [n, branch] of shape.branches.entries()) {
      const to = (stream: typeof base) =>
        stream
          .map((e) => {
            fail(e.value);
            return { key: e.key, time: e.time, value: e.value };
          })
          .toLake(`table_${n}`, { schema: event });
      if (branch === 'rows') {
        to(base);
        continue;
      }
      const again = base.keyBy((e) => e.key, { name: `again-${n}`, isPartitionedBySource });
      if (branch === 'join') {
        const other = flat
          .filter((e) => e.value % 2 === 0)
          .keyBy((e) => e.key, { name: `other-${n}`, isPartitionedBySource });
        to(
          again.join(other, { name: `pairs-${n}`, within: 20, grace }, (l, r) => ({
            key: l.key,
            time: r.time,
            value: l.value + r.value,
          })),
        );
      }
      if (branch === 'windows' || branch === 'chain') {
        const windows = again
          .window(tumbling(sizeMs), { name: `windows-${n}`, grace, late })
          .aggregate({ n: count(), total: sum((e) => e.value) });
        if (late === 'sideOutput') to(windows.late);
        const results = windows.map((w) => {
          fail(w.total);
          return { key: w.key, time: w.windowStart, value: w.total };
        });
        if (branch === 'windows') {
          results.toLake(`results_${n}`, { schema: event });
        } else {
          results
            .keyBy(() => 'all', { name: `all-${n}`, isPartitionedBySource })
            .window(tumbling(2 * sizeMs), { name: `wholes-${n}` })
            .aggregate({ n: count(), total: sum((e) => e.value) })
            .map((w) => ({ key: 'all', time: w.windowStart, value: w.total }))
            .toLake(`results_${n}`, { schema: event });
        }
      }
    }
  });
}

const aShape: fc.Arbitrary<Shape> = fc.record({
  outOfOrderness: fc.constantFrom(0, 15, 60),
  grace: fc.constantFrom(0, 10, 45),
  sizeMs: fc.constantFrom(7, 20, 50),
  throwsOn: fc.integer({ min: 1, max: 12 }),
  isDeduped: fc.boolean(),
  isFlat: fc.boolean(),
  branches: fc.array(fc.constantFrom('windows', 'chain', 'join', 'rows'), {
    minLength: 1,
    maxLength: 3,
  }),
  late: fc.constantFrom('drop', 'clamp', 'sideOutput'),
});

const someEvents: fc.Arbitrary<readonly Event[]> = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b'),
    time: fc.integer({ min: 0, max: 200 }),
    value: fc.integer({ min: 0, max: 9 }),
  }),
  { maxLength: 50 },
);

const someCuts = fc.array(
  fc.record({
    size: fc.integer({ min: 1, max: 40 }),
    ending: fc.constantFrom('commit', 'refused', 'restart'),
  }),
  { maxLength: 8 },
);

function finish(run: StageRun): void {
  run.program.advanceWatermark(Number.MAX_SAFE_INTEGER);
}

it('gives what events one by one give, however they are cut', () => {
  fc.assert(
    fc.property(aShape, someEvents, someCuts, (shape, events, cuts) => {
      const defined = topologyOf(shape);
      const each = runOf(defined);
      each.runEach(events);
      finish(each);
      const cut = runOf(defined);
      let from = 0;
      for (const { ending, size } of [...cuts, { ending: 'commit', size: Infinity }]) {
        const some = events.slice(from, from + size);
        from += some.length;
        cut.program.beginCommit(Infinity);
        const lines = cut.outcome.lines.length;
        const ends = cut.ends.length;
        cut.run(some);
        cut.program.beforeCommit();
        if (ending === 'refused') {
          cut.state.rollback(0);
          cut.program.afterRollback();
          cut.outcome.lines.length = lines;
          cut.ends.length = ends;
          cut.rewind(some.length);
          cut.run(some);
          cut.program.beforeCommit();
        }
        cut.state.settle();
        if (ending === 'restart') cut.program.afterRollback();
      }
      finish(cut);
      expect(cut.ends).toEqual(each.ends);
      expect(cut.outcome.streams).toEqual(each.outcome.streams);
    }),
    { numRuns: 150 },
  );
});
