/**
 * The vocabulary of the commit log: what one record of a task's log says. Pure data, JSON-able
 * except for the byte arrays. `shared/commit-log` gives it its bytes; `shared/task` its meaning.
 */

/**
 * The next event to process: event `index` (from 0) of the message with this sequence number.
 * Everything before it is committed. A message packs one or many events; a message wholly done
 * leaves `{ sequenceNumber: s + 1, index: 0 }`.
 */
export interface Cursor {
  readonly sequenceNumber: number;
  readonly index: number;
}

/** How many events met each end. `read = emitted + filtered + late + deadLettered`, always. */
export interface LedgerCounts {
  readonly read: number;
  readonly emitted: number;
  readonly filtered: number;
  readonly late: number;
  readonly deadLettered: number;
  /** Events declared lost with a gap (retention or a vanished exchange): not part of `read`. */
  readonly gap: number;
}

/** Rows for one lake table: JSON arrays in column order, one a line. */
export interface TableRows {
  readonly table: string;
  readonly count: number;
  readonly lines: Uint8Array;
}

/** One message for an exchange hub, ready to send: its body is the encoded envelope. */
export interface OutboxMessage {
  readonly exchange: string;
  readonly partition: number;
  /** Events inside (0 for one that only carries a watermark). */
  readonly count: number;
  readonly body: Uint8Array;
}

/**
 * What a commit changed in one store. Opaque to the log: the state module makes the bytes and reads
 * them, and refuses a store that it does not know.
 */
export interface StateSection {
  readonly store: string;
  readonly bytes: Uint8Array;
}

export interface DeadLetter {
  readonly sequenceNumber: number;
  readonly index: number;
  /** An ErrorCode: why it could not be processed. */
  readonly code: string;
  readonly message: string;
  /** Operator that failed, or `ingest`. */
  readonly operator: string;
  readonly attempts: number;
  readonly enqueuedTimeMs: number;
  /** The event's bytes, whole, base64 (UTF-8 text would not survive undecodable ones). */
  readonly payloadBase64: string;
}

/** Input that can no longer be read: declared, never silent. */
export interface Gap {
  readonly fromSequenceNumber: number;
  readonly toSequenceNumber: number;
  /**
   * `hub-promoted`: the hub goes on without its last messages, as a replica had them. Numbers from the first
   * one on were given out again; up to the last one the former messages had been read. How many were lost
   * that had not been read nobody can tell.
   */
  readonly reason: 'retention' | 'hub-recreated' | 'producer-missing' | 'hub-promoted';
  /** How many events it held, where that is known. */
  readonly events: number | null;
}

/** How a dead letter was settled: journalled with the commit that did it, so it happens once. */
export interface LetterVerdict {
  readonly kind: 'redriven' | 'discarded';
  readonly atMs: number;
  /** Who asked: a job, a person. */
  readonly by: string;
  readonly reason: string;
  /** How the redriven event ended; null for one that was discarded. */
  readonly end: EventEnd | null;
}

/** A dead letter of this task that a commit settled. */
export interface LetterSettlement {
  /** `<commit>.<n>`: the n-th dead letter of that commit. */
  readonly id: string;
  readonly verdict: LetterVerdict;
}

/**
 * Why the watermark is where it is. `events`: the input alone moved it. `idle`, `drain`: wall clock
 * or an operator did, journalled here so that a replay gives the same results.
 */
export type WatermarkReason = 'events' | 'idle' | 'drain';

/** The last commit that wall clock asked for. */
export interface Tick {
  readonly atCommit: number;
  /** Ticks without input between them. */
  readonly count: number;
  /** Nothing is open and nobody waits: until input comes there is nothing to do. */
  readonly isAtRest: boolean;
  /** The task ends with it. */
  readonly isEnd: boolean;
}

/** The last time that the hub's namespace was promoted by force, as far as the task has noticed. */
export interface Promotion {
  /** How often it was, over all lives of the task. */
  readonly count: number;
  /** When it was noticed. */
  readonly noticedAtMs: number;
  /** Where the life since then begins: numbers from here on were given out again. */
  readonly fromSequenceNumber: number;
  /** The last message that was read of the life before. */
  readonly readThrough: number;
  /** What was enqueued before is of the life before. Null: nothing of this life was read yet. */
  readonly fromEnqueuedMs: number | null;
  /** The loss stands among the gaps of a commit. */
  readonly isDeclared: boolean;
}

/** Rows of one table that are in the log and not known to be in the lake. */
export interface OwedRows {
  readonly table: string;
  /** The oldest and the newest commit that hold some of them, and when those were made. */
  readonly fromCommit: number;
  readonly throughCommit: number;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly rows: number;
  readonly bytes: number;
}

/**
 * All that a task's commits have come to, said anew by each: whoever looks at a task from outside
 * reads its last record and knows.
 */
export interface TaskSummary {
  readonly commit: number;
  /** Where the next commit begins. Null: where the hub begins. */
  readonly cursor: Cursor | null;
  /** Birth of the task's state, in milliseconds; 0: it has no commit yet. See task-identity.ts. */
  readonly epoch: number;
  readonly committedAtMs: number;
  /** The generation, which of its records this is (the header is the first), and when it was begun. */
  readonly generation: number;
  readonly blocks: number;
  readonly generationBegunAtMs: number;
  readonly watermarkMs: number | null;
  /** When the last message that was read was enqueued, by the hub's clock. */
  readonly lastEnqueuedAtMs: number | null;
  readonly ledger: LedgerCounts;
  /** Late events by the operator that refused them. */
  readonly late: Readonly<Record<string, number>>;
  /** All dead letters: also those of results, which are no events. */
  readonly deadLetters: number;
  readonly owedRows: readonly OwedRows[];
  /** Per table: rows of commits up to this one are known to be in the lake. */
  readonly flushedThrough: Readonly<Record<string, number>>;
  /** The newest commit that sent to an exchange, and when. */
  readonly lastOutbox: { readonly commit: number; readonly atMs: number } | null;
  /** All outbox messages of commits up to this one are known to have arrived in their hubs. */
  readonly outboxConfirmedThrough: number;
  readonly tick: Tick | null;
  /** Results are due that the commit could not hold: the next one must fire them. */
  readonly isFiringDue: boolean;
  /** When the next timer is due; null: there is none, nothing is open. */
  readonly nextTimerDueMs: number | null;
  readonly keys: number;
  /** Null: nobody has measured it. */
  readonly stateBytes: number | null;
  /** Of the plan whose build made the commit; 0: before there was one. */
  readonly planNumber: number;
  /** Null: none was noticed. */
  readonly promotion: Promotion | null;
}

/** One batch: one AppendBlock. State, outputs and position in it can never disagree. */
export interface CommitRecord {
  readonly kind: 'commit';
  /** 1, 2, 3 … per task, across generations. */
  readonly commit: number;
  /** Unique to this append attempt: finding it in the tail means that the append succeeded. */
  readonly commitId: string;
  readonly writer: string;
  readonly committedAtMs: number;
  /** The one wall-clock time that operators were given: an input, like the events. */
  readonly processingTimeMs: number;
  readonly from: Cursor;
  readonly to: Cursor;
  /** Messages in the range and the CRC-32 chained over their bodies, in order. */
  readonly messages: number;
  readonly inputHash: number;
  readonly watermarkMs: number | null;
  readonly watermarkReason: WatermarkReason;
  readonly ledger: LedgerCounts;
  readonly state: readonly StateSection[];
  readonly rows: readonly TableRows[];
  readonly outbox: readonly OutboxMessage[];
  readonly deadLetters: readonly DeadLetter[];
  readonly settledLetters: readonly LetterSettlement[];
  readonly gaps: readonly Gap[];
  /** After this commit. Its commit, cursor, time and watermark are the commit's own. */
  readonly summary: TaskSummary;
}

/**
 * Appended before a range is tried by a worker that finds it uncommitted, and before any of it is
 * decoded: it is what makes attempt counts survive a crash. From the third attempt on the suspect
 * range is bisected.
 */
export interface AttemptRecord {
  readonly kind: 'attempt';
  readonly writer: string;
  readonly startedAtMs: number;
  readonly from: Cursor;
  readonly attempt: number;
  /** What `count` counts. `decoding`: the first message is read, and nothing is done with it. */
  readonly scope: 'messages' | 'decoding' | 'events';
  /** What this attempt takes on, at most. */
  readonly count: number;
  /** Messages, from `from` on, among which a killing one is suspected. */
  readonly suspectMessages: number;
  /** Events of the first message among which it is; 0 where that is not known of the message. */
  readonly suspectEvents: number;
}

/** Which build may commit to a topology (docs/CONCEPTS.md, plan numbers). */
export interface TaskPlan {
  /** 1, 2, 3 …: one with a lower number commits no more. */
  readonly number: number;
  readonly hash: string;
  readonly buildId: string;
}

/** A build's first append to a log whose plan number is lower: it fences the builds before it. */
export interface PlanRecord {
  readonly kind: 'plan';
  readonly writer: string;
  readonly writtenAtMs: number;
  readonly plan: TaskPlan;
}

/** A piece of a snapshot: a blob. */
export interface SnapshotPart {
  readonly name: string;
  readonly bytes: number;
  readonly crc32: number;
}

/** What a task's state is made of: a snapshot, then the changes of the commits after it. */
export interface SnapshotBase {
  /** The state in the parts is the one after this commit. */
  readonly commit: number;
  /**
   * Where to read on from: that commit's end or, where it left outputs owed, the oldest record that
   * holds some. Of commits up to `commit` only what is owed counts.
   */
  readonly generation: number;
  readonly position: number;
  readonly parts: readonly SnapshotPart[];
}

/** Opens every generation of a log. */
export interface HeaderRecord {
  readonly kind: 'header';
  readonly generation: number;
  readonly writer: string;
  readonly begunAtMs: number;
  /** The format version of all records of this generation. */
  readonly formatVersion: number;
  /** The last commit before this generation; 0 for none. */
  readonly afterCommit: number;
  /** As that commit left it; null where there is none and the task begins with nothing. */
  readonly summary: TaskSummary | null;
  readonly plan: TaskPlan | null;
  /** Null: the state begins empty, with the log's first generation. */
  readonly base: SnapshotBase | null;
}

/** Closes a generation: after it nothing may be appended; the next generation carries on. */
export interface SealRecord {
  readonly kind: 'seal';
  readonly writer: string;
  readonly sealedAtMs: number;
  readonly afterCommit: number;
  /** The task's incarnation ends here and its state is handed on: no generation follows. */
  readonly isFinal: boolean;
}

export type LogRecord = CommitRecord | AttemptRecord | PlanRecord | HeaderRecord | SealRecord;

/** How an event ended: exactly one. */
export type EventEnd = 'emitted' | 'filtered' | 'late' | 'deadLettered';

export const emptyLedger: LedgerCounts = {
  read: 0,
  emitted: 0,
  filtered: 0,
  late: 0,
  deadLettered: 0,
  gap: 0,
};

/** Of a task that has no commit. */
export const emptySummary: TaskSummary = {
  commit: 0,
  cursor: null,
  epoch: 0,
  committedAtMs: 0,
  generation: 0,
  blocks: 0,
  generationBegunAtMs: 0,
  watermarkMs: null,
  lastEnqueuedAtMs: null,
  ledger: emptyLedger,
  late: {},
  deadLetters: 0,
  owedRows: [],
  flushedThrough: {},
  lastOutbox: null,
  outboxConfirmedThrough: 0,
  tick: null,
  isFiringDue: false,
  nextTimerDueMs: null,
  keys: 0,
  stateBytes: null,
  planNumber: 0,
  promotion: null,
};

export function addLedgers(left: LedgerCounts, right: LedgerCounts): LedgerCounts {
  return {
    read: left.read + right.read,
    emitted: left.emitted + right.emitted,
    filtered: left.filtered + right.filtered,
    late: left.late + right.late,
    deadLettered: left.deadLettered + right.deadLettered,
    gap: left.gap + right.gap,
  };
}

export function compareCursors(left: Cursor, right: Cursor): number {
  return left.sequenceNumber - right.sequenceNumber || left.index - right.index;
}
