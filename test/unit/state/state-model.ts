// A task's state as plain Maps, and random work on it: what TaskStores is compared with.
import fc from 'fast-check';
import { TaskStores } from '../../../shared/state/task-stores';
import type {
  ListStore,
  MapEntryName,
  MapStore,
  OperatorStores,
  OperatorStoresShape,
  ValueStore,
} from '../../../shared/state/stores';

const timeToLiveMs = 80;
const bucketMs = 10;

const shape: OperatorStoresShape = {
  stores: [
    { name: 'total', kind: 'value' },
    { name: 'open', kind: 'map' },
    { name: 'seen', kind: 'list' },
    { name: 'short', kind: 'value', timeToLiveMs },
    { name: 'short-open', kind: 'map', timeToLiveMs },
    { name: 'short-seen', kind: 'list', timeToLiveMs },
  ],
  timers: 'event',
};

export type Step =
  | { readonly do: 'put' | 'update'; readonly at: Place; readonly value: number }
  | { readonly do: 'delete' | 'clear'; readonly at: Place }
  | { readonly do: 'range'; readonly at: Place; readonly from: number; readonly to: number }
  | { readonly do: 'timer' | 'no-timer'; readonly key: number; readonly timeMs: number }
  | { readonly do: 'take'; readonly throughMs: number }
  | { readonly do: 'internal'; readonly key: number; readonly value: number | null }
  | { readonly do: 'time'; readonly byMs: number };

interface Place {
  readonly store: 'value' | 'map' | 'list';
  readonly short: boolean;
  readonly key: number;
  readonly entry: number;
}

const aPlace: fc.Arbitrary<Place> = fc.record({
  store: fc.constantFrom('value', 'map', 'list'),
  short: fc.boolean(),
  key: fc.nat(4),
  entry: fc.nat(5),
});

export const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('put' as const), at: aPlace, value: fc.nat(9) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('update' as const), at: aPlace, value: fc.nat(9) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), at: aPlace }) },
  fc.record({ do: fc.constant('clear' as const), at: aPlace }),
  fc.record({ do: fc.constant('range' as const), at: aPlace, from: fc.nat(5), to: fc.nat(6) }),
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('timer' as const), key: fc.nat(4), timeMs: fc.nat(6) }),
  },
  fc.record({ do: fc.constant('no-timer' as const), key: fc.nat(4), timeMs: fc.nat(6) }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant('take' as const), throughMs: fc.nat(6) }) },
  fc.record({ do: fc.constant('internal' as const), key: fc.nat(3), value: fc.option(fc.nat(9)) }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant('time' as const), byMs: fc.nat(60) }) },
);

interface Timed<Content> {
  content: Content;
  bucket: number;
}

/** What a state holds, in a form that can be compared. */
export type Content = Readonly<Record<string, unknown>>;

/** The model: plain maps, copied whole where a point to go back to is wanted. */
export class ModelState {
  values = new Map<string, Timed<unknown>>();
  timers = new Set<string>();
  internal = new Map<string, number>();
  nowMs = 0;
  isBegun = false;

  copy(): ModelState {
    const copy = new ModelState();
    copy.values = new Map(
      Array.from(this.values, ([name, { bucket, content }]) => [
        name,
        { bucket, content: copied(content) },
      ]),
    );
    copy.timers = new Set(this.timers);
    copy.internal = new Map(this.internal);
    copy.nowMs = this.nowMs;
    copy.isBegun = this.isBegun;
    return copy;
  }

  #bucket(): number {
    return this.isBegun ? Math.floor(this.nowMs / bucketMs) : -Infinity;
  }

  #find(name: string): Timed<unknown> | undefined {
    const timed = this.values.get(name);
    if (timed === undefined || !name.startsWith('short')) return timed;
    // Whole buckets: gone once the last moment of the bucket is as old as the time to live.
    return timed.bucket + timeToLiveMs / bucketMs < this.#bucket() ? undefined : timed;
  }

  #write(name: string, empty: () => unknown): Timed<unknown> {
    let timed = this.#find(name);
    if (timed === undefined) this.values.set(name, (timed = { content: empty(), bucket: 0 }));
    timed.bucket = this.#bucket();
    return timed;
  }

  /** Returns what was taken, for `take`. */
  run(step: Step): unknown {
    switch (step.do) {
      case 'time':
        this.nowMs += step.byMs;
        this.isBegun = true;
        // What was written before there was time counts as written now.
        for (const timed of this.values.values()) {
          if (timed.bucket === -Infinity) timed.bucket = this.#bucket();
        }
        return undefined;
      case 'internal':
        if (step.value === null) this.internal.delete(`key-${step.key}`);
        else this.internal.set(`key-${step.key}`, step.value);
        return undefined;
      case 'timer':
        this.timers.add(`${step.timeMs}|s${step.key}`);
        return undefined;
      case 'no-timer':
        this.timers.delete(`${step.timeMs}|s${step.key}`);
        return undefined;
      case 'take':
        return this.#take(step.throughMs);
      default:
        this.#change(step, nameOf(step.at));
        return undefined;
    }
  }

  #take(throughMs: number): unknown {
    const [first] = Array.from(this.timers, (timer) => {
      const [time = '', key = ''] = timer.split('|');
      return { timeMs: Number(time), key, timer };
    })
      .filter(({ timeMs }) => timeMs <= throughMs)
      .sort((left, right) => left.timeMs - right.timeMs || (left.key < right.key ? -1 : 1));
    if (first === undefined) return null;
    this.timers.delete(first.timer);
    return { timeMs: first.timeMs, key: first.key };
  }

  #change(step: Extract<Step, { at: Place }>, name: string): void {
    const { entry, store } = step.at;
    if (step.do === 'put' || step.do === 'update') {
      const { value } = step;
      if (store === 'list') {
        (this.#write(name, () => []).content as unknown[]).push([value]);
      } else if (store === 'map') {
        const map = this.#write(name, () => new Map()).content as Map<MapEntryName, number[]>;
        if (step.do === 'put') map.set(entryName(entry), [value]);
        else map.set(entryName(entry), [...(map.get(entryName(entry)) ?? []), value]);
      } else {
        const timed = this.#write(name, () => []);
        timed.content =
          step.do === 'put' ? [value] : [...(timed.content as readonly number[]), value];
      }
      return;
    }
    const timed = this.#find(name);
    if (timed === undefined) return;
    if (store !== 'map' || step.do === 'clear') {
      if (step.do !== 'range') this.values.delete(name);
      return;
    }
    const map = timed.content as Map<MapEntryName, number[]>;
    if (step.do === 'delete') map.delete(entryName(entry));
    else if (step.do === 'range') {
      for (const at of Array.from(map.keys())) {
        if (typeof at === 'number' && at >= step.from && at < step.to) map.delete(at);
      }
    }
    if (map.size === 0) this.values.delete(name);
  }

  content(): Content {
    const content: Record<string, unknown> = {
      timers: Array.from(this.timers).sort(),
      internal: Array.from(this.internal).sort(),
    };
    for (const name of Array.from(this.values.keys()).sort()) {
      const found = this.#find(name)?.content;
      if (found === undefined) continue;
      content[name] = found instanceof Map ? sortedEntries(found) : copied(found);
    }
    return content;
  }
}

/** The same; Maps that `structuredClone` makes are those of another realm under the test runner. */
function copied(content: unknown): unknown {
  if (content instanceof Map)
    return new Map(Array.from(content, ([name, value]) => [name, copied(value)]));
  return Array.isArray(content) ? content.map(copied) : content;
}

function sortedEntries(map: Map<MapEntryName, unknown>): unknown {
  return Array.from(map).sort(([left], [right]) => {
    if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1;
    return left < right ? -1 : 1;
  });
}

function nameOf({ key, short, store }: Place): string {
  return `${short ? 'short-' : ''}${store}|s${key}`;
}

/** Numbers and texts. */
function entryName(entry: number): MapEntryName {
  return entry % 3 === 2 ? `e${entry}` : entry;
}

/** The same work on TaskStores. */
export class StoresUnderTest {
  readonly stores: TaskStores;
  readonly operator: OperatorStores;
  nowMs = 0;

  constructor(stores = new TaskStores()) {
    this.stores = stores;
    this.operator = stores.open('bars', shape);
  }

  #value(short: boolean): ValueStore<number[]> {
    return this.operator.value(short ? 'short' : 'total');
  }

  #map(short: boolean): MapStore<number[]> {
    return this.operator.map(short ? 'short-open' : 'open');
  }

  #list(short: boolean): ListStore<number[]> {
    return this.operator.list(short ? 'short-seen' : 'seen');
  }

  run(step: Step): unknown {
    switch (step.do) {
      case 'time':
        this.nowMs += step.byMs;
        this.operator.setTime(this.nowMs);
        return undefined;
      case 'internal': {
        const store = this.stores.store<number>('$own');
        if (step.value === null) store.delete(`key-${step.key}`);
        else store.put(`key-${step.key}`, step.value);
        return undefined;
      }
      case 'timer':
        this.operator.setKey(`s${step.key}`);
        this.operator.timers.set(step.timeMs);
        return undefined;
      case 'no-timer':
        this.operator.setKey(`s${step.key}`);
        this.operator.timers.delete(step.timeMs);
        return undefined;
      case 'take':
        return this.operator.takeDue(step.throughMs);
      default:
        this.operator.setKey(`s${step.at.key}`);
        this.#change(step);
        return undefined;
    }
  }

  #change(step: Extract<Step, { at: Place }>): void {
    const { entry, short, store } = step.at;
    const name = entryName(entry);
    if (store === 'list') {
      const list = this.#list(short);
      if (step.do === 'put' || step.do === 'update') list.append([step.value]);
      else if (step.do !== 'range') list.clear();
      return;
    }
    if (store === 'value') {
      const value = this.#value(short);
      if (step.do === 'put') value.put([step.value]);
      else if (step.do === 'update') value.update(() => []).push(step.value);
      else if (step.do !== 'range') value.delete();
      return;
    }
    const map = this.#map(short);
    if (step.do === 'put') map.put(name, [step.value]);
    else if (step.do === 'update') map.update(name, () => []).push(step.value);
    else if (step.do === 'delete') map.delete(name);
    else if (step.do === 'clear') map.clear();
    else if (step.do === 'range') map.deleteRange(step.from, step.to);
  }

  content(): Content {
    const content: Record<string, unknown> = {
      internal: Array.from(this.stores.store<number>('$own').entries()).sort(),
    };
    for (let key = 0; key < 5; key += 1) {
      this.operator.setKey(`s${key}`);
      for (const short of [false, true]) {
        const prefix = short ? 'short-' : '';
        const value = this.#value(short).get();
        if (value !== undefined) content[`${prefix}value|s${key}`] = copied(value);
        const map = this.#map(short);
        const entries = Array.from(map.entries());
        expect(map.size).toBe(entries.length);
        for (const [name, found] of entries) expect(map.get(name)).toBe(found);
        if (entries.length > 0) content[`${prefix}map|s${key}`] = copied(entries);
        const list = this.#list(short).values();
        if (list.length > 0) content[`${prefix}list|s${key}`] = copied(list);
      }
    }
    content['timers'] = this.#timers();
    return content;
  }

  /** By taking all of them, and undoing it. */
  #timers(): string[] {
    const timers: string[] = [];
    const mark = this.stores.mark();
    const { earliestTimerMs } = this.operator;
    for (;;) {
      const due = this.operator.takeDue(Infinity);
      if (due === null) break;
      if (timers.length === 0) expect(due.timeMs).toBe(earliestTimerMs);
      timers.push(`${due.timeMs}|${due.key}`);
    }
    expect(this.operator.earliestTimerMs).toBe(Infinity);
    this.stores.rollback(mark);
    return timers.sort();
  }
}
