import { addLedgers, emptyLedger } from '../model/commit';
import type {
  CommitRecord,
  Cursor,
  LedgerCounts,
  OutboxMessage,
  StateChange,
  TableRows,
} from '../model/commit';
import { invariant, StreamError } from '../model/errors';
import type { StagePlan } from '../model/program';
import type { Row } from '../model/table';
import { Producers, producingStages } from '../delivery/exchange/producers';
import { KeyedState } from '../state/keyed-state';
import type { Tick } from './rest';

/** Store of a task's state that says, to whoever surveys its log, that results are due. */
export const dueStore = '$due';

/** Rows of one commit that are in the log and not yet known to be in the lake. */
export interface PendingRows {
  readonly commit: number;
  readonly committedAtMs: number;
  readonly bytes: number;
  readonly count: number;
  /** Parsed only when flushed. */
  readonly rows: () => readonly Row[];
}

/** Messages of one commit not yet known to have arrived in their exchange hubs. */
export interface PendingOutbox {
  readonly commit: number;
  readonly messages: readonly OutboxMessage[];
}

interface SnapshotDocument {
  readonly format: 1;
  readonly topology: string;
  readonly stage: string;
  readonly cursor: Cursor | null;
  readonly commit: number;
  readonly ledger: LedgerCounts;
  readonly outboxConfirmedThrough: number;
  readonly flushedThrough: Readonly<Record<string, number>>;
  readonly state: readonly StateChange[];
}

/** A task's life as its log tells it: replaying the same records always gives the same TaskState. */
export class TaskState {
  readonly keyed = new KeyedState();
  /** Null until the first commit: the hub's first message decides where a new task begins. */
  cursor: Cursor | null = null;
  commit = 0;
  ledger: LedgerCounts = emptyLedger;
  outboxConfirmedThrough = 0;
  /** The last commit that sent to an exchange; and through which the log itself says that all arrived. */
  #lastOutboxCommit = 0;
  #outboxJournalledThrough = 0;
  readonly flushedThrough = new Map<string, number>();
  readonly pendingRows: Map<string, PendingRows[]>;
  /** Tables that the topology no longer has, with the last commit that holds rows for them. */
  readonly rowsWithoutTable = new Map<string, number>();
  readonly pendingOutbox: PendingOutbox[] = [];
  lastCommittedAtMs = 0;
  /** Tables know of earlier lives of this task: should it have no birth yet, it was born after them. */
  epochMin = 0;
  readonly #plan: StagePlan;

  constructor(plan: StagePlan) {
    this.#plan = plan;
    this.pendingRows = new Map(plan.tables.map((table) => [table.name, []]));
  }

  /** Notes in the next commit whether it leaves results due that the one after it must fire. */
  noteFiringDue(isFiringDue: boolean): void {
    const due = this.keyed.store<true>(dueStore);
    if (isFiringDue === (due.get('is') !== undefined)) return;
    if (isFiringDue) due.put('is', true);
    else due.delete('is');
  }

  /** Before the first commit: these begin with that epoch, and nothing older of theirs counts. */
  expectProducers(producers: readonly string[], epoch: number): void {
    new Producers(this.keyed, producingStages(this.#plan.input)).expect(producers, epoch);
  }

  /** A partition that had ended has come to life again with its hub: the end of time was its former life's. */
  beginTimeAnew(): void {
    const ticks = this.keyed.store<Tick>('$tick');
    if (ticks.get('last')?.isEnd !== true) return;
    ticks.delete('last');
    this.keyed.store('$time').delete('time');
    this.keyed.settle();
  }

  /** Replays a commit read from the log. */
  applyCommit(record: CommitRecord): void {
    this.keyed.apply(record.state);
    this.#advance(record);
  }

  /** Takes over a commit this process just made: its state is already in `keyed`. */
  settleCommit(record: CommitRecord): void {
    this.keyed.settle();
    this.#advance(record);
  }

  #advance(record: CommitRecord): void {
    invariant(record.commit === this.commit + 1, 'commits follow each other', {
      commit: record.commit,
      after: this.commit,
    });
    this.cursor = record.to;
    this.commit = record.commit;
    this.lastCommittedAtMs = record.committedAtMs;
    this.ledger = addLedgers(this.ledger, record.ledger);
    for (const rows of record.rows) {
      const pending = this.pendingRows.get(rows.table);
      if (pending !== undefined) pending.push(pendingRows(rows, record));
      else this.rowsWithoutTable.set(rows.table, record.commit);
    }
    if (record.outbox.length > 0) {
      this.pendingOutbox.push({ commit: record.commit, messages: record.outbox });
      this.#lastOutboxCommit = record.commit;
    }
    this.#outboxJournalledThrough = record.outboxConfirmedThrough;
    this.confirmOutbox(record.outboxConfirmedThrough);
    for (const [table, commit] of Object.entries(record.flushedThrough)) {
      this.confirmFlush(table, commit);
    }
  }

  /** All outboxes have arrived, and whoever reads the log cannot know it. */
  get isArrivalUntold(): boolean {
    return (
      this.pendingOutbox.length === 0 && this.#lastOutboxCommit > this.#outboxJournalledThrough
    );
  }

  /** Outboxes up to that commit have arrived. */
  confirmOutbox(throughCommit: number): void {
    this.outboxConfirmedThrough = Math.max(this.outboxConfirmedThrough, throughCommit);
    while ((this.pendingOutbox[0]?.commit ?? Infinity) <= throughCommit) this.pendingOutbox.shift();
  }

  /** A table holds this task's rows up to that commit. */
  confirmFlush(table: string, throughCommit: number): void {
    this.flushedThrough.set(table, Math.max(this.flushedThrough.get(table) ?? 0, throughCommit));
    const pending = this.pendingRows.get(table);
    if (pending === undefined) return;
    const kept = pending.findIndex((rows) => rows.commit > throughCommit);
    pending.splice(0, kept === -1 ? pending.length : kept);
  }

  /** The state after the last commit, for the next generation. Outputs must have left by then. */
  snapshot(): Uint8Array {
    const document: SnapshotDocument = {
      format: 1,
      topology: this.#plan.topology,
      stage: this.#plan.name,
      cursor: this.cursor,
      commit: this.commit,
      ledger: this.ledger,
      outboxConfirmedThrough: this.outboxConfirmedThrough,
      flushedThrough: Object.fromEntries(this.flushedThrough),
      state: this.keyed.dump(),
    };
    return Buffer.from(JSON.stringify(document));
  }

  static fromSnapshot(plan: StagePlan, bytes: Uint8Array | null): TaskState {
    const task = new TaskState(plan);
    if (bytes === null) return task;
    const document = parseSnapshot(bytes, plan);
    task.keyed.apply(document.state);
    task.cursor = document.cursor;
    task.commit = document.commit;
    task.ledger = document.ledger;
    task.outboxConfirmedThrough = document.outboxConfirmedThrough;
    for (const [table, commit] of Object.entries(document.flushedThrough)) {
      task.flushedThrough.set(table, commit);
    }
    return task;
  }
}

/**
 * Rows wait as the bytes that the log has: off the heap, where many of them cost nothing to keep.
 * Apart from its caller: a closure in there would keep the whole record.
 */
function pendingRows(
  { count, lines }: TableRows,
  { commit, committedAtMs }: CommitRecord,
): PendingRows {
  const bytes = lines.byteLength;
  return { commit, committedAtMs, bytes, count, rows: () => parseRows(lines) };
}

function parseRows(lines: Uint8Array): Row[] {
  const text = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength).toString('utf8');
  // Our own encoder wrote one JSON array a line and the record's CRC vouches for it.
  return JSON.parse(`[${text.replaceAll('\n', ',')}]`) as Row[];
}

function parseSnapshot(bytes: Uint8Array, plan: StagePlan): SnapshotDocument {
  const where = { topology: plan.topology, stage: plan.name };
  let document: Partial<SnapshotDocument>;
  try {
    document = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<SnapshotDocument>;
  } catch (cause) {
    throw new StreamError('STREAM_SNAPSHOT_CORRUPT', 'the snapshot is not JSON', {
      cause,
      details: where,
    });
  }
  if (document.format !== 1) {
    throw new StreamError(
      'STREAM_LOG_VERSION_UNKNOWN',
      `the snapshot has format ${String(document.format)}, this build reads 1: deploy the newer build again`,
      { details: where },
    );
  }
  if (document.topology !== plan.topology || document.stage !== plan.name) {
    throw new StreamError('STREAM_STATE_MISMATCH', 'the snapshot belongs to another stage', {
      details: { ...where, found: `${document.topology}/${document.stage}` },
    });
  }
  return document as SnapshotDocument;
}
