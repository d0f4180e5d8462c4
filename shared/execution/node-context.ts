import { keyOf, type Key } from '../model/key';
import type { ProgramOutputs } from '../model/program';
import type { Row } from '../model/table';
import type { ExchangeEvent } from '../model/program';
import type { FiredTimer, Rows, StageSink, TaskContext } from '../operators/contract';
import type { ListStore, MapStore, OperatorStores, ValueStore } from '../state/stores';
import type { Books } from './books';
import type { RowBuffer } from './rows';

/** Rows that an operator may have given out before those behind it are given them. */
const rowsMax = 16_384;

/** Where rows have no key, all of a partition share this one: the canonical text of null. */
const noKey = 'z';
/** An origin: no row has been begun. */
const notBegun = -2;

/** What one operator works through: it knows which row or timer is under way. */
export class NodeContext implements TaskContext {
  readonly name: string;
  readonly outputs: readonly RowBuffer[];
  readonly sink: StageSink;
  watermarkMs = -Infinity;
  /** Gives the rows of an output to those behind it at once. */
  drain: (output: number) => void = () => undefined;
  readonly #stores: OperatorStores | null;
  readonly #books: Books;
  readonly #isMemoryOnly: boolean;
  #key = noKey;
  #timeMs = 0;
  #markMs = -Infinity;
  #origin = notBegun;

  constructor(options: {
    readonly name: string;
    readonly outputs: readonly RowBuffer[];
    readonly stores: OperatorStores | null;
    readonly books: Books;
    readonly isMemoryOnly: boolean;
    readonly stageOutputs: ProgramOutputs;
  }) {
    this.name = options.name;
    this.outputs = options.outputs;
    this.#stores = options.stores;
    this.#books = options.books;
    this.#isMemoryOnly = options.isMemoryOnly;
    const { books, stageOutputs } = options;
    this.sink = {
      row: (table: number, row: Row): void => {
        stageOutputs.row(table, row);
        books.emitted(this.#origin);
      },
      send: (exchange: number, event: ExchangeEvent): void => {
        stageOutputs.send(exchange, event);
        books.emitted(this.#origin);
      },
    };
  }

  get closedThroughMs(): number {
    return this.#markMs > this.watermarkMs ? this.#markMs : this.watermarkMs;
  }

  get earliestTimerMs(): number {
    return this.#stores?.earliestTimerMs ?? Infinity;
  }

  /** Rows are about to come: until one is begun, nothing of it can be told. */
  beginRows(): void {
    this.#origin = notBegun;
  }

  begin(rows: Rows, index: number): void {
    this.#origin = rows.origins[index] ?? -1;
    this.#markMs = rows.marks[index] ?? -Infinity;
    this.#timeMs = rows.times[index] ?? 0;
    this.#key = rows.keys?.[index] ?? noKey;
    if (this.#stores === null) return;
    this.#stores.keepUpdated();
    this.#stores.setKey(this.#key);
    this.#stores.setTime(this.#markMs);
  }

  beginTimer({ key, timeMs }: FiredTimer): void {
    this.#origin = -1;
    this.#markMs = -Infinity;
    this.#timeMs = timeMs;
    this.#key = key;
    this.#stores?.setTime(timeMs);
  }

  key(): Key {
    return keyOf(this.#key);
  }

  emit(output: number, value: unknown, timeMs?: number): void {
    this.#assertBegun();
    const time = timeMs === undefined ? this.#timeMs : wholeTime(timeMs);
    const buffer = this.outputs[output];
    if (buffer === undefined) throw new Error(`the operator declares no output ${output}`);
    buffer.add(value, this.#key, time, this.#markMs, this.#origin);
    if (buffer.length >= rowsMax) this.drain(output);
  }

  pass(output: number, rows: Rows): void {
    const buffer = this.outputs[output];
    if (buffer === undefined) throw new Error(`the operator declares no output ${output}`);
    buffer.pass(rows);
  }

  refuse(endedMs: number): void {
    this.#assertBegun();
    this.#books.late(this.#origin, this.name);
    // Its own source was not so far: its partition was taken for idle.
    if (this.#markMs < endedMs) this.#books.count(this.name, 'lateByIdle');
  }

  count(name: string): void {
    this.#books.count(this.name, name);
  }

  setTimer(timeMs: number): void {
    const time = wholeTime(timeMs);
    this.#declared().timers.set(time);
    this.#books.timerSet(time);
    this.#wrote();
  }

  deleteTimer(timeMs: number): void {
    this.#declared().timers.delete(timeMs);
    this.#books.timerDeleted();
    this.#wrote();
  }

  value<Value>(name: string): ValueStore<Value> {
    const store = this.#declared().value<Value>(name);
    if (this.#isMemoryOnly) return store;
    return {
      get: () => store.get(),
      put: (value) => {
        this.#wrote();
        store.put(value);
      },
      delete: () => {
        this.#wrote();
        store.delete();
      },
      update: (make) => {
        this.#wrote();
        return store.update(make);
      },
    };
  }

  map<Value>(name: string): MapStore<Value> {
    const store = this.#declared().map<Value>(name);
    if (this.#isMemoryOnly) return store;
    return {
      get: (entry) => store.get(entry),
      put: (entry, value) => {
        this.#wrote();
        store.put(entry, value);
      },
      delete: (entry) => {
        this.#wrote();
        store.delete(entry);
      },
      deleteRange: (from, to) => {
        this.#wrote();
        store.deleteRange(from, to);
      },
      clear: () => {
        this.#wrote();
        store.clear();
      },
      update: (entry, make) => {
        this.#wrote();
        return store.update(entry, make);
      },
      entries: () => store.entries(),
      get size() {
        return store.size;
      },
    };
  }

  list<Value>(name: string): ListStore<Value> {
    const store = this.#declared().list<Value>(name);
    if (this.#isMemoryOnly) return store;
    return {
      append: (value) => {
        this.#wrote();
        store.append(value);
      },
      values: () => store.values(),
      clear: () => {
        this.#wrote();
        store.clear();
      },
    };
  }

  /** The row under way was taken into keyed state. */
  #wrote(): void {
    this.#assertBegun();
    if (!this.#isMemoryOnly) this.#books.emitted(this.#origin);
  }

  #assertBegun(): void {
    if (this.#origin !== notBegun) return;
    throw new Error(
      `operator ${this.name}: context.begin(rows, index) comes before what is done with a row`,
    );
  }

  #declared(): OperatorStores {
    if (this.#stores !== null) return this.#stores;
    throw new Error(`operator ${this.name} declares neither stores nor timers`);
  }
}

/** Logs and timers know whole milliseconds. */
function wholeTime(timeMs: number): number {
  const whole = Math.floor(timeMs);
  if (Number.isSafeInteger(whole)) return whole;
  throw new RangeError(`a time must be a number of milliseconds, it is ${String(timeMs)}`);
}
