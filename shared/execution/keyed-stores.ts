import type { KeyedState, KeyedStore } from '../state/keyed-state';
import type {
  ListStore,
  MapEntryName,
  MapStore,
  OperatorStores,
  StoreCodec,
  StoreShape,
  ValueStore,
} from '../state/stores';
import { TimerQueue } from './timer-queue';

const plain: StoreCodec<unknown> = {
  toJson: (value) => value,
  fromJson: (json) => json,
  clone: (value) => value,
};

/** The stores of one operator, kept in the maps of a task's state: one text a key. */
export class KeyedOperatorStores implements OperatorStores {
  readonly timers: TimerQueue;
  readonly #stores = new Map<string, ScopedStore>();
  key = '';

  constructor(state: KeyedState, operator: string, shapes: readonly StoreShape[]) {
    this.timers = new TimerQueue(state.store(`${operator}/$timers`), () => this.key);
    for (const shape of shapes) {
      const store = state.store<Cells>(`${operator}/${shape.name}`);
      this.#stores.set(shape.name, new ScopedStore(store, shape, this));
    }
  }

  setKey(key: string): void {
    this.key = key;
  }

  // These stores keep everything until it is deleted.
  setTime(): void {}

  value<Value>(name: string): ValueStore<Value> {
    return this.#find(name, 'value') as ValueStore<unknown> as ValueStore<Value>;
  }

  map<Value>(name: string): MapStore<Value> {
    return this.#find(name, 'map').asMap as MapStore<Value>;
  }

  list<Value>(name: string): ListStore<Value> {
    return this.#find(name, 'list').asList as ListStore<Value>;
  }

  #find(name: string, kind: StoreShape['kind']): ScopedStore {
    const store = this.#stores.get(name);
    if (store?.kind === kind) return store;
    throw new Error(`the operator declares no ${kind} store called ${name}`);
  }

  get earliestTimerMs(): number {
    return this.timers.earliestMs;
  }

  takeDue(throughMs: number): { readonly timeMs: number; readonly key: string } | null {
    const timer = this.timers.takeDue(throughMs);
    if (timer !== null) this.key = timer.key;
    return timer;
  }

  get isEmpty(): boolean {
    return this.timers.isEmpty && Array.from(this.#stores.values()).every(({ size }) => size === 0);
  }

  /** An undo point was made: what is changed in place from here on is copied first. */
  atUndoPoint(): void {
    this.timers.settle();
    for (const store of this.#stores.values()) store.forgetTouched();
  }

  afterUndo(): void {
    this.timers.afterUndo();
    for (const store of this.#stores.values()) store.forgetTouched();
  }

  reload(): void {
    this.timers.reload();
    for (const store of this.#stores.values()) store.forgetTouched();
  }
}

type Named = [name: MapEntryName, value: unknown];

/** What a store holds of one key. It is JSON where it is written. */
class Cells {
  /** A value alone, the values of a list, or the entries of a map in order. */
  readonly items: unknown[];
  readonly #encode: (item: unknown) => unknown;

  constructor(items: unknown[], encode: (item: unknown) => unknown) {
    this.items = items;
    this.#encode = encode;
  }

  toJSON(): unknown[] {
    return this.items.map(this.#encode);
  }
}

class ScopedStore implements ValueStore<unknown> {
  readonly kind: StoreShape['kind'];
  readonly #store: KeyedStore<Cells>;
  readonly #scope: { readonly key: string };
  readonly #codec: StoreCodec<unknown>;
  readonly #encode: (item: unknown) => unknown;
  /** Cells that are copies since the undo point, by key; and, of their values, those that are. */
  #touched = new Map<string, Cells>();
  #copied = new Set<unknown>();
  readonly #decoded = new WeakMap<object, readonly unknown[]>();

  constructor(store: KeyedStore<Cells>, shape: StoreShape, scope: { readonly key: string }) {
    this.kind = shape.kind;
    this.#store = store;
    this.#scope = scope;
    const codec = (shape.codec ?? plain) as StoreCodec<unknown>;
    this.#codec = codec;
    this.#encode =
      shape.kind === 'map'
        ? (item) => [(item as Named)[0], codec.toJson((item as Named)[1])]
        : codec.toJson;
  }

  /** How many keys hold anything. */
  get size(): number {
    return this.#store.size;
  }

  forgetTouched(): void {
    if (this.#touched.size === 0) return;
    this.#touched = new Map();
    this.#copied = new Set();
  }

  /** The items of the key under way, for reading. */
  #read(): readonly unknown[] | undefined {
    const { key } = this.#scope;
    const found = this.#touched.get(key) ?? this.#store.get(key);
    if (found === undefined || found instanceof Cells) return found?.items;
    // From the log: what it says becomes values once.
    let items = this.#decoded.get(found);
    if (items === undefined) {
      items = this.#decode(found as readonly unknown[]);
      this.#decoded.set(found, items);
    }
    return items;
  }

  #decode(items: readonly unknown[]): unknown[] {
    const { fromJson } = this.#codec;
    return this.kind === 'map'
      ? (items as Named[]).map(([name, value]) => [name, fromJson(value)])
      : items.map((item) => fromJson(item));
  }

  /** The items of the key under way, to be changed: a copy since the undo point. */
  #write(): unknown[] {
    const { key } = this.#scope;
    let cells = this.#touched.get(key);
    if (cells === undefined) {
      cells = new Cells((this.#read() ?? []).slice(), this.#encode);
      this.#touched.set(key, cells);
      this.#store.put(key, cells);
    }
    return cells.items;
  }

  #drop(): void {
    const { key } = this.#scope;
    this.#touched.delete(key);
    this.#store.delete(key);
  }

  get(): unknown {
    return this.#read()?.[0];
  }

  put(value: unknown): void {
    this.#write()[0] = value;
  }

  delete(): void {
    this.#drop();
  }

  update(make: () => unknown): unknown {
    const items = this.#write();
    return (items[0] = this.#own(items[0], make));
  }

  /** A value that may be changed in place. */
  #own(value: unknown, make: () => unknown): unknown {
    if (this.#copied.has(value)) return value;
    const own = value === undefined ? make() : this.#codec.clone(value);
    if (typeof own === 'object') this.#copied.add(own);
    return own;
  }

  readonly asList: ListStore<unknown> = {
    append: (value) => {
      this.#write().push(value);
    },
    values: () => this.#read() ?? [],
    clear: () => this.#drop(),
  };

  readonly asMap: MapStore<unknown> = this.#mapStore();

  #mapStore(): MapStore<unknown> {
    const named = (): readonly Named[] => (this.#read() ?? []) as readonly Named[];
    const put = (entry: MapEntryName, make: (before: unknown) => unknown): unknown => {
      const items = this.#write() as Named[];
      const at = placeOf(items, entry);
      const found = items[at];
      if (found?.[0] === entry) {
        const value = make(found[1]);
        items[at] = [entry, value];
        return value;
      }
      const value = make(undefined);
      items.splice(at, 0, [entry, value]);
      return value;
    };
    return {
      get: (entry) => {
        const items = named();
        const found = items[placeOf(items, entry)];
        return found?.[0] === entry ? found[1] : undefined;
      },
      put: (entry, value) => {
        put(entry, () => value);
      },
      delete: (entry) => {
        const before = named();
        if (before[placeOf(before, entry)]?.[0] !== entry) return;
        const items = this.#write() as Named[];
        items.splice(placeOf(items, entry), 1);
        if (items.length === 0) this.#drop();
      },
      deleteRange: (from, to) => {
        const isWithin = ([name]: Named): boolean =>
          typeof name === 'number' && name >= from && name < to;
        if (!named().some(isWithin)) return;
        const kept = (this.#write() as Named[]).filter((one) => !isWithin(one));
        if (kept.length === 0) this.#drop();
        else (this.#write() as Named[]).splice(0, Infinity, ...kept);
      },
      clear: () => this.#drop(),
      update: (entry, make) => put(entry, (before) => this.#own(before, make)),
      entries: () => named().slice(),
      get size() {
        return named().length;
      },
    };
  }
}

/** Where an entry is, or would be: numbers before texts. */
function placeOf(items: readonly Named[], entry: MapEntryName): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const name = items[middle]?.[0];
    if (name !== undefined && isBefore(name, entry)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isBefore(left: MapEntryName, right: MapEntryName): boolean {
  return typeof left === typeof right ? left < right : typeof left === 'number';
}
