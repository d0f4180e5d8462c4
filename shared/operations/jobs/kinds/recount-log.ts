import { listGenerations } from '../../../commit-log/generation-list';
import { hubOf, incarnationOf } from '../../../commit-log/incarnations';
import { readLog } from '../../../commit-log/log-reader';
import { promotionWriterPrefix } from '../../../commit-log/names';
import { getParts } from '../../../commit-log/snapshots';
import { isBalanced } from '../../../ledger/ledger-reader';
import {
  addLedgers,
  compareCursors,
  emptyLedger,
  type CommitRecord,
  type Cursor,
  type HeaderRecord,
  type LedgerCounts,
  type LogRecord,
  type SnapshotBase,
  type StateSection,
  type TableRows,
} from '../../../model/commit';
import type { AppendStore, Clock, HubReader, ObjectStore } from '../../../model/ports';
import { outboxStorePrefix } from '../../../delivery/exchange/outbox';
import { producersStore } from '../../../delivery/exchange/producers';
import { TaskStores } from '../../../state/task-stores';
import type { FlushLimits } from '../../../model/table';
import { isTimeOver } from '../../../time/exchange-time';
import type { AuditedStage } from './audit-plans';
import type { TableFlush } from './audit-table';
import { at, HubComparison, lastOf, scanHub, type CommittedRead } from './compare-with-hub';
import type { TaskAddress } from '../../../model/task-address';

/** Something that does not agree. */
export interface Discrepancy {
  readonly where: string;
  readonly what: string;
}

/** One log, recounted. */
export interface Recount {
  readonly kind: 'log';
  readonly path: TaskAddress;
  readonly firstCommit: number;
  readonly lastCommit: number;
  readonly epoch: number;
  readonly ledger: LedgerCounts;
  readonly deadLetters: number;
  /** Events whose bytes in the hub were compared with what the log says it read. */
  readonly comparedWithHub: number;
  /** Rows of commits that the table says it holds, by table. */
  readonly flushedRows: Readonly<Record<string, number>>;
  /** Ordinal of the last event sent, by `<hub>/<partition>`; and taken in, by producer. */
  readonly sent: Readonly<Record<string, number>>;
  readonly taken: Readonly<Record<string, number>>;
  readonly lastOutboxAtMs: number;
  readonly recountedAtMs: number;
  /** Nobody can append to it any more. */
  readonly isEnded: boolean;
  /** Messages in the hub that are not read yet. */
  readonly lag: number;
  readonly discrepancies: readonly Discrepancy[];
}

/** By epoch of the task. */
export interface TableOfTask {
  /** -1: there is no such table; null: it cannot be read. */
  readonly version: number | null;
  readonly inspectedAtMs: number;
  /** The commit up to which it holds the task's rows. */
  readonly flushedThrough: Readonly<Record<string, number>>;
  readonly flushes: Readonly<Record<string, readonly TableFlush[]>>;
}

const discrepanciesMax = 50;
/** Whoever holds a task flushes what is due by then. */
const overdueMs = 60_000;

export interface RecountRequest {
  readonly path: TaskAddress;
  /** As the plan had it under which the log was written. */
  readonly plan: AuditedStage;
  readonly clock: Clock;
  /** Null: it is not compared with the hub, or nobody knows that any more. */
  readonly hub: HubReader | null;
  /** What each table says of this task. */
  readonly tables: Readonly<Record<string, TableOfTask>>;
  readonly beat: (done: number, of: number) => Promise<void>;
}

/** Recounts one log from its records, and compares what it says it read with what the hub holds. */
export async function recountLog(
  stores: { readonly appends: AppendStore; readonly objects: ObjectStore },
  request: RecountRequest,
): Promise<Recount> {
  const work = new LogRecount(request);
  await work.readFrom(stores);
  if (request.hub !== null) await work.compareWithHub(request.hub);
  return work.result();
}

interface CommittedRows extends Pick<TableRows, 'table' | 'count'> {
  readonly commit: number;
  readonly committedAtMs: number;
}

function holdsOrdinals(store: string): boolean {
  return store === producersStore || store.startsWith(outboxStorePrefix);
}

class LogRecount {
  readonly #request: RecountRequest;
  readonly #found: Discrepancy[] = [];
  readonly #rows: CommittedRows[] = [];
  readonly #sent: Record<string, number> = {};
  readonly #taken: Record<string, number> = {};
  readonly #reads: CommittedRead[] = [];
  /** By table: the commit up to which the log knows that its rows were flushed. */
  readonly #claimed = new Map<string, number>();
  #ledger: LedgerCounts = emptyLedger;
  #first = 0;
  #last = 0;
  #epoch = 0;
  #letters = 0;
  #compared = 0;
  #lag = 0;
  #lastOutboxAtMs = 0;
  #isDrained = false;
  #isEnded = false;
  /** What it has read last the hub does not hold any more: a replica goes on in its place. */
  #isHubPromoted = false;
  #cursor: Cursor | null = null;
  #base: SnapshotBase | null = null;
  /** What commits after the base changed of the ordinals of exchanges. */
  #ordinals: { readonly commit: number; readonly sections: readonly StateSection[] }[] = [];

  constructor(request: RecountRequest) {
    this.#request = request;
  }

  async readFrom(stores: { appends: AppendStore; objects: ObjectStore }): Promise<void> {
    const { path } = this.#request;
    const generations = await listGenerations(stores.appends, path);
    for (const generation of generations) {
      // One after the other: all of a log in memory at once may be gigabytes.
      const stretch = await readLog(stores.appends, path, { generation, position: 0 }, [
        generation,
      ]);
      this.#takeGeneration(stretch.records);
      await this.#request.beat(0, 0);
    }
    await this.#takeOrdinals(stores.objects);
  }

  #takeGeneration(records: readonly LogRecord[]): void {
    for (const record of records) {
      // What a log owes leaves before it is ended.
      if (record.kind === 'seal' && record.isFinal) this.#isEnded = true;
      if (record.kind === 'header') this.#takeHeader(record);
      if (record.kind === 'commit') this.#take(record);
      if (record.kind === 'seal')
        this.#isHubPromoted = record.writer.startsWith(promotionWriterPrefix);
    }
  }

  /** What earlier generations came to, which may be gone, is in the header. */
  #takeHeader({ base, summary }: HeaderRecord): void {
    if (this.#first === 0 && summary !== null) {
      this.#last = summary.commit;
      this.#cursor = summary.cursor;
      this.#epoch = summary.epoch;
      this.#takeClaims(summary.flushedThrough);
    }
    if (base === null) return;
    this.#base = base;
    this.#ordinals = this.#ordinals.filter(({ commit }) => commit > base.commit);
  }

  /** Ordinals of exchanges, both ends: the newest snapshot's, changed by the commits since. */
  async #takeOrdinals(objects: ObjectStore): Promise<void> {
    const state = new TaskStores();
    const parts = await getParts(objects, this.#base?.parts ?? []);
    for (const part of parts) state.restore(part, holdsOrdinals);
    for (const { sections } of this.#ordinals) state.apply(sections);
    for (const { name } of state.stores()) {
      for (const [key, { ordinal }] of state.store<{ readonly ordinal: number }>(name).entries()) {
        if (name === producersStore) this.#taken[key] = ordinal;
        else this.#sent[`${name.slice(outboxStorePrefix.length)}/${key}`] = ordinal;
      }
    }
  }

  #say(what: string): void {
    const { incarnation, partition, stage, topology } = this.#request.path;
    if (this.#found.length >= discrepanciesMax) return;
    this.#found.push({ where: `${topology}/${stage}/${incarnation}/${partition}`, what });
  }

  #take(record: CommitRecord): void {
    const { commit, deadLetters, from, ledger, to } = record;
    if (this.#first === 0) this.#first = commit;
    if (commit !== this.#last + 1 && this.#last !== 0) {
      this.#say(`commit ${commit} follows commit ${this.#last}`);
    }
    if (this.#cursor !== null && compareCursors(this.#cursor, from) !== 0) {
      this.#say(
        `commit ${commit} begins at ${at(from)}, the one before ended at ${at(this.#cursor)}`,
      );
    }
    if (compareCursors(to, from) < 0) this.#say(`commit ${commit} ends before it begins`);
    if (!isBalanced(ledger))
      this.#say(`commit ${commit}: ${JSON.stringify(ledger)} is not balanced`);
    const letters = deadLetters.filter(({ code }) => code !== 'STREAM_RESULT_FAILED').length;
    if (letters !== ledger.deadLettered) {
      this.#say(`commit ${commit} counts ${ledger.deadLettered} dead letters and holds ${letters}`);
    }
    this.#letters += letters;
    this.#ledger = addLedgers(this.#ledger, ledger);
    for (const { count, table } of record.rows) {
      this.#rows.push({ table, commit, count, committedAtMs: record.committedAtMs });
    }
    if (record.outbox.length > 0) this.#lastOutboxAtMs = record.committedAtMs;
    this.#takeClaims(record.summary.flushedThrough);
    this.#epoch = record.summary.epoch;
    this.#ordinals.push({
      commit,
      sections: record.state.filter(({ store }) => holdsOrdinals(store)),
    });
    if (record.messages > 0) {
      // Only what the comparison with the hub needs: rows and outboxes of a log are large.
      const { inputHash, messages } = record;
      this.#reads.push({ commit, from, to, messages, inputHash, events: ledger.read });
    }
    this.#last = commit;
    this.#cursor = to;
    this.#isDrained = isTimeOver(record.watermarkMs);
  }

  #takeClaims(flushedThrough: Readonly<Record<string, number>>): void {
    for (const [table, through] of Object.entries(flushedThrough)) {
      this.#claimed.set(table, Math.max(this.#claimed.get(table) ?? 0, through));
    }
  }

  /** Reads the committed range from the hub again, as far back as the hub still has it. */
  async compareWithHub(hub: HubReader): Promise<void> {
    const { beat, path, plan } = this.#request;
    if (this.#isHubPromoted) return;
    if (incarnationOf(await hub.describe()) !== hubOf(path.incarnation)) return;
    const bounds = await hub.bounds(path.partition);
    const next = this.#cursor?.sequenceNumber ?? bounds.firstSequenceNumber;
    this.#lag = bounds.isEmpty ? 0 : Math.max(0, bounds.lastSequenceNumber + 1 - next);
    const reads = this.#reads.filter(
      ({ from }) => !bounds.isEmpty && from.sequenceNumber >= bounds.firstSequenceNumber,
    );
    const [oldest, newest] = [reads[0], reads.at(-1)];
    if (oldest === undefined || newest === undefined) return;
    const comparison = new HubComparison(reads, {
      countsEvents: plan.input.kind === 'source',
      say: (what) => this.#say(what),
    });
    const range = {
      partitionId: path.partition,
      firstSequenceNumber: oldest.from.sequenceNumber,
      lastSequenceNumber: Math.min(lastOf(newest), bounds.lastSequenceNumber),
    };
    await scanHub(hub, range, async (messages) => {
      comparison.take(messages);
      await beat(comparison.done, reads.length);
    });
    comparison.end();
    this.#compared = comparison.compared;
  }

  /** What the table says of this task, flush by flush, against the rows of its commits. */
  #compareWithTables(): void {
    for (const { flush: limits, name } of this.#request.plan.tables) {
      const table = this.#request.tables[name];
      // A table that cannot be read has said so already.
      if (table === undefined || table.version === null) continue;
      const through = this.#throughOf(name);
      const claimed = this.#claimed.get(name) ?? 0;
      if (through < claimed) {
        this.#say(
          table.version < 0
            ? `table ${name} is gone: rows through commit ${claimed} were flushed into it`
            : `table ${name} holds rows through commit ${through}, they were flushed through commit ${claimed}`,
        );
      }
      if (through > this.#last) {
        this.#say(
          `table ${name} holds rows through commit ${through}, the log ends with commit ${this.#last}: it is an older copy`,
        );
      }
      this.#compareOwed({ ...table, name, through }, limits);
      for (const flush of table.flushes[String(this.#epoch)] ?? []) this.#compareFlush(name, flush);
    }
  }

  /** Rows that the table does not have, although they were due long before it was looked at. */
  #compareOwed(
    table: {
      readonly name: string;
      readonly version: number | null;
      readonly inspectedAtMs: number;
      readonly through: number;
    },
    limits: FlushLimits,
  ): void {
    const { inspectedAtMs, name, through, version } = table;
    // A table that is not there at all was not just about to be written to.
    const graceMs = version === null || version < 0 ? 0 : overdueMs;
    const owed = this.#rows.filter(
      ({ commit, committedAtMs, table: own }) =>
        own === name && commit > through && committedAtMs <= inspectedAtMs - graceMs,
    );
    const rows = owed.reduce((sum, { count }) => sum + count, 0);
    const [oldest] = owed;
    if (oldest === undefined) return;
    const isOld = inspectedAtMs - oldest.committedAtMs >= limits.ageMaxMs + overdueMs;
    if (!isOld && !this.#isDrained && !this.#isEnded && rows < limits.rowsMax) return;
    const where = (version ?? -1) < 0 ? `there is no table ${name}` : `table ${name} lacks them`;
    this.#say(`${rows} rows from commit ${oldest.commit} on were to be flushed, and ${where}`);
  }

  #compareFlush(table: string, { after, rows, through, version }: TableFlush): void {
    if (rows === null || after + 1 < this.#first || through > this.#last) return;
    const own = this.#rows
      .filter((one) => one.table === table && one.commit > after && one.commit <= through)
      .reduce((sum, { count }) => sum + count, 0);
    if (own === rows) return;
    this.#say(
      `version ${version} of table ${table} took in ${rows} rows of commits ${after + 1} to ${through}, the log has ${own}`,
    );
  }

  #throughOf(table: string): number {
    return this.#request.tables[table]?.flushedThrough[String(this.#epoch)] ?? 0;
  }

  result(): Recount {
    const { clock, path, plan } = this.#request;
    this.#compareWithTables();
    const flushedRows: Record<string, number> = {};
    for (const { name } of plan.tables) {
      const through = this.#throughOf(name);
      flushedRows[name] = this.#rows
        .filter(({ commit, table }) => table === name && commit <= through)
        .reduce((sum, { count }) => sum + count, 0);
    }
    return {
      kind: 'log',
      ...{ path, flushedRows, firstCommit: this.#first, lastCommit: this.#last },
      ...{ epoch: this.#epoch, ledger: this.#ledger, deadLetters: this.#letters },
      ...{ comparedWithHub: this.#compared, sent: this.#sent, taken: this.#taken, lag: this.#lag },
      lastOutboxAtMs: this.#lastOutboxAtMs,
      recountedAtMs: clock.nowMs(),
      isEnded: this.#isEnded,
      discrepancies: this.#found,
    };
  }
}
