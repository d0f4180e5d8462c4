/**
 * State as an operator sees it: stores and timers of its own, scoped to the key under way. Whoever runs the
 * operator says which key that is; what it changes is undone whole when the event, or the commit, fails.
 */

/** Names an entry of a map store. */
export type MapEntryName = string | number;

/** How values of a store become JSON and back, and how one is copied before it is changed in place. */
export interface StoreCodec<Value> {
  readonly toJson: (value: Value) => unknown;
  readonly fromJson: (json: unknown) => Value;
  readonly clone: (value: Value) => Value;
}

/** A store that an operator declares. */
export interface StoreShape {
  /** Unique in the operator. */
  readonly name: string;
  readonly kind: 'value' | 'map' | 'list';
  /** Absent: values are JSON and are replaced, never changed in place. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each store has values of its own type
  readonly codec?: StoreCodec<any>;
  /** Event time after its last write at which a key's content goes, in whole buckets. Absent: never. */
  readonly timeToLiveMs?: number;
}

/** One value of the key under way. */
export interface ValueStore<Value> {
  get(): Value | undefined;
  put(value: Value): void;
  delete(): void;
  /** The value to change in place (made where there is none): copied on first touch since the undo point. */
  update(make: () => Value): Value;
}

/** Named values of the key under way. */
export interface MapStore<Value> {
  get(entry: MapEntryName): Value | undefined;
  put(entry: MapEntryName, value: Value): void;
  delete(entry: MapEntryName): void;
  update(entry: MapEntryName, make: () => Value): Value;
  /** In the order of their names: numbers before texts. */
  entries(): Iterable<readonly [MapEntryName, Value]>;
  readonly size: number;
}

/** A growing list of the key under way: an append is one small change in the log. */
export interface ListStore<Value> {
  append(value: Value): void;
  values(): readonly Value[];
  clear(): void;
}

/** Timers of the key under way. A time is set once, however often it is asked for. */
export interface KeyTimers {
  set(timeMs: number): void;
  delete(timeMs: number): void;
}

/** The stores and timers of one operator in one task. */
export interface OperatorStores {
  /** The canonical key (shared/model/key.ts) that every call from here on is about. */
  setKey(key: string): void;
  value<Value>(name: string): ValueStore<Value>;
  map<Value>(name: string): MapStore<Value>;
  list<Value>(name: string): ListStore<Value>;
  readonly timers: KeyTimers;
  /** The time of the operator's earliest timer, of any key; Infinity: there is none. */
  readonly earliestTimerMs: number;
  /**
   * Takes the earliest timer at or before a time: the least by (time, key). Its key is the one under way then.
   * Null: there is none.
   */
  takeDue(throughMs: number): { readonly timeMs: number; readonly key: string } | null;
}
