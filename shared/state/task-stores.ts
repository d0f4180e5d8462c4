import type { StateSection } from '../model/commit';
import { invariant, StreamError } from '../model/errors';
import { TaskOperatorStores, type StoreFinder } from './operator-stores';
import { KeptValues } from './kept-values';
import { ListTable } from './list-table';
import { Journal, type JournalEntry, type JournalOwner } from './journal';
import { MapTable } from './map-table';
import { OperationWriter, readSection, storeKinds, type StoreHead } from './operations';
import { decodePart, StateSnapshot } from './snapshot';
import { bucketsPerLife, plainCodec, type StateSizes, type StoreTable } from './store-table';
import type {
  KeyedStore,
  OperatorStores,
  OperatorStoresShape,
  StoreCodec,
  StoreShape,
} from './stores';
import { TimerTable } from './timer-table';
import { ValueTable } from './value-table';

/** What one key, entry or timer takes in memory beside its bytes, and how much larger values are there. */
const memoryBytesPerSlot = 120;
export const memoryPerEncodedByte = 3;

/** How much a task holds. */
export interface StateSize {
  /** Keys, over all stores; a key counts in each store that has content for it. */
  readonly keys: number;
  /** Names and values, encoded. */
  readonly bytes: number;
  /** What they take in memory, as measured by `npm run bench:state`: an estimate on the high side. */
  readonly memoryBytes: number;
}

/**
 * The state of one task: the stores and timers of its operators, and those of the engine (`$…`), under one
 * journal, so that an event that fails half-way, or a batch whose commit is refused, leaves no trace; and so
 * that a commit writes what it touched and costs no more.
 *
 * Between two commits: change, `mark` and `rollback`; then `changes`, and once they are in the log `settle`,
 * or `rollback(0)` where they were refused.
 */
export class TaskStores {
  readonly #journal = new Journal();
  readonly #sizes: StateSizes = { keys: 0, entries: 0, bytes: 0 };
  readonly #tables = new Map<string, StoreTable>();
  readonly #declared = new Set<string>();
  readonly #writer = new OperationWriter();
  readonly #kept = new KeptValues();
  #snapshot: StateSnapshot | null = null;

  /** A store of the engine's own; made empty on first use. Its name begins with `$`. */
  store<Value = unknown>(name: string): KeyedStore<Value> {
    const table = this.#declare({ name, kind: 0, bucketMs: 0 }, plainCodec) as ValueTable;
    return new PlainStore<Value>(table);
  }

  /** Stores of the engine's own that hold anything. */
  *stores(): Generator<KeyedStore> {
    for (const table of this.#tables.values()) {
      if (table instanceof ValueTable && table.name.startsWith('$')) yield new PlainStore(table);
    }
  }

  /** The stores of an operator. What was taken in for them before is theirs. */
  open(operator: string, shape: OperatorStoresShape): OperatorStores {
    const tables = new Map(
      shape.stores.map((store) => [
        store.name,
        this.#declare(headOf(operator, store), codecOf(store)),
      ]),
    );
    const timers =
      shape.timers === 'none'
        ? null
        : (this.#declare(
            { name: timersName(operator), kind: 3, bucketMs: 0 },
            plainCodec,
          ) as TimerTable);
    const find: StoreFinder = (name) => {
      const table = tables.get(name);
      if (table !== undefined) return table;
      throw new TypeError(`operator ${operator} has no store ${name}: its shape is to declare it`);
    };
    return new TaskOperatorStores({
      operator,
      find,
      tables: [...tables.values()],
      timers,
      kept: this.#kept,
    });
  }

  /** Keys that an operator holds something for. */
  keysOf(operator: string): number {
    let keys = 0;
    for (const table of this.#tables.values()) {
      if (table.name.startsWith(`${operator}/`)) keys = Math.max(keys, table.keys);
    }
    return keys;
  }

  /** Gives up all that an operator holds, its timers too. */
  clear(operator: string): void {
    for (const table of this.#tables.values()) {
      if (!table.name.startsWith(`${operator}/`)) continue;
      for (const { name } of Array.from(table.slots())) table.deleteKey(name);
    }
  }

  /** Stores with content that nobody has declared: of operators that the topology no longer has. */
  undeclared(): readonly string[] {
    return Array.from(this.#tables.values())
      .filter(({ keys, name }) => keys > 0 && !this.#declared.has(name))
      .map(({ name }) => name)
      .sort();
  }

  #declare(head: StoreHead, codec: StoreCodec<unknown>): StoreTable {
    const table = this.#table(head);
    if (table.kind !== head.kind || table.bucketMs !== head.bucketMs) throw otherStore(table, head);
    if (!this.#declared.has(head.name)) table.adopt(codec);
    this.#declared.add(head.name);
    return table;
  }

  #table(head: StoreHead): StoreTable {
    let table = this.#tables.get(head.name);
    if (table === undefined) {
      table = this.#newTable(head);
      this.#tables.set(head.name, table);
    }
    return table;
  }

  #newTable(head: StoreHead): StoreTable {
    const options = { ...head, journal: this.#journal, sizes: this.#sizes, codec: plainCodec };
    switch (head.kind) {
      case 0:
        return new ValueTable(options);
      case 1:
        return new MapTable(options);
      case 2:
        return new ListTable(options);
      default:
        return new TimerTable(options);
    }
  }

  /** A point to roll back to. */
  mark(): number {
    return this.#journal.mark();
  }

  /** Undoes everything since a mark; 0: since the last `settle`. Costs what was touched. */
  rollback(mark: number): void {
    this.#kept.forgetLent();
    this.#journal.rollback(mark);
  }

  /**
   * The event (or events) since the last mark are done: what they changed in place is kept as it is now.
   * @throws TypeError: the log cannot hold it; roll back
   */
  keepUpdated(): void {
    this.#kept.keepLent();
  }

  /**
   * What changed since the last `settle`, encoded; null where that takes more than `bytesMax`. `size` tells
   * from here on what there is with it.
   */
  changes(bytesMax = Infinity): StateSection[] | null {
    const entries = new Map<JournalOwner, JournalEntry[]>();
    for (const entry of this.#journal.entries) {
      const ofOwner = entries.get(entry.owner);
      if (ofOwner === undefined) entries.set(entry.owner, [entry]);
      else ofOwner.push(entry);
    }
    const sections: StateSection[] = [];
    let left = bytesMax;
    for (const [owner, ofOwner] of entries) {
      const table = owner as StoreTable;
      this.#writer.begin(table);
      encodeTable(table, ofOwner, this.#writer);
      const section = this.#writer.take();
      if (section === null) continue;
      left -= section.bytes.byteLength;
      if (left < 0) return null;
      sections.push(section);
    }
    return sections;
  }

  /** The changes are in the log: forget how to undo them. */
  settle(): void {
    const { entries } = this.#journal;
    for (const entry of entries) (entry.owner as StoreTable).settle(entry);
    this.#journal.clear();
    for (const table of this.#tables.values()) if (table.bucketMs > 0) table.purge();
  }

  /**
   * Replays changes that were made elsewhere. Nothing unsettled may be open.
   * @throws StreamError STREAM_LOG_CORRUPT, STREAM_LOG_VERSION_UNKNOWN, STREAM_STATE_MISMATCH: what was
   *   replayed up to there stays; the task is to be opened anew
   */
  apply(sections: readonly StateSection[]): void {
    for (const step of this.applying(sections)) void step;
  }

  /** The same, step by step; in between nothing else may be done with the state. */
  *applying(sections: readonly StateSection[]): Generator<void> {
    invariant(this.#journal.entries.length === 0, 'nothing is half-done when changes are replayed');
    for (const section of sections) yield* readSection(section, (head) => this.#known(head));
    this.settle();
  }

  /**
   * Takes in a part of a snapshot; those of one snapshot in their order, into a state that holds nothing else.
   * @param isWanted by the store's name; absent: all are
   * @throws StreamError STREAM_LOG_VERSION_UNKNOWN, STREAM_SNAPSHOT_CORRUPT, STREAM_STATE_MISMATCH
   */
  restore(part: Uint8Array, isWanted: (store: string) => boolean = () => true): void {
    for (const step of this.restoring(part, isWanted)) void step;
  }

  /** The same, step by step; in between nothing else may be done with the state. */
  restoring(part: Uint8Array, isWanted: (store: string) => boolean = () => true): Generator<void> {
    return this.applying(decodePart(part).filter(({ store }) => isWanted(store)));
  }

  #known(head: StoreHead): StoreTable {
    const table = this.#table(head);
    if (table.kind === head.kind && table.bucketMs === head.bucketMs) return table;
    throw otherStore(head, table);
  }

  /**
   * Begins to write all of the state as it is now, between two commits. The one before is given up.
   * What changes from here on is kept aside as it was until it is written.
   */
  beginSnapshot(partBytes?: number): StateSnapshot {
    invariant(this.#journal.entries.length === 0, 'a snapshot begins between commits');
    this.#snapshot?.end();
    const tables = Array.from(this.#tables.values()).sort((left, right) =>
      left.name < right.name ? -1 : 1,
    );
    this.#snapshot = new StateSnapshot(this.#journal, tables, partBytes);
    return this.#snapshot;
  }

  get size(): StateSize {
    const { bytes, entries, keys } = this.#sizes;
    const memoryBytes = memoryPerEncodedByte * bytes + memoryBytesPerSlot * (keys + entries);
    return { keys, bytes, memoryBytes };
  }

  /** The time of the earliest timer of all operators; Infinity: there is none. */
  get earliestTimerMs(): number {
    let earliest = Infinity;
    for (const table of this.#tables.values()) {
      if (table instanceof TimerTable) earliest = Math.min(earliest, table.earliestMs);
    }
    return earliest;
  }
}

/** What went wrong in a value is told with the store that it is in. */
function encodeTable(
  table: StoreTable,
  entries: readonly JournalEntry[],
  writer: OperationWriter,
): void {
  try {
    table.encode(entries, writer);
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new StreamError(
      'STREAM_TOPOLOGY_INVALID',
      `store ${table.name} holds a value that the log cannot: ${cause.message}`,
      { cause, details: { store: table.name } },
    );
  }
}

class PlainStore<Value> implements KeyedStore<Value> {
  readonly name: string;
  readonly #table: ValueTable;

  constructor(table: ValueTable) {
    this.name = table.name;
    this.#table = table;
  }

  get(key: string): Value | undefined {
    return this.#table.get(key) as Value | undefined;
  }

  put(key: string, value: Value): void {
    this.#table.put(key, value);
  }

  delete(key: string): void {
    this.#table.deleteKey(key);
  }

  get size(): number {
    return this.#table.keys;
  }

  entries(): IterableIterator<[string, Value]> {
    const entries: [string, Value][] = [];
    for (const { name, value } of this.#table.slots()) {
      if (value !== undefined) entries.push([name, value as Value]);
    }
    return entries.sort(([left], [right]) => (left < right ? -1 : 1)).values();
  }
}

function headOf(operator: string, { kind, name, timeToLiveMs }: StoreShape): StoreHead {
  if (name.startsWith('$')) throw new TypeError(`a store's name does not begin with $: ${name}`);
  if (timeToLiveMs !== undefined && !(Number.isSafeInteger(timeToLiveMs) && timeToLiveMs > 0)) {
    throw new TypeError(`a store lives for whole milliseconds from 1, ${name} for ${timeToLiveMs}`);
  }
  return {
    name: `${operator}/${name}`,
    kind: storeKinds.indexOf(kind) as StoreHead['kind'],
    bucketMs: timeToLiveMs === undefined ? 0 : Math.ceil(timeToLiveMs / bucketsPerLife),
  };
}

function timersName(operator: string): string {
  return `${operator}/$timers`;
}

function codecOf({ codec }: StoreShape): StoreCodec<unknown> {
  return codec ?? plainCodec;
}

function otherStore(found: StoreHead, wanted: StoreHead): StreamError {
  const says = ({ bucketMs, kind }: StoreHead): string =>
    `${storeKinds[kind]}${bucketMs === 0 ? '' : ` with a time to live of ${bucketMs * bucketsPerLife} ms`}`;
  return new StreamError(
    'STREAM_STATE_MISMATCH',
    `store ${wanted.name} holds ${says(found)}, the topology wants ${says(wanted)}: put it back, or raise the version of its operator`,
    { details: { store: wanted.name } },
  );
}
