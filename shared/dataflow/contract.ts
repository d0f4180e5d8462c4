/**
 * What an operator is. It is one folder with a specification and a kernel; it declares its ports, stores
 * and timers, and never keeps the books: who is under way, and whether an event counts as emitted, is known
 * to whoever runs it (shared/execution).
 */
import type { Key } from '../model/key';
import type { ListStore, MapStore, StoreShape, ValueStore } from '../state/stores';

/**
 * Rows that travel together: arrays side by side. A row is immutable, and frozen where two consumers
 * are given it.
 */
export interface Rows {
  readonly length: number;
  readonly values: readonly unknown[];
  /** Canonical keys (shared/model/key.ts); null: the stream has no key. */
  readonly keys: readonly string[] | null;
  /** Event times, epoch milliseconds. */
  readonly times: readonly number[];
  /**
   * The watermark of its source partition when each row's event came: late is judged by it and by nothing
   * else. −Infinity: the row is on time whatever happens (results of windows).
   */
  readonly marks: readonly number[];
  /** Which event of the segment under way a row comes of; −1: time made it. */
  readonly origins: readonly number[];
}

/** What the user's selectors made of rows: one array per selector. */
export type Columns = readonly (readonly unknown[])[];

export interface Port {
  readonly name: string;
  /** The rows of this input have keys. */
  readonly isKeyed?: boolean;
}

export interface OperatorShape {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly stores: readonly StoreShape[];
  readonly timers: 'none' | 'event' | 'processing';
}

/**
 * A kind of operator. `Config` holds its settings and the user's functions.
 * Deterministic: the same state and rows give the same outputs, wherever batches are cut.
 */
export interface OperatorSpec<Config> {
  /** As in `map`: part of the fingerprint. */
  readonly kind: string;
  /** Raised when what this operator keeps in its stores has another form or meaning. */
  readonly stateVersion: number;
  readonly shape: (config: Config) => OperatorShape;
  /** The settings as JSON, without functions: part of the fingerprint. */
  readonly describe: (config: Config) => unknown;
  readonly open: (config: Config, context: TaskContext) => OperatorInstance;
}

/** An operator at work in one task. */
export interface OperatorInstance {
  /** The user's selectors: pure, may fail, and may run before the exchange. */
  args?(port: number, rows: Rows): Columns;
  /** Takes rows in, in order: changes state, gives rows out. */
  process(port: number, rows: Rows, args: Columns): void;
  /** The key of the timer is the one under way. */
  onTimer?(timer: FiredTimer): void;
  /**
   * The earliest event time that an output may still give out: consumers' time is held back to it. Absent:
   * it gives out what it takes in, at once.
   */
  hold?(output: number): number;
}

export interface FiredTimer {
  readonly timeMs: number;
  readonly key: string;
}

/** What an operator is opened with, and works through. */
export interface TaskContext {
  /** The node's name in the topology. */
  readonly name: string;
  /** No row older than this comes to this operator any more, on any port. −Infinity before any. */
  readonly watermarkMs: number;
  /** The one processing time of the commit under way: an input, recorded with it. */
  readonly processingTimeMs: number;
  /** The earliest timer of this operator; Infinity: none. */
  readonly earliestTimerMs: number;
  value<Value>(store: string): ValueStore<Value>;
  map<Value>(store: string): MapStore<Value>;
  list<Value>(store: string): ListStore<Value>;
  /** Sets and deletes timers of the key under way. */
  setTimer(timeMs: number): void;
  deleteTimer(timeMs: number): void;
  /** Makes a row the one under way: stores and timers are its key's, and what is given out is of it. */
  begin(rows: Rows, index: number): void;
  /** The key under way. */
  key(): Key;
  /** Gives a value out, of the row or timer under way: its key and mark, and its time unless one is given. */
  emit(output: number, value: unknown, timeMs?: number): void;
  /** Hands rows on whole: nothing was changed but their values. */
  pass(output: number, rows: Rows): void;
  /** The row under way is refused as late, and counted so for this operator. */
  refuse(): void;
  /** Adds to a counter of this operator, shown with its name. */
  count(name: string): void;
}
