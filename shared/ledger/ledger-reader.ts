import { listLogs, readLog, type LogPosition } from '../commit-log/log-reader';
import { logPrefix } from '../commit-log/names';
import {
  addLedgers,
  emptyLedger,
  type Cursor,
  type LedgerCounts,
  type LogRecord,
  type Promotion,
} from '../model/commit';
import type { AppendStore } from '../model/ports';
import { isLaterVersion } from '../model/version-name';
import { taskIdPrefix } from '../task/task-identity';
import type { TaskAddress } from '../model/task-address';

/** What a task's log says of it, recounted from its records. */
export interface TaskAccount {
  readonly path: TaskAddress;
  readonly ledger: LedgerCounts;
  readonly commits: number;
  /** Appends beside the commits: attempts of workers that took the task over. */
  readonly attempts: number;
  readonly cursor: Cursor | null;
  readonly watermarkMs: number | null;
  readonly lastCommittedAtMs: number;
  /** The last time that its hub was promoted and had lost what was read of it; null: never. */
  readonly promotion: Promotion | null;
  /** Per table: the last commit that holds rows for it. */
  readonly rowsThrough: Readonly<Record<string, number>>;
}

interface Following {
  account: TaskAccount;
  next: LogPosition | null;
}

/**
 * Recounts the ledger of a topology from its commit logs. It keeps its place: a refresh reads only
 * what was appended since.
 */
export class LedgerReader {
  readonly #appends: AppendStore;
  readonly #topology: string;
  readonly #tasks = new Map<string, Following>();

  constructor(options: { appends: AppendStore; topology: string }) {
    this.#appends = options.appends;
    this.#topology = options.topology;
  }

  /** One account per task, by stage and partition. */
  async refresh(): Promise<readonly TaskAccount[]> {
    for (const lives of livesByTask(await listLogs(this.#appends, this.#topology))) {
      for (const path of lives) {
        // One that somebody is about to begin says nothing yet: the life before it does.
        if (await this.#read(path)) break;
      }
    }
    return Array.from(this.#tasks.values(), ({ account }) => account).sort(byStageAndPartition);
  }

  /** False: the log holds nothing. */
  async #read(path: TaskAddress): Promise<boolean> {
    const name = `${path.stage}/${path.partition}`;
    const known = this.#tasks.get(name);
    const isKnown = known !== undefined && logPrefix(known.account.path) === logPrefix(path);
    const following = isKnown ? known : { account: emptyAccount(path), next: null };
    const stretch = await readLog(this.#appends, path, following.next);
    if (!isKnown && stretch.records.length === 0) return false;
    let account = stretch.isBroken ? emptyAccount(path) : following.account;
    for (const record of stretch.records) account = count(account, record);
    this.#tasks.set(name, { account, next: stretch.next });
    return true;
  }
}

function count(account: TaskAccount, record: LogRecord): TaskAccount {
  switch (record.kind) {
    case 'attempt':
      return { ...account, attempts: account.attempts + 1 };
    case 'header': {
      // Earlier generations may be gone: what they came to is in the header.
      if (record.summary === null || account.commits > 0) return account;
      const { commit, cursor, ledger, promotion, watermarkMs } = record.summary;
      return { ...account, ledger, commits: commit, cursor, watermarkMs, promotion };
    }
    case 'commit':
      return {
        ...account,
        ledger: addLedgers(account.ledger, record.ledger),
        commits: record.commit,
        cursor: record.to,
        watermarkMs: record.watermarkMs,
        promotion: record.summary.promotion,
        lastCommittedAtMs: record.committedAtMs,
        rowsThrough: {
          ...account.rowsThrough,
          ...Object.fromEntries(record.rows.map(({ table }) => [table, record.commit])),
        },
      };
    case 'plan':
    case 'seal':
      return account;
  }
}

/**
 * A life of a task (incarnation, version) begins with the totals of the one before: counting both would count
 * twice. The newest first.
 */
function livesByTask(paths: readonly TaskAddress[]): readonly TaskAddress[][] {
  const tasks = new Map<string, TaskAddress[]>();
  for (const path of paths) {
    const name = `${path.stage}/${path.partition}`;
    tasks.set(name, [...(tasks.get(name) ?? []), path]);
  }
  return Array.from(tasks.values(), (lives) =>
    lives.sort((left, right) => (isNewerLife(left, right) ? -1 : 1)),
  );
}

/** Of two lives of one task: versions follow each other, and in each the lives on its hubs. */
export function isNewerLife(path: TaskAddress, than: TaskAddress): boolean {
  if (path.version === than.version) return path.incarnation > than.incarnation;
  return isLaterVersion(path.version, than.version);
}

function emptyAccount(path: TaskAddress): TaskAccount {
  return {
    path,
    ledger: emptyLedger,
    commits: 0,
    attempts: 0,
    cursor: null,
    watermarkMs: null,
    lastCommittedAtMs: 0,
    promotion: null,
    rowsThrough: {},
  };
}

function byStageAndPartition(left: TaskAccount, right: TaskAccount): number {
  return (
    left.path.stage.localeCompare(right.path.stage) ||
    Number(left.path.partition) - Number(right.path.partition)
  );
}

/** Events read that have no end; below 0: so many ends too many. */
export function endsMissing(ledger: LedgerCounts): number {
  const { deadLettered, emitted, filtered, late, read } = ledger;
  return read - (emitted + filtered + late + deadLettered);
}

/** True when every event read has exactly one end. */
export function isBalanced(ledger: LedgerCounts): boolean {
  return endsMissing(ledger) === 0;
}

/** Totals per stage, in the order of the plan's stages given. */
export function totalsByStage(accounts: readonly TaskAccount[]): ReadonlyMap<string, LedgerCounts> {
  const totals = new Map<string, LedgerCounts>();
  for (const { ledger, path } of accounts) {
    totals.set(path.stage, addLedgers(totals.get(path.stage) ?? emptyLedger, ledger));
  }
  return totals;
}

/** True when a table's log shows every row that these tasks' logs hold for it. */
export function isFlushed(
  accounts: readonly Pick<TaskAccount, 'path' | 'rowsThrough'>[],
  table: string,
  flushedThrough: ReadonlyMap<string, number>,
): boolean {
  return accounts.every(({ path, rowsThrough }) => {
    const wanted = rowsThrough[table];
    if (wanted === undefined) return true;
    const task = taskIdPrefix(path);
    return Array.from(flushedThrough).some(
      ([name, commit]) => name.startsWith(task) && commit >= wanted,
    );
  });
}
