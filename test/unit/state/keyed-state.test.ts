// Goal: whatever is rolled back leaves no trace, and changes replay to the same state.
import fc from 'fast-check';
import { KeyedState } from '../../../shared/state/keyed-state';

type Step = readonly [store: number, key: number, value: number | null];

const aStep: fc.Arbitrary<Step> = fc.tuple(
  fc.nat(2),
  fc.nat(4),
  fc.option(fc.integer({ min: 0, max: 9 }), { nil: null }),
);

function take(state: KeyedState, [store, key, value]: Step): void {
  const target = state.store(`store-${store}`);
  if (value === null) target.delete(`key-${key}`);
  else target.put(`key-${key}`, value);
}

/** The content, whatever the order of insertion. */
function content(state: KeyedState): unknown {
  return state
    .dump()
    .map(({ store, puts }) => ({ store, puts: [...puts].sort() }))
    .filter(({ puts }) => puts.length > 0)
    .sort((left, right) => left.store.localeCompare(right.store));
}

describe('KeyedState', () => {
  it('is as before after a rollback to a mark', () => {
    fc.assert(
      fc.property(fc.array(aStep), fc.array(aStep), (kept, undone) => {
        const state = new KeyedState();
        for (const step of kept) take(state, step);
        const before = content(state);
        const mark = state.mark();
        for (const step of undone) take(state, step);
        state.rollback(mark);
        expect(content(state)).toEqual(before);
      }),
    );
  });

  it('is rebuilt by replaying the changes of its batches', () => {
    fc.assert(
      fc.property(fc.array(fc.array(aStep)), (batches) => {
        const state = new KeyedState();
        const replica = new KeyedState();
        for (const batch of batches) {
          for (const step of batch) take(state, step);
          replica.apply(state.changes());
          state.settle();
        }
        expect(content(replica)).toEqual(content(state));
      }),
    );
  });

  it('writes a key once however often a batch touched it', () => {
    const state = new KeyedState();
    const store = state.store('counts');
    for (let count = 1; count <= 100; count += 1) store.put('a', count);
    expect(state.changes()).toEqual([{ store: 'counts', puts: [['a', 100]], deletes: [] }]);
  });
});
