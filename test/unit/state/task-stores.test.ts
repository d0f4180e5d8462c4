// Goal: whatever is done to a task's state, undone, committed, replayed or written as a snapshot, it holds what
// plain Maps would hold.
import fc from 'fast-check';
import { TaskStores } from '../../../shared/state/task-stores';
import type { StateSection } from '../../../shared/model/commit';
import { aStep, ModelState, StoresUnderTest, type Step } from './state-model';

type Action =
  | { readonly kind: 'step'; readonly step: Step }
  | { readonly kind: 'mark' | 'rollback' | 'commit' | 'refuse' }
  | { readonly kind: 'snapshot' | 'slice'; readonly partBytes: number };

const anAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('step' as const), step: aStep }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('mark', 'rollback', 'refuse') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('snapshot', 'slice'),
      partBytes: fc.constantFrom(1, 40, 4_000),
    }),
  },
);

const runs = { numRuns: 150 };

describe('a task’s state', () => {
  it('holds what plain Maps hold, whatever is undone, refused, committed, replayed or loaded', () => {
    fc.assert(
      fc.property(fc.array(anAction, { maxLength: 80 }), (actions) => {
        const model = {
          now: new ModelState(),
          settled: new ModelState(),
          marks: [] as ModelMark[],
        };
        const tested = new StoresUnderTest();
        // Declared before anything comes, and after.
        const replicas = [new StoresUnderTest(), { stores: new TaskStores() }];
        let snapshot: ReturnType<TaskStores['beginSnapshot']> | null = null;
        let parts: Uint8Array[] = [];
        let sinceSnapshot: StateSection[][] = [];
        const slice = (steps: number): void => {
          if (snapshot === null) return;
          const part = snapshot.next(() => (steps -= 1) <= 0);
          if (part !== null) parts.push(part);
          if (!snapshot.isDone) return;
          const loaded = new TaskStores();
          for (const bytes of parts) loaded.restore(bytes);
          for (const sections of sinceSnapshot) loaded.apply(sections);
          expect(new StoresUnderTest(loaded).content()).toEqual(model.settled.content());
          snapshot = null;
        };
        const commit = (): void => {
          const sections = tested.stores.changes() ?? [];
          for (const replica of replicas) replica.stores.apply(sections);
          tested.stores.settle();
          sinceSnapshot.push(sections);
          model.settled = model.now.copy();
          model.marks = [];
          expect(tested.stores.changes()).toEqual([]);
        };
        for (const action of actions) {
          switch (action.kind) {
            case 'step':
              expect(tested.run(action.step)).toEqual(model.now.run(action.step));
              break;
            case 'mark':
              model.marks.push({
                mark: tested.stores.mark(),
                state: model.now.copy(),
                nowMs: tested.nowMs,
              });
              break;
            case 'rollback': {
              const last = model.marks.at(-1);
              if (last === undefined) break;
              tested.stores.rollback(last.mark);
              tested.nowMs = last.nowMs;
              model.now = last.state.copy();
              break;
            }
            case 'refuse':
              if (tested.stores.changes() === null) throw new Error('no limit was given');
              tested.stores.rollback(0);
              model.now = model.settled.copy();
              tested.nowMs = model.now.nowMs;
              model.marks = [];
              break;
            case 'commit':
              commit();
              slice(1);
              break;
            case 'snapshot':
              commit();
              snapshot = tested.stores.beginSnapshot(action.partBytes);
              parts = [];
              sinceSnapshot = [];
              break;
            case 'slice':
              commit();
              slice(2);
          }
          expect(tested.content()).toEqual(model.now.content());
        }
        tested.stores.rollback(0);
        while (snapshot !== null) slice(2);
        const [declared, undeclared] = replicas;
        for (const replica of [declared, undeclared && new StoresUnderTest(undeclared.stores)]) {
          expect((replica as StoresUnderTest).content()).toEqual(model.settled.content());
        }
      }),
      runs,
    );
  });
});

describe('a store of a key', () => {
  it('loses appended values with the event that appended them, and keeps those before', () => {
    const { operator, stores } = new StoresUnderTest();
    const list = operator.list<string>('seen');
    list.append('kept');
    stores.changes();
    stores.settle();
    const mark = stores.mark();
    list.append('of an event that threw');
    stores.rollback(mark);
    expect(list.values()).toEqual(['kept']);
    list.append('next');
    stores.changes();
    stores.rollback(0);
    expect(list.values()).toEqual(['kept']);
  });

  it('deletes a range of entries up to its end, not with it, here and in a replay', () => {
    const { operator, stores } = new StoresUnderTest();
    const replica = new StoresUnderTest();
    const commit = (): void => {
      replica.stores.apply(stores.changes() ?? []);
      stores.settle();
    };
    const map = operator.map<number>('open');
    for (const entry of [1, 2, 3, 4, 'text']) map.put(entry, 0);
    commit();
    map.deleteRange(2, 4);
    commit();
    for (const { operator: either } of [{ operator }, replica]) {
      expect(Array.from(either.map('open').entries(), ([name]) => name)).toEqual([1, 4, 'text']);
    }
  });
});

describe('the size of a state', () => {
  const aLastingStep = aStep.filter(
    (step) => !('at' in step && step.at.short) && step.do !== 'time',
  );

  it('counts every byte once, whatever is undone, refused or replayed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.array(aLastingStep), fc.boolean(), fc.nat(4))),
        (batches) => {
          const tested = new StoresUnderTest();
          const replica = new StoresUnderTest();
          for (const [steps, isRefused, undone] of batches) {
            const before = tested.stores.size;
            steps.slice(undone).forEach((step) => tested.run(step));
            const mark = tested.stores.mark();
            steps.slice(0, undone).forEach((step) => tested.run(step));
            tested.stores.changes();
            tested.stores.rollback(mark);
            const sections = tested.stores.changes() ?? [];
            if (isRefused) {
              tested.stores.rollback(0);
              expect(tested.stores.size).toEqual(before);
              continue;
            }
            tested.stores.settle();
            replica.stores.apply(sections);
            expect(replica.stores.size).toEqual(tested.stores.size);
          }
          const loaded = new TaskStores();
          const snapshot = tested.stores.beginSnapshot(100);
          while (!snapshot.isDone) {
            const part = snapshot.next(() => true);
            if (part !== null) loaded.restore(part);
          }
          expect(loaded.size).toEqual(tested.stores.size);
        },
      ),
      runs,
    );
  });

  it('is nothing where all keys were deleted', () => {
    const { operator, stores } = new StoresUnderTest();
    const map = operator.map<number>('open');
    for (const entry of [1, 2, 'x']) map.put(entry, 7);
    operator.list('seen').append('a');
    operator.value('total').put({ a: 1 });
    operator.timers.set(5);
    stores.changes();
    stores.settle();
    // Three entries, a list of one, a value, and a timer of one key each: 4 keys.
    expect(stores.size.keys).toBe(4);
    expect(stores.size.bytes).toBeGreaterThan(0);
    map.deleteRange(-Infinity, Infinity);
    map.delete('x');
    operator.list('seen').clear();
    operator.value('total').delete();
    operator.takeDue(5);
    stores.changes();
    stores.settle();
    expect(stores.size).toEqual({ keys: 0, bytes: 0, memoryBytes: 0 });
  });
});

interface ModelMark {
  readonly mark: number;
  readonly state: ModelState;
  readonly nowMs: number;
}
