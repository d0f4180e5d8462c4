import type { KeptValues } from './kept-values';
import { ListTable } from './list-table';
import { MapTable } from './map-table';
import type { StoreTable } from './store-table';
import type {
  KeyTimers,
  ListStore,
  MapEntryName,
  MapStore,
  OperatorStores,
  ValueStore,
} from './stores';
import type { TimerTable } from './timer-table';
import { ValueTable } from './value-table';

/** @throws TypeError: the operator has not declared such a store */
export type StoreFinder = (name: string) => StoreTable;

interface Options {
  readonly operator: string;
  readonly find: StoreFinder;
  readonly tables: readonly StoreTable[];
  readonly timers: TimerTable | null;
  readonly kept: KeptValues;
}

/** The key under way, shared by an operator's stores. */
interface Scope {
  key: string;
}

/** The stores of one operator of a task; see OperatorStores. */
export class TaskOperatorStores implements OperatorStores {
  readonly timers: KeyTimers;
  readonly #scope: Scope = { key: 'z' };
  readonly #options: Options;
  readonly #timers: TimerTable | null;
  readonly #withClock: readonly StoreTable[];

  constructor(options: Options) {
    this.#options = options;
    this.#timers = options.timers;
    this.#withClock = options.tables.filter(({ bucketMs }) => bucketMs > 0);
    const scope = this.#scope;
    const timers = (): TimerTable => {
      if (options.timers !== null) return options.timers;
      throw new TypeError(
        `operator ${options.operator} has no timers: its shape is to declare them`,
      );
    };
    this.timers = {
      set: (timeMs) => timers().set(scope.key, timeMs),
      delete: (timeMs) => timers().delete(scope.key, timeMs),
    };
  }

  keepUpdated(): void {
    this.#options.kept.keepLent();
  }

  setKey(key: string): void {
    this.#scope.key = key;
  }

  setTime(watermarkMs: number): void {
    for (const table of this.#withClock) table.setTime(watermarkMs);
  }

  value<Value>(name: string): ValueStore<Value> {
    const table = this.#find(name, 'value', ValueTable);
    const scope = this.#scope;
    const { kept } = this.#options;
    const { isPlain } = table;
    return {
      get: () => table.get(scope.key) as Value | undefined,
      put: (value) => {
        if (isPlain) kept.keep(table.name, value);
        table.put(scope.key, value);
      },
      delete: () => table.deleteKey(scope.key),
      update: (make) => {
        const value = table.update(scope.key, make) as Value;
        if (isPlain) kept.lend(table.name, value);
        return value;
      },
    };
  }

  map<Value>(name: string): MapStore<Value> {
    return new KeyMap<Value>(this.#find(name, 'map', MapTable), this.#scope, this.#options.kept);
  }

  list<Value>(name: string): ListStore<Value> {
    const table = this.#find(name, 'list', ListTable);
    const scope = this.#scope;
    return {
      append: (value) => {
        if (table.isPlain) this.#options.kept.keep(table.name, value);
        table.append(scope.key, value);
      },
      values: () => table.values(scope.key) as readonly Value[],
      clear: () => table.deleteKey(scope.key),
    };
  }

  #find<Table extends StoreTable>(
    name: string,
    kind: string,
    type: abstract new (...options: never[]) => Table,
  ): Table {
    const table = this.#options.find(name);
    if (table instanceof type) return table;
    throw new TypeError(`store ${name} of operator ${this.#options.operator} is no ${kind} store`);
  }

  get isEmpty(): boolean {
    const { tables } = this.#options;
    return (this.#timers?.keys ?? 0) === 0 && tables.every(({ keys }) => keys === 0);
  }

  get earliestTimerMs(): number {
    return this.#timers?.earliestMs ?? Infinity;
  }

  takeDue(throughMs: number): { readonly timeMs: number; readonly key: string } | null {
    const due = this.#timers?.takeDue(throughMs) ?? null;
    if (due !== null) this.#scope.key = due.key;
    return due;
  }
}

class KeyMap<Value> implements MapStore<Value> {
  readonly #table: MapTable;
  readonly #scope: Scope;
  readonly #kept: KeptValues;

  constructor(table: MapTable, scope: Scope, kept: KeptValues) {
    this.#table = table;
    this.#scope = scope;
    this.#kept = kept;
  }

  get(entry: MapEntryName): Value | undefined {
    return this.#table.get(this.#scope.key, entry) as Value | undefined;
  }

  put(entry: MapEntryName, value: Value): void {
    if (this.#table.isPlain) this.#kept.keep(this.#table.name, value);
    this.#table.put(this.#scope.key, entry, value);
  }

  delete(entry: MapEntryName): void {
    this.#table.delete(this.#scope.key, entry);
  }

  deleteRange(from: number, to: number): void {
    this.#table.deleteRange(this.#scope.key, from, to);
  }

  clear(): void {
    this.#table.deleteKey(this.#scope.key);
  }

  update(entry: MapEntryName, make: () => Value): Value {
    const value = this.#table.update(this.#scope.key, entry, make) as Value;
    if (this.#table.isPlain) this.#kept.lend(this.#table.name, value);
    return value;
  }

  entries(): Iterable<readonly [MapEntryName, Value]> {
    return this.#table.entries(this.#scope.key) as [MapEntryName, Value][];
  }

  get size(): number {
    return this.#table.size(this.#scope.key);
  }
}
