// Goal: keys go in ascending order whatever came between, and each as often as it came.
import { SortedRuns } from '../../../shared/state/sorted-runs';

function taken(runs: SortedRuns): string[] {
  const keys: string[] = [];
  for (let key = runs.least(); key !== undefined; key = runs.least()) {
    keys.push(key);
    expect(runs.removeLeast(key)).toBe(true);
  }
  expect(runs.length).toBe(0);
  return keys;
}

function shuffled(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key-${(index * 7_919) % count}`);
}

describe('keys in short runs', () => {
  it.each([0, 1, 2, 2_047, 2_048, 2_049, 20_000])('go in order: %d of them', (count) => {
    const runs = new SortedRuns();
    const keys = shuffled(count);
    for (const key of keys) runs.add(key);
    expect(runs.length).toBe(count);
    expect(taken(runs)).toEqual(keys.sort());
  });

  it('go in order though some come while others go, and some twice', () => {
    const runs = new SortedRuns();
    const keys = shuffled(5_000);
    const there: string[] = [];
    for (const [index, key] of keys.entries()) {
      runs.add(key);
      there.push(key);
      if (index % 5 === 0) {
        runs.add(key);
        there.push(key);
      }
      if (index % 3 !== 0) continue;
      const least = runs.least();
      there.sort();
      expect(least).toBe(there.shift());
      expect(runs.removeLeast(least ?? '')).toBe(true);
    }
    expect(Array.from(runs.keys()).sort()).toEqual(there.sort());
    expect(taken(runs)).toEqual(there);
  });

  it('are taken back where they came last, and only there', () => {
    const runs = new SortedRuns();
    runs.add('b');
    runs.add('a');
    expect(runs.removeLast('b')).toBe(false);
    expect(runs.removeLast('a')).toBe(true);
    expect(runs.removeLeast('a')).toBe(false);
    expect(taken(runs)).toEqual(['b']);
  });
});
