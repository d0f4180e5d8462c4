/**
 * State as an operator sees it: stores and timers of its own, scoped to the key under way. Whoever runs the
 * operator says which key that is; what it changes is undone whole when the event, or the commit, fails.
 */

/** Names an entry of a map store. */
export type MapEntryName = string | number;

/**
 * How values of a store become plain values (what JSON can hold, and −0, infinities, undefined and bigints)
 * and back, and how one is copied before it is changed in place.
 */
export interface StoreCodec<Value> {
  readonly toJson: (value: Value) => unknown;
  readonly fromJson: (json: unknown) => Value;
  readonly clone: (value: Value) => Value;
}

/** A store that an operator declares. */
export interface StoreShape {
  /** Unique in the operator; not beginning with `$`. */
  readonly name: string;
  readonly kind: 'value' | 'map' | 'list';
  /** Absent: values are plain, and frozen when they are put. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each store has values of its own type
  readonly codec?: StoreCodec<any>;
  /**
   * How long after its last write, in the time of `OperatorStores.setTime`, a key's content is kept: no
   * shorter, and an eighth longer at most. Absent: for ever.
   */
  readonly timeToLiveMs?: number;
}

/** What of an operator's shape its stores are made from. */
export interface OperatorStoresShape {
  readonly stores: readonly StoreShape[];
  readonly timers: 'none' | 'event';
}

/** One value of the key under way. */
export interface ValueStore<Value> {
  /** Frozen: what is to be changed comes from `update`. */
  get(): Value | undefined;
  /** Freezes the value. @throws TypeError: it is not plain, so that the log cannot hold it */
  put(value: Value): void;
  delete(): void;
  /**
   * The value to change in place (made where there is none): copied on first touch since the undo point. It
   * may be changed until the next row or timer.
   */
  update(make: () => Value): Value;
}

/** Named values of the key under way. */
export interface MapStore<Value> {
  /** As of a `ValueStore`; so are `put` and `update`. */
  get(entry: MapEntryName): Value | undefined;
  put(entry: MapEntryName, value: Value): void;
  delete(entry: MapEntryName): void;
  /** Deletes the entries named by numbers from `from` up to, not including, `to`: one small change in the log. */
  deleteRange(from: number, to: number): void;
  clear(): void;
  update(entry: MapEntryName, make: () => Value): Value;
  /** As they are at the call, in the order of their names: numbers before texts. */
  entries(): Iterable<readonly [MapEntryName, Value]>;
  readonly size: number;
}

/** A growing list of the key under way: an append is one small change in the log. */
export interface ListStore<Value> {
  append(value: Value): void;
  /** For reading only, until the next append. */
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
  /** The row under way is done. @throws TypeError: the log cannot hold what it changed by an `update` */
  keepUpdated(): void;
  /** The canonical key (shared/model/key.ts) that every call from here on is about. */
  setKey(key: string): void;
  /**
   * The time that a store's time to live is measured in: the watermark, epoch milliseconds. It never goes
   * back. Whoever calls gives the same time before the same row wherever batches are cut.
   */
  setTime(watermarkMs: number): void;
  value<Value>(name: string): ValueStore<Value>;
  map<Value>(name: string): MapStore<Value>;
  list<Value>(name: string): ListStore<Value>;
  readonly timers: KeyTimers;
  /** No key has content or timers. */
  readonly isEmpty: boolean;
  /** The time of the operator's earliest timer, of any key; Infinity: there is none. */
  readonly earliestTimerMs: number;
  /**
   * Takes the earliest timer at or before a time: the least by (time, canonical key). Its key is
   * the one under way then. Null: there is none.
   */
  takeDue(throughMs: number): { readonly timeMs: number; readonly key: string } | null;
}

/** A store of the engine's own, with plain keys; its name begins with `$`. Values are replaced, never changed. */
export interface KeyedStore<Value = unknown> {
  readonly name: string;
  get(key: string): Value | undefined;
  put(key: string, value: Value): void;
  delete(key: string): void;
  readonly size: number;
  /** In the order of their keys. */
  entries(): IterableIterator<[string, Value]>;
}
