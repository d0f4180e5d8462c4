// Goal: whatever is rolled back leaves no trace, and changes replay to the same state.
import fc from 'fast-check';
import type { StateSection } from '../../../shared/model/commit';
import { KeyedState } from '../../../shared/state/keyed-state';
import { copyState } from '../../support/state-copy';

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
  return Array.from(state.stores())
    .map((store) => ({ store: store.name, entries: [...store.entries()].sort() }))
    .filter(({ entries }) => entries.length > 0)
    .sort((left, right) => left.store.localeCompare(right.store));
}

function changesOf(state: KeyedState): readonly StateSection[] {
  const changes = state.changes();
  if (changes === null) throw new Error('they have no limit');
  return changes;
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
          replica.apply(changesOf(state));
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
    const [section, ...others] = changesOf(state);
    expect(others).toEqual([]);
    expect(Buffer.from(section?.bytes ?? []).toString()).toBe('{"puts":[["a",100]],"deletes":[]}');
  });

  it('is whole again from the parts of its snapshot, or as much of it as is wanted', () => {
    fc.assert(
      fc.property(fc.array(aStep), (steps) => {
        const state = new KeyedState();
        for (const step of steps) take(state, step);
        state.settle();
        const copy = new KeyedState();
        copyState(state, copy);
        expect(content(copy)).toEqual(content(state));
      }),
    );
  });

  it.each(['no JSON', 'null', '{"puts":[[1,2]],"deletes":[]}', '{"puts":[],"deletes":[1]}', '{}'])(
    'refuses changes that it would not have written: %s',
    (text) => {
      const state = new KeyedState();
      const section = { store: 'counts', bytes: Buffer.from(text) };
      expect(() => state.apply([section])).toThrow(/STREAM_LOG_CORRUPT.*counts/);
    },
  );

  it('gives up changes beyond a limit before all of them are encoded', () => {
    const state = new KeyedState();
    let encoded = 0;
    const value = { toJSON: () => (encoded += 1) && 'x'.repeat(1000) };
    for (let key = 0; key < 10_000; key += 1) state.store('s').put(`k${key}`, value);
    expect(state.changes(10_000)).toBeNull();
    expect(encoded).toBeLessThan(100);
    expect(changesOf(state)[0]?.bytes.byteLength).toBeGreaterThan(10_000_000);
  });
});
