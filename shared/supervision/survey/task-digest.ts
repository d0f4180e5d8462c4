import type { LogPosition } from '../../commit-log/log-reader';
import {
  addLedgers,
  emptyLedger,
  type AttemptRecord,
  type CommitRecord,
  type Cursor,
  type HeaderRecord,
  type LedgerCounts,
  type LogRecord,
  type StateChange,
} from '../../model/commit';
import { dueStore } from '../../task/task-state';

/** Rows of a stretch of commits that the log does not know to be in the lake. */
export interface OwedRows {
  /** The newest commit of the stretch. */
  readonly commit: number;
  /** When the oldest of them was committed. */
  readonly sinceMs: number;
  readonly count: number;
  readonly bytes: number;
}

/**
 * What a surveyor remembers of a task: its log folded into a few numbers. Plain JSON: it is stored
 * between surveys, so that a survey reads only what was appended since, on whichever worker it runs.
 */
export interface TaskDigest {
  readonly next: LogPosition | null;
  /** Records in the newest generation, and the time of its first one. */
  readonly blocks: number;
  readonly firstWriteMs: number | null;
  readonly isSealed: boolean;
  readonly commit: number;
  readonly cursor: Cursor | null;
  readonly watermarkMs: number | null;
  readonly lastCommittedAtMs: number;
  readonly writer: string | null;
  readonly epoch: number;
  /** The tick that came last, and how many followed each other without input. */
  readonly ticks: {
    readonly atCommit: number;
    readonly count: number;
    /** Nothing is open and nobody waits: until input comes there is nothing to do. */
    readonly isAtRest?: boolean;
  } | null;
  /** An attempt that nobody has committed after: its worker is at it, or died. */
  readonly openAttempt: Pick<AttemptRecord, 'attempt' | 'startedAtMs' | 'writer'> | null;
  readonly owedRows: Readonly<Record<string, readonly OwedRows[]>>;
  /** The newest commit that sent to an exchange, and when. */
  readonly outbox: { readonly commit: number; readonly atMs: number } | null;
  readonly outboxConfirmedThrough: number;
  /** Latest ends of windows that were opened, and that were given out. */
  readonly windowsOpenedToMs: number | null;
  readonly windowsClosedToMs: number | null;
  /** The last commit left results due that nobody has given out since. */
  readonly isFiringDue: boolean;
  /** The end of every event read, recounted from the records. */
  readonly ledger: LedgerCounts;
}

/** Stretches that are remembered per table; beyond that neighbours are taken together. */
const owedStretchesMax = 64;
/** Keys of window stores begin with the window's end: 16 digits, shifted (shared/operators). */
const windowKey = /^(\d{16})\|/;
const windowEndShift = 10 ** 15;

export const emptyDigest: TaskDigest = {
  next: null,
  blocks: 0,
  firstWriteMs: null,
  isSealed: false,
  commit: 0,
  cursor: null,
  watermarkMs: null,
  lastCommittedAtMs: 0,
  writer: null,
  epoch: 0,
  ticks: null,
  openAttempt: null,
  owedRows: {},
  outbox: null,
  outboxConfirmedThrough: 0,
  windowsOpenedToMs: null,
  windowsClosedToMs: null,
  isFiringDue: false,
  ledger: emptyLedger,
};

/** The parts of a stored snapshot that a digest needs. */
export interface SnapshotSummary {
  readonly commit: number;
  readonly cursor: Cursor | null;
  readonly state: readonly StateChange[];
  readonly ledger: LedgerCounts;
}

/**
 * Folds one record in. A header whose snapshot stands for records that were not read comes with the
 * snapshot's summary; everything before a snapshot has left, so nothing is owed.
 */
export function digestRecord(
  digest: TaskDigest,
  record: LogRecord,
  snapshot: SnapshotSummary | null = null,
): TaskDigest {
  switch (record.kind) {
    case 'header':
      return digestHeader(digest, record, snapshot);
    case 'attempt': {
      const { attempt, startedAtMs, writer } = record;
      return counted(
        { ...digest, openAttempt: { attempt, startedAtMs, writer } },
        record.startedAtMs,
      );
    }
    case 'seal':
      return { ...digest, blocks: digest.blocks + 1, isSealed: true };
    case 'commit':
      return digestCommit(counted(digest, record.committedAtMs), record);
    default:
      return record satisfies never;
  }
}

function counted(digest: TaskDigest, writtenAtMs: number): TaskDigest {
  const { blocks, firstWriteMs } = digest;
  return { ...digest, blocks: blocks + 1, firstWriteMs: firstWriteMs ?? writtenAtMs };
}

function digestHeader(
  digest: TaskDigest,
  record: HeaderRecord,
  snapshot: SnapshotSummary | null,
): TaskDigest {
  const begun = { ...digest, blocks: 1, firstWriteMs: null, isSealed: false };
  if (record.snapshot === null) return begun;
  // A generation opens with nothing owed.
  const settled = { ...begun, owedRows: {}, outboxConfirmedThrough: digest.commit };
  if (snapshot === null) return settled;
  const { commit, cursor, ledger, state } = snapshot;
  return digestState({ ...settled, commit, cursor, ledger, outboxConfirmedThrough: commit }, state);
}

function digestCommit(digest: TaskDigest, record: CommitRecord): TaskDigest {
  const { commit, committedAtMs } = record;
  const owedRows: Record<string, readonly OwedRows[]> = { ...digest.owedRows };
  for (const { count, lines, table } of record.rows) {
    const stretch = { commit, sinceMs: committedAtMs, count, bytes: lines.byteLength };
    owedRows[table] = joined([...(owedRows[table] ?? []), stretch]);
  }
  const next = {
    ...digest,
    commit,
    cursor: record.to,
    watermarkMs: record.watermarkMs,
    lastCommittedAtMs: committedAtMs,
    writer: record.writer,
    openAttempt: null,
    owedRows,
    ledger: addLedgers(digest.ledger, record.ledger),
    outbox: record.outbox.length > 0 ? { commit, atMs: committedAtMs } : digest.outbox,
    outboxConfirmedThrough: Math.max(digest.outboxConfirmedThrough, record.outboxConfirmedThrough),
  };
  return digestState(withFlushed(next, record.flushedThrough), record.state);
}

function joined(stretches: readonly OwedRows[]): readonly OwedRows[] {
  if (stretches.length <= owedStretchesMax) return stretches;
  const [last, before] = [stretches.at(-1), stretches.at(-2)];
  if (last === undefined || before === undefined) return stretches;
  const both = {
    commit: last.commit,
    sinceMs: before.sinceMs,
    count: before.count + last.count,
    bytes: before.bytes + last.bytes,
  };
  return [...stretches.slice(0, -2), both];
}

/** Takes in what is known of flushes: from the log, or from the tables themselves. */
export function withFlushed(
  digest: TaskDigest,
  flushedThrough: Readonly<Record<string, number>>,
): TaskDigest {
  const owedRows: Record<string, readonly OwedRows[]> = {};
  for (const [table, stretches] of Object.entries(digest.owedRows)) {
    const through = flushedThrough[table] ?? 0;
    const left = stretches.filter(({ commit }) => commit > through);
    if (left.length > 0) owedRows[table] = left;
  }
  return { ...digest, owedRows };
}

function digestState(digest: TaskDigest, changes: readonly StateChange[]): TaskDigest {
  let { epoch, isFiringDue, ticks, windowsClosedToMs, windowsOpenedToMs } = digest;
  for (const { deletes, puts, store } of changes) {
    if (store === '$task') {
      epoch = (puts.find(([key]) => key === 'epoch')?.[1] as number | undefined) ?? epoch;
    } else if (store === '$tick') {
      const last = puts.find(([key]) => key === 'last')?.[1];
      ticks = (last as TaskDigest['ticks'] | undefined) ?? ticks;
    } else if (store === dueStore) {
      isFiringDue = puts.length > 0;
    } else if (store.startsWith('window:')) {
      for (const [key] of puts) windowsOpenedToMs = later(windowsOpenedToMs, windowEnd(key));
      for (const key of deletes) windowsClosedToMs = later(windowsClosedToMs, windowEnd(key));
    }
  }
  return { ...digest, epoch, isFiringDue, ticks, windowsClosedToMs, windowsOpenedToMs };
}

function windowEnd(key: string): number | null {
  const digits = windowKey.exec(key)?.[1];
  return digits === undefined ? null : Number(digits) - windowEndShift;
}

function later(left: number | null, right: number | null): number | null {
  if (left === null || right === null) return left ?? right;
  return Math.max(left, right);
}
