import { StreamError } from '../model/errors';
import { canonicalJson } from '../model/plan-document';
import type { Telemetry } from '../model/ports';
import type { TaskAddress } from '../model/task-address';
import type { TablePlan } from '../model/table';
import type { AdoptedPlan } from '../model/topology-plan';
import type { KeyedStore } from '../state/stores';
import type { TaskStores } from '../state/task-stores';

/** By node: the fingerprint of what its stores hold. By `table <name>`: the table that rows in the log are for. */
const keptStore = '$kept';

interface KeptStateOptions {
  readonly keyed: TaskStores;
  readonly address: TaskAddress;
  readonly plan: AdoptedPlan;
  readonly tables: readonly TablePlan[];
  /** Whether rows of a table wait in the log. */
  readonly hasRows: (table: string) => boolean;
  readonly telemetry: Telemetry;
}

/**
 * What a task's state means, kept with the state itself: by the log alone it is known whether the plan at work
 * is the one that wrote it, though control was deleted or tampered with. A store is kept or refused before the
 * first event; nothing open is dropped uncounted.
 */
export class KeptState {
  readonly #options: KeptStateOptions;
  readonly #store: KeyedStore<string>;
  /** What the log is to say from the next commit on. */
  readonly #wanted: ReadonlyMap<string, string>;

  constructor(options: KeptStateOptions) {
    const { address, keyed, plan, tables } = options;
    this.#options = options;
    this.#store = keyed.store(keptStore);
    const own = (plan.nodes ?? []).filter(
      ({ fingerprint, stages }) => stages.includes(address.stage) && fingerprint !== null,
    );
    this.#wanted = new Map([
      ...own.map((node) => [node.name, canonicalJson(node.fingerprint)] as const),
      ...tables.map((table) => [entryOf(table.name), tableText(table)] as const),
    ]);
  }

  /** @throws StreamError STREAM_STATE_MISMATCH where something is open that this plan has no use for */
  check(): void {
    const { keyed, plan } = this.#options;
    if (plan.nodes === undefined) return;
    for (const [name, text] of this.#store.entries()) {
      if (isTable(name) || this.#wanted.get(name) === text) continue;
      const keys = keyed.keysOf(name);
      if (keys > 0 && !this.#isGivenUp(name)) throw this.#mismatch(name, { text, keys });
    }
  }

  /** Before each commit: what has changed since the log was written goes into it. */
  note(): void {
    const { address, hasRows, keyed, plan, telemetry } = this.#options;
    for (const [name, text] of this.#wanted) {
      if (this.#store.get(name) !== text) this.#store.put(name, text);
    }
    if (plan.nodes === undefined || this.#store.size === this.#wanted.size) return;
    for (const [name] of Array.from(this.#store.entries())) {
      if (this.#wanted.has(name)) continue;
      if (isTable(name)) {
        if (!hasRows(tableOf(name))) this.#store.delete(name);
        continue;
      }
      const keys = keyed.keysOf(name);
      keyed.clear(name);
      this.#store.delete(name);
      if (keys > 0) telemetry.emit('warn', 'task.state-given-up', { ...address, node: name, keys });
    }
  }

  /** Rows that wait in the log may be for other tables than the plan's, or for other columns. */
  hasOtherTables(): boolean {
    return Array.from(this.#store.entries()).some(
      ([name, text]) => isTable(name) && this.#wanted.get(name) !== text,
    );
  }

  /** Somebody has decided that a table is done without, whatever becomes of its rows. */
  isTableGivenUp(table: string): boolean {
    const isWanted = this.#wanted.has(entryOf(table));
    return !isWanted && (this.#options.plan.givenUp ?? []).includes(table);
  }

  #isGivenUp(name: string): boolean {
    return !this.#wanted.has(name) && (this.#options.plan.givenUp ?? []).includes(name);
  }

  #mismatch(name: string, { keys, text }: { text: string; keys: number }): StreamError {
    const { stage, topology } = this.#options.address;
    const wanted = this.#wanted.get(name);
    const difference =
      wanted === undefined
        ? `the topology has no ${name} in stage ${stage} any more`
        : `the topology now says ${wanted}`;
    const remove =
      wanted === undefined
        ? `; or millrace remove ${topology} ${name} gives up what is open in it`
        : '';
    return new StreamError(
      'STREAM_STATE_MISMATCH',
      `${name} of stage ${stage} has ${keys} keys open, kept as ${text}; ${difference}. Put it back, or decide what becomes of it: ` +
        `millrace decide ${topology} new-version begins a new version, and counts what is given up${remove}`,
      {
        details: {
          ...this.#options.address,
          node: name,
          found: text,
          wanted: wanted ?? null,
          keys,
        },
      },
    );
  }
}

/** The nodes that a log holds state of, whichever plan wrote it. */
export function nodesKept(keyed: TaskStores): readonly string[] {
  const kept = Array.from(keyed.store<string>(keptStore).entries(), ([name]) => name);
  return kept.filter((name) => !isTable(name));
}

/** The table that rows in the log are for, as the log itself says; undefined: it does not. */
export function tableTextKept(keyed: TaskStores, table: string): string | undefined {
  return keyed.store<string>(keptStore).get(entryOf(table));
}

/** Whatever a former plan gathered leaves at once. */
const noRows = { rowsMax: 1, bytesMax: 1, ageMaxMs: 1 };

export function parseKeptTable(name: string, text: string): TablePlan {
  // Our own: the record's CRC vouches for it.
  return { name, ...(JSON.parse(text) as Omit<TablePlan, 'name' | 'flush'>), flush: noRows };
}

function entryOf(table: string): string {
  return `table ${table}`;
}

function isTable(name: string): boolean {
  return name.startsWith('table ');
}

function tableOf(entry: string): string {
  return entry.slice('table '.length);
}

/** All that tells where rows go; limits of flushes may differ from build to build. */
function tableText({ columns, format, partitionBy }: TablePlan): string {
  const plain = columns.map(({ name, nullable, type }) => ({ name, nullable, type }));
  return canonicalJson({ columns: plain, format, partitionBy });
}
