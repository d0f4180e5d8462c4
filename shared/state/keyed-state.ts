import type { StateSection } from '../model/commit';
import { StreamError } from '../model/errors';

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

  /** All stores there are. */
  stores(): IterableIterator<KeyedStore> {
    return this.#stores.values();
  }

  /** Stores whose names begin so, of those that there are. */
  storesUnder(prefix: string): readonly KeyedStore[] {
    return Array.from(this.#stores.values()).filter(({ name }) => name.startsWith(prefix));
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

  /**
   * What changed since the last `settle`, one section per store: a put or delete per key touched.
   * @returns null where it takes more than `bytesMax`: the rest of it is not encoded
   */
  changes(bytesMax = Infinity): StateSection[] | null {
    const touched = new Map<JournalledStore, Set<string>>();
    for (const { store, key } of this.#journal) {
      let keys = touched.get(store);
      if (keys === undefined) touched.set(store, (keys = new Set()));
      keys.add(key);
    }
    const sections: StateSection[] = [];
    let left = bytesMax;
    for (const [store, keys] of touched) {
      const puts: [string, unknown][] = [];
      const deletes: string[] = [];
      for (const key of keys) {
        const value = store.values.get(key);
        if (value === undefined) deletes.push(key);
        else puts.push([key, value]);
      }
      const text = changesText(puts, deletes, left);
      if (text === null) return null;
      const bytes = Buffer.from(text);
      left -= bytes.byteLength;
      if (left < 0) return null;
      sections.push({ store: store.name, bytes });
    }
    return sections;
  }

  /** The changes are in the log: forget how to undo them. */
  settle(): void {
    this.#journal.length = 0;
  }

  /**
   * Replays a commit's changes. Nothing unsettled may be open.
   * @throws StreamError STREAM_LOG_CORRUPT where a section is not what `changes` makes
   */
  apply(sections: readonly StateSection[]): void {
    for (const { bytes, store: name } of sections) {
      const store = this.store(name);
      const { deletes, puts } = parseChanges(name, bytes);
      for (const [key, value] of puts) store.put(key, value);
      for (const key of deletes) store.delete(key);
    }
    this.settle();
  }

  keyCount(): number {
    let keys = 0;
    for (const store of this.#stores.values()) keys += store.size;
    return keys;
  }

  /** Begins to write down the state as it is now; nothing unsettled may be open. */
  beginSnapshot(): SnapshotUnderWay {
    const stores = Array.from(this.#stores.values(), ({ name, values }) => [name, [...values]]);
    let part: Uint8Array | null = Buffer.from(JSON.stringify(stores));
    return {
      get isDone(): boolean {
        return part === null;
      },
      next: () => {
        const taken = part;
        part = null;
        return taken;
      },
      end: () => {
        part = null;
      },
    };
  }

  /**
   * Takes in a part of a snapshot; those of one snapshot in any order.
   * @param isWanted by the store's name; absent: all are
   */
  restore(part: Uint8Array, isWanted: (store: string) => boolean = () => true): void {
    const text = Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString('utf8');
    // Our own encoder wrote it, and its CRC was checked.
    for (const [name, entries] of JSON.parse(text) as [string, [string, unknown][]][]) {
      if (!isWanted(name)) continue;
      const { values } = this.store(name) as JournalledStore;
      for (const [key, value] of entries) values.set(key, value);
    }
  }
}

/** A snapshot that is encoded in slices between commits. */
export interface SnapshotUnderWay {
  /** Everything is encoded and handed out. */
  readonly isDone: boolean;
  /** Goes on until a part is full (given back), all is encoded, or the slice is over (null). */
  next(isOver: () => boolean): Uint8Array | null;
  /** Gives up what is not encoded yet. */
  end(): void;
}

/** Of a store's changes, made text at one time. */
const putsPerPiece = 32;

/** Piece by piece: all of what a batch changed may be beyond any limit. */
function changesText(
  puts: readonly (readonly [string, unknown])[],
  deletes: readonly string[],
  lengthMax: number,
): string | null {
  const pieces: string[] = [];
  let length = 0;
  for (let start = 0; start < puts.length; start += putsPerPiece) {
    const piece = pieceText(puts.slice(start, start + putsPerPiece));
    if (piece === null) return null;
    length += piece.length;
    if (length > lengthMax) return null;
    pieces.push(piece);
  }
  return `{"puts":[${pieces.join(',')}],"deletes":${JSON.stringify(deletes)}}`;
}

/** Null for what no text can hold. */
function pieceText(puts: readonly (readonly [string, unknown])[]): string | null {
  try {
    return JSON.stringify(puts).slice(1, -1);
  } catch (cause) {
    if (cause instanceof RangeError) return null;
    throw cause;
  }
}

interface Changes {
  readonly puts: readonly (readonly [string, unknown])[];
  readonly deletes: readonly string[];
}

function parseChanges(store: string, bytes: Uint8Array): Changes {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  let changes: Partial<Changes> | null = null;
  let cause: unknown;
  try {
    changes = JSON.parse(text) as Partial<Changes> | null;
  } catch (error) {
    cause = error;
  }
  const { deletes, puts } = changes ?? {};
  const isWhole =
    Array.isArray(puts) &&
    puts.every((put: unknown) => Array.isArray(put) && typeof put[0] === 'string') &&
    Array.isArray(deletes) &&
    deletes.every((key: unknown) => typeof key === 'string');
  if (isWhole) return { puts: puts as Changes['puts'], deletes: deletes };
  throw new StreamError(
    'STREAM_LOG_CORRUPT',
    `the changes of store ${store} are not what this build writes. Nothing of them was applied. Restore the ` +
      'log from a copy, or begin the topology anew (millrace reset)',
    { ...(cause !== undefined && { cause }), details: { store } },
  );
}
