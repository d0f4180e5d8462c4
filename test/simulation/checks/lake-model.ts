import { parquetReadObjects } from 'hyparquet';
import type { CommitRecord } from '../../../shared/model/commit';
import { holds, same } from './invariants';

interface DeltaAction {
  readonly txn?: { readonly appId: string; readonly version: number };
  readonly add?: { readonly path: string; readonly stats: string };
  readonly remove?: { readonly path: string };
}

interface CommitRows {
  readonly commit: number;
  readonly rows: number;
  /** Of all columns that the table ever has. */
  readonly texts: readonly string[];
}

/** One Delta table, followed version by version; reads its log without the engine's reader. */
export class LakeModel {
  readonly table: string;
  readonly columns: readonly string[];
  /** Per task: commits with rows for this table, oldest first. */
  readonly #commits = new Map<string, CommitRows[]>();
  /** Per task: the last commit that the table's log shows. */
  readonly #through = new Map<string, number>();
  readonly #live = new Set<string>();
  readonly #objects = new Map<string, Uint8Array>();
  #version = -1;

  constructor(table: string, columns: readonly string[]) {
    this.table = table;
    this.columns = columns;
  }

  get #folder(): string {
    return `tables/${this.table}/`;
  }

  /** @param task its name in the table's log, without the epoch */
  onCommit(task: string, record: CommitRecord): void {
    const flushed = record.summary.flushedThrough[this.table];
    if (flushed !== undefined) this.mustHold(task, flushed);
    const found = record.rows.find(({ table }) => table === this.table);
    if (found === undefined || found.count === 0) return;
    const commits = this.#commits.get(task) ?? [];
    // A column that the build did not have is null, and the last one.
    const texts = Buffer.from(found.lines)
      .toString()
      .split('\n')
      .map((line) => {
        const cells = JSON.parse(line) as unknown[];
        return JSON.stringify(this.columns.map((_, at) => cells[at] ?? null));
      });
    same(texts.length, found.count, 'I13', `${task}: rows for ${this.table}`);
    commits.push({ commit: record.commit, rows: found.count, texts });
    this.#commits.set(task, commits);
  }

  /** All rows of commits up to that one are in the table. */
  mustHold(task: string, throughCommit: number): void {
    const through = this.#through.get(task) ?? 0;
    const missing = (this.#commits.get(task) ?? []).find(
      ({ commit }) => commit > through && commit <= throughCommit,
    );
    holds(missing === undefined, 'I4', () => {
      return `${task} says that ${this.table} has its rows through ${throughCommit}, it has them through ${through}`;
    });
  }

  onPut(name: string, bytes: Uint8Array): void {
    if (!name.startsWith(this.#folder)) return;
    this.#objects.set(name, bytes);
    const version = /_delta_log\/(\d{20})\.json$/.exec(name)?.[1];
    if (version === undefined) return;
    same(Number(version), this.#version + 1, 'I3', `${this.table}: its next version`);
    this.#version += 1;
    this.#onVersion(bytes);
  }

  onDeleted(name: string): void {
    holds(!this.#live.has(name), 'I3', () => `${name} is deleted, and the table refers to it`);
    this.#objects.delete(name);
  }

  #onVersion(bytes: Uint8Array): void {
    const lines = Buffer.from(bytes).toString().trim().split('\n');
    const actions = lines.map((line) => JSON.parse(line) as DeltaAction);
    let rows = 0;
    for (const { add, remove } of actions) {
      holds(remove === undefined, 'I3', () => `${this.table}: a file is removed`);
      if (add === undefined) continue;
      const name = this.#folder + decodeURIComponent(add.path);
      holds(!this.#live.has(name), 'I3', () => `${this.table}: ${name} is added twice`);
      holds(this.#objects.has(name), 'I4', () => `${this.table} refers to ${name}: not there`);
      this.#live.add(name);
      rows += (JSON.parse(add.stats) as { numRecords: number }).numRecords;
    }
    const txn = actions.find((action) => action.txn !== undefined)?.txn;
    if (txn === undefined) {
      same(rows, 0, 'I3', `${this.table}: rows without a txn`);
      return;
    }
    const task = txn.appId.slice(0, txn.appId.lastIndexOf('/'));
    const before = this.#through.get(task) ?? 0;
    holds(txn.version > before, 'I3', () => `${this.table}: ${txn.appId} flushes ${before} again`);
    const commits = this.#commits.get(task) ?? [];
    holds(
      (commits.at(-1)?.commit ?? 0) >= txn.version,
      'I4',
      () => `${this.table} is ahead of the log of ${txn.appId}: ${txn.version}`,
    );
    const expected = commits
      .filter(({ commit }) => commit > before && commit <= txn.version)
      .reduce((sum, one) => sum + one.rows, 0);
    same(rows, expected, 'I3', `${this.table}: rows of ${task} from ${before} to ${txn.version}`);
    this.#through.set(task, txn.version);
  }

  get isComplete(): boolean {
    return Array.from(this.#commits).every(([task, commits]) => {
      const through = this.#through.get(task) ?? 0;
      return (commits.at(-1)?.commit ?? 0) <= through;
    });
  }

  /** Rows that tasks said they have for the table, and that are in it: as sorted JSON texts. */
  get rowsDue(): string[] {
    return Array.from(this.#commits, ([task, commits]) => {
      const through = this.#through.get(task) ?? 0;
      return commits.filter(({ commit }) => commit <= through).flatMap(({ texts }) => texts);
    })
      .flat()
      .sort();
  }

  /** The rows of all live files as sorted JSON texts in column order. */
  async rows(): Promise<string[]> {
    const rows: string[] = [];
    for (const name of this.#live) {
      const file = Uint8Array.from(this.#objects.get(name) ?? []).buffer;
      for (const row of await parquetReadObjects({ file })) {
        rows.push(JSON.stringify(this.columns.map((column) => plain(row[column]))));
      }
    }
    return rows.sort();
  }
}

function plain(cell: unknown): unknown {
  if (typeof cell === 'bigint') return Number(cell);
  return cell instanceof Date ? cell.getTime() : (cell ?? null);
}
