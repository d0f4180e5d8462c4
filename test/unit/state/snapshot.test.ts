// Goal: a snapshot is written in slices, in order, and a part that this build cannot read is refused.
import { StreamError } from '../../../shared/model/errors';
import { ByteWriter } from '../../../shared/state/bytes';
import { decodePart } from '../../../shared/state/snapshot';
import { TaskStores } from '../../../shared/state/task-stores';

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'none';
  } catch (error) {
    if (error instanceof StreamError) return error.code;
    throw error;
  }
}

const shape = {
  stores: [
    { name: 'open', kind: 'map' },
    { name: 'seen', kind: 'list' },
  ],
  timers: 'event',
} as const;

function filled(keys: number): TaskStores {
  const stores = new TaskStores();
  const operator = stores.open('bars', shape);
  for (let index = 0; index < keys; index += 1) {
    operator.setKey(`skey-${index}`);
    operator.map('open').put(60_000, [index]);
    operator.list('seen').append(index);
    operator.timers.set(60_000);
  }
  stores.changes();
  stores.settle();
  return stores;
}

function partsOf(stores: TaskStores, partBytes: number): Uint8Array[] {
  const snapshot = stores.beginSnapshot(partBytes);
  const parts: Uint8Array[] = [];
  while (!snapshot.isDone) {
    const part = snapshot.next(() => false);
    if (part !== null) parts.push(part);
  }
  return parts;
}

describe('a snapshot', () => {
  it('comes in parts of about the size asked for', () => {
    const sizes = partsOf(filled(2_000), 10_000).map((part) => part.byteLength);
    expect(sizes.length).toBeGreaterThan(5);
    for (const size of sizes.slice(0, -1)) {
      expect(size).toBeGreaterThanOrEqual(10_000);
      expect(size).toBeLessThan(12_000);
    }
  });

  it('is the same, store by store and key group by key group, whatever the order of writing was', () => {
    const forward = filled(500);
    const backward = new TaskStores();
    const operator = backward.open('bars', shape);
    for (let index = 499; index >= 0; index -= 1) {
      operator.setKey(`skey-${index}`);
      operator.timers.set(60_000);
      operator.list('seen').append(index);
      operator.map('open').put(60_000, [index]);
    }
    backward.changes();
    backward.settle();
    expect(partsOf(backward, 5_000)).toEqual(partsOf(forward, 5_000));
    const stores = partsOf(forward, 1e9).flatMap((part) =>
      decodePart(part).map(({ store }) => store),
    );
    expect(stores).toEqual(['bars/$timers', 'bars/open', 'bars/seen']);
  });

  it('asks whether its slice is over after few steps, also within one key that holds very much', () => {
    const stores = new TaskStores();
    const operator = stores.open('bars', shape);
    const map = operator.map<number>('open');
    for (let entry = 0; entry < 20_000; entry += 1) {
      map.put(entry, entry);
      operator.list('seen').append(entry);
    }
    stores.changes();
    stores.settle();
    const snapshot = stores.beginSnapshot();
    let slices = 0;
    const loaded = new TaskStores();
    while (!snapshot.isDone) {
      const part = snapshot.next(() => true);
      if (part !== null) loaded.restore(part);
      slices += 1;
      // Between two slices entries that are still to come change, go and are added.
      map.put(20_000 + slices, 0);
      map.delete(20_000 - slices);
      stores.changes();
      stores.settle();
    }
    expect(slices).toBeGreaterThan(100);
    const again = loaded.open('bars', shape);
    expect(Array.from(again.map('open').entries())).toEqual(
      Array.from({ length: 20_000 }, (_, entry) => [entry, entry]),
    );
    expect(again.list('seen').values()).toHaveLength(20_000);
  });

  it('keeps nothing aside once it was given up', () => {
    const stores = filled(100);
    const first = stores.beginSnapshot();
    const second = stores.beginSnapshot();
    expect(first.isDone).toBe(true);
    expect(first.next(() => false)).toBeNull();
    second.end();
    const operator = stores.open('bars', shape);
    operator.setKey('skey-1');
    operator.map('open').clear();
    stores.changes();
    stores.settle();
    expect(partsOf(stores, 1e9)).not.toHaveLength(0);
  });

  it.each([
    ['of another kind', [2, 9]],
    ['in another format', [3, 1]],
  ])('is refused where a part is %s', (_what, [version = 0, kind = 0]) => {
    const writer = new ByteWriter();
    writer.bytes(Buffer.from('MLSP'));
    writer.byte(version);
    writer.byte(kind);
    expect(codeOf(() => new TaskStores().restore(writer.copy()))).toBe(
      'STREAM_LOG_VERSION_UNKNOWN',
    );
  });

  it('is refused where a part is cut or is something else', () => {
    const [part = new Uint8Array()] = partsOf(filled(3), 1e9);
    expect(codeOf(() => new TaskStores().restore(part.subarray(0, part.length - 1)))).toBe(
      'STREAM_SNAPSHOT_CORRUPT',
    );
    expect(codeOf(() => new TaskStores().restore(Buffer.from('{"format":1}')))).toBe(
      'STREAM_SNAPSHOT_CORRUPT',
    );
  });
});

describe('changes of a store', () => {
  it('are refused where the store is of a kind, or an operation, that this build does not know', () => {
    const section = (bytes: number[]) => [{ store: 'bars/open', bytes: Uint8Array.from(bytes) }];
    expect(codeOf(() => new TaskStores().apply(section([17, 0])))).toBe(
      'STREAM_LOG_VERSION_UNKNOWN',
    );
    // A value store, no time to live, operation 99, the key 's'.
    expect(codeOf(() => new TaskStores().apply(section([0, 0, 99, 7, 1, 115])))).toBe(
      'STREAM_LOG_VERSION_UNKNOWN',
    );
    expect(codeOf(() => new TaskStores().apply(section([0, 0, 1])))).toBe('STREAM_LOG_CORRUPT');
  });

  it('are refused where the topology wants a store of another kind under that name', () => {
    const stores = filled(1);
    const other = { stores: [{ name: 'open', kind: 'value' }], timers: 'none' } as const;
    expect(codeOf(() => stores.open('bars', other))).toBe('STREAM_STATE_MISMATCH');
    const shorter = {
      stores: [{ name: 'seen', kind: 'list', timeToLiveMs: 1_000 }],
      timers: 'none',
    } as const;
    expect(codeOf(() => stores.open('bars', shorter))).toBe('STREAM_STATE_MISMATCH');
  });

  it('of operators that the topology no longer has are told of', () => {
    const loaded = new TaskStores();
    for (const part of partsOf(filled(2), 1e9)) loaded.restore(part);
    expect(loaded.undeclared()).toEqual(['bars/$timers', 'bars/open', 'bars/seen']);
    loaded.open('bars', shape);
    expect(loaded.undeclared()).toEqual([]);
  });

  it('name the store whose codec makes what the log cannot hold, before anything is appended', () => {
    const stores = new TaskStores();
    const same = (date: unknown): unknown => date;
    const codec = { toJson: same, fromJson: same, clone: same };
    const stored = { name: 'open', kind: 'map', codec } as const;
    stores
      .open('bars', { stores: [stored], timers: 'none' })
      .map('open')
      .put(1, new Date(0));
    expect(() => stores.changes()).toThrow(/bars\/open.*a Date cannot be kept/);
    stores.rollback(0);
    expect(stores.changes()).toEqual([]);
  });
});

describe('timers', () => {
  it('fire in the order (time, key), however many were set, and after each undo', () => {
    const stores = new TaskStores();
    const operator = stores.open('bars', shape);
    const keys = Array.from({ length: 3_000 }, (_, index) => `skey-${(index * 7_919) % 3_000}`);
    for (const key of keys) {
      operator.setKey(key);
      operator.timers.set(60_000);
      operator.timers.set(30_000);
    }
    stores.changes();
    stores.settle();
    const inOrder = [...keys].sort((left, right) => (left < right ? -1 : 1));
    const wanted = [30_000, 60_000].flatMap((timeMs) => inOrder.map((key) => ({ timeMs, key })));
    const take = (count: number) => Array.from({ length: count }, () => operator.takeDue(60_000));
    expect(operator.takeDue(29_999)).toBeNull();
    take(1_234);
    stores.rollback(0);
    const mark = stores.mark();
    take(4_000);
    stores.rollback(mark);
    expect(take(6_001)).toEqual([...wanted, null]);
    expect(operator.earliestTimerMs).toBe(Infinity);
  });

  it('that are moved on and on leave no trail behind them', () => {
    const stores = new TaskStores();
    const { timers } = stores.open('bars', shape);
    for (let timeMs = 0; timeMs < 50_000; timeMs += 1) {
      timers.delete(timeMs - 1);
      timers.set(timeMs);
      if (timeMs % 100 === 0) {
        stores.changes();
        stores.settle();
      }
    }
    stores.changes();
    stores.settle();
    expect(stores.earliestTimerMs).toBe(49_999);
    expect(stores.size.keys).toBe(1);
    expect(partsOf(stores, 1e9)[0]?.byteLength).toBeLessThan(100);
  });
});
