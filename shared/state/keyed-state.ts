import type { StateChange } from '../model/commit';

/** One map of a task's state. Values are JSON and treated as immutable: put a new one, never mutate. */
export interface KeyedStore<Value = unknown> {
  readonly name: string;
  get(key: string): Value | undefined;
  put(key: string, value: Value): void;
  delete(key: string): void;
  readonly size: number;
  entries(): IterableIterator<[string, Value]>;
}

interface UndoEntry {
  readonly store: JournalledStore;
  readonly key: string;
  readonly before: unknown;
}

class JournalledStore implements KeyedStore {
  readonly name: string;
  readonly values = new Map<string, unknown>();
  readonly #journal: UndoEntry[];

  constructor(name: string, journal: UndoEntry[]) {
    this.name = name;
    this.#journal = journal;
  }

  get(key: string): unknown {
    return this.values.get(key);
  }

  put(key: string, value: unknown): void {
    this.#journal.push({ store: this, key, before: this.values.get(key) });
    this.values.set(key, value);
  }

  delete(key: string): void {
    const before = this.values.get(key);
    if (before === undefined) return;
    this.#journal.push({ store: this, key, before });
    this.values.delete(key);
  }

  get size(): number {
    return this.values.size;
  }

  entries(): IterableIterator<[string, unknown]> {
    return this.values.entries();
  }
}

/**
 * The keyed state of one task between commits. Every put and delete is journalled, so that an event
 * that fails half-way, or a batch whose commit is refused, leaves no trace; and so that a commit
 * writes only the keys it touched.
 */
export class KeyedState {
  readonly #stores = new Map<string, JournalledStore>();
  readonly #journal: UndoEntry[] = [];

  /** The store of that name, made empty on first use. */
  store<Value = unknown>(name: string): KeyedStore<Value> {
    let store = this.#stores.get(name);
    if (store === undefined) {
      store = new JournalledStore(name, this.#journal);
      this.#stores.set(name, store);
    }
    return store as KeyedStore as KeyedStore<Value>;
  }

  /** A point to roll back to. */
  mark(): number {
    return this.#journal.length;
  }

  rollback(mark: number): void {
    while (this.#journal.length > mark) {
      const entry = this.#journal.pop();
      if (entry === undefined) return;
      if (entry.before === undefined) entry.store.values.delete(entry.key);
      else entry.store.values.set(entry.key, entry.before);
    }
  }

  /** What changed since the last `settle`: one put or delete per key touched. */
  changes(): StateChange[] {
    const touched = new Map<JournalledStore, Set<string>>();
    for (const { store, key } of this.#journal) {
      let keys = touched.get(store);
      if (keys === undefined) touched.set(store, (keys = new Set()));
      keys.add(key);
    }
    return Array.from(touched, ([store, keys]) => {
      const puts: [string, unknown][] = [];
      const deletes: string[] = [];
      for (const key of keys) {
        const value = store.values.get(key);
        if (value === undefined) deletes.push(key);
        else puts.push([key, value]);
      }
      return { store: store.name, puts, deletes };
    });
  }

  /** The changes are in the log: forget how to undo them. */
  settle(): void {
    this.#journal.length = 0;
  }

  /** Replays a commit's changes. Nothing unsettled may be open. */
  apply(changes: readonly StateChange[]): void {
    for (const change of changes) {
      const store = this.store(change.store);
      for (const [key, value] of change.puts) store.put(key, value);
      for (const key of change.deletes) store.delete(key);
    }
    this.settle();
  }

  keyCount(): number {
    let keys = 0;
    for (const store of this.#stores.values()) keys += store.size;
    return keys;
  }

  /** Everything, as changes from empty. */
  dump(): StateChange[] {
    return Array.from(this.#stores.values(), (store) => ({
      store: store.name,
      puts: Array.from(store.values),
      deletes: [],
    }));
  }
}
