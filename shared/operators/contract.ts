/**
 * What an operator is. It is one folder with a specification and a kernel; it declares its ports, stores
 * and timers, and never keeps the books: who is under way, and whether an event counts as emitted, is known
 * to whoever runs it (shared/execution).
 */
import type { Key } from '../model/key';
import type { ExchangeEvent } from '../model/program';
import type { Row } from '../model/table';
import type { ListStore, MapStore, StoreShape, ValueStore } from '../state/stores';

/**
 * Rows that travel together: arrays side by side, of which the first `length` count, in the order of their
 * origins. A row is immutable, and frozen where two consumers are given it. They are good until `process`
 * returns: keep values, never rows.
 */
export interface Rows {
  readonly length: number;
  readonly values: readonly unknown[];
  /** Canonical keys (shared/model/key.ts); null: the stream has no key. */
  readonly keys: readonly string[] | null;
  /** Event times, epoch milliseconds. */
  readonly times: readonly number[];
  /**
   * The watermark of its source partition when each row's event came: late is judged by it. −Infinity: the
   * row is on time whatever happens (what timers give out).
   */
  readonly marks: readonly number[];
  /** Which event of the segment under way a row comes of; −1: time made it. */
  readonly origins: readonly number[];
}

/** What the user's selectors made of rows: one array per selector, each as long as the rows. */
export type Columns = readonly (readonly unknown[])[];

/** A function of the user's that an operator asks for all that it needs of a value: pure, and may fail. */
export type Selector = (value: unknown) => unknown;

export interface Port {
  readonly name: string;
  /** An input whose rows have keys; an output of which every row has one, whatever the input had. */
  readonly isKeyed?: boolean;
}

export interface OperatorShape {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly stores: readonly StoreShape[];
  /** In event time: there are no others (ADR 41). */
  readonly timers: 'none' | 'event';
  /**
   * What is in its stores is knowledge about rows that it hands on (which were seen), not the rows
   * themselves: that it remembers a row is no end of the row's event. Absent: a row that changed its state
   * was taken in, and counts as emitted.
   */
  readonly isMemoryOnly?: boolean;
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
  /**
   * All that the operator needs of the values that come through a port; null: the values themselves. They are
   * asked before `process`, which is given what they made as columns and must not look at values then: behind an
   * exchange whose consumers all say so, only these columns travel. What they give is plain (shared/model/
   * plain-value.ts); what they throw is the fault of the row's event, wherever they ran.
   */
  readonly args?: (config: Config, port: number) => readonly Selector[] | null;
  readonly open: (config: Config, context: TaskContext) => OperatorInstance;
  /**
   * How long after a row's time something of it may still be open here, in milliseconds; null: nobody
   * knows. Absent: it keeps no time (0), or, with timers, nobody knows.
   */
  readonly openForMs?: (config: Config) => number | null;
  /** What is wrong with the settings, each in words that follow the operator's name; none: nothing. */
  readonly faultsIn?: (config: Config) => readonly string[];
}

/** An operator with its settings, as a topology holds it. */
export interface AppliedOperator {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each operator has settings of its own type
  readonly spec: OperatorSpec<any>;
  readonly config: unknown;
}

/** An operator from values of one type to values of another, for `Stream.apply`. */
export interface TypedOperator<Value, Next> extends AppliedOperator {
  /** Never called: it carries the types. */
  readonly types?: (value: Value) => Next;
}

/** An operator at work in one task. */
export interface OperatorInstance {
  /**
   * Takes rows in, in order: changes state, gives rows out. What it throws is the fault of the row's event,
   * and undone with all that the event did. It may be called again for rows that it has had: what it did
   * then was undone.
   */
  process(port: number, rows: Rows, args: Columns): void;
  /**
   * The key of the timer is the one under way. What it changed before it throws stays, and what it gave
   * out goes: free the state first.
   */
  onTimer?(timer: FiredTimer): void;
  /**
   * The earliest event time that an output may still give out: consumers' time is held back to it. A
   * function of `watermarkMs`, `earliestTimerMs` and its settings. Absent: what it takes in is given out at
   * once, or at the timer that it set for it.
   */
  hold?(output: number): number;
}

export interface FiredTimer {
  readonly timeMs: number;
  readonly key: string;
}

/** Where operators that end a stage put what they take in: the event of the row under way was emitted. */
export interface StageSink {
  /** Adds a row to a table of the plan, by its position in `StagePlan.tables`. */
  row(table: number, row: Row): void;
  /** Adds an event to an exchange of the plan, by its position in `StagePlan.exchanges`. */
  send(exchange: number, event: ExchangeEvent): void;
}

/** What an operator is opened with, and works through. */
export interface TaskContext {
  /** The node's name in the topology. */
  readonly name: string;
  /**
   * No row older than this comes to this operator any more, on any port. −Infinity before any. For `hold`
   * and `onTimer`: while rows are taken in it may be behind; `closedThroughMs` never is.
   */
  readonly watermarkMs: number;
  /**
   * What ends at or before this is over for the row under way: its mark, or this operator's own time,
   * whichever is later.
   */
  readonly closedThroughMs: number;
  /** The earliest timer of this operator, of any key; Infinity: none. */
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
  /** Hands rows on whole. Whoever changes their values or keys gives arrays of the same length. */
  pass(output: number, rows: Rows): void;
  /**
   * The row under way is refused as late, for what it belongs to ended at `endedMs`, and counted so for this
   * operator.
   */
  refuse(endedMs: number): void;
  /** Adds one to a counter of this operator, shown with its name. */
  count(name: string): void;
  readonly sink: StageSink;
}
