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

/** Changes to one keyed store: latest value per key that the batch touched. Values are JSON. */
export interface StateChange {
  readonly store: string;
  readonly puts: readonly (readonly [key: string, value: unknown])[];
  readonly deletes: readonly string[];
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
  readonly reason: 'retention' | 'hub-recreated' | 'producer-missing';
  /** How many events it held, where that is known. */
  readonly events: number | null;
}

/**
 * Why the watermark is where it is. `events`: the input alone moved it. `idle`, `drain`: wall clock
 * or an operator did, journalled here so that a replay gives the same results.
 */
export type WatermarkReason = 'events' | 'idle' | 'drain';

/** One batch: one AppendBlock. State, outputs and position in it can never disagree. */
export interface CommitRecord {
  readonly kind: 'commit';
  /** 1, 2, 3 … per task, across generations. */
  readonly commit: number;
  /** Unique to this append attempt: finding it in the tail means that the append succeeded. */
  readonly commitId: string;
  readonly writer: string;
  readonly committedAtMs: number;
  readonly from: Cursor;
  readonly to: Cursor;
  /** Messages in the range and the CRC-32 chained over their bodies, in order. */
  readonly messages: number;
  readonly inputHash: number;
  readonly watermarkMs: number | null;
  readonly watermarkReason: WatermarkReason;
  readonly ledger: LedgerCounts;
  readonly state: readonly StateChange[];
  readonly rows: readonly TableRows[];
  readonly outbox: readonly OutboxMessage[];
  readonly deadLetters: readonly DeadLetter[];
  readonly gaps: readonly Gap[];
  /** All outbox messages of commits up to this one are known to have arrived in their hubs. */
  readonly outboxConfirmedThrough: number;
  /** Per table: rows of commits up to this one are known to be in the lake. */
  readonly flushedThrough: Readonly<Record<string, number>>;
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

/** Opens every generation of a log. */
export interface HeaderRecord {
  readonly kind: 'header';
  readonly generation: number;
  /** The last commit of the generation before (0 for none): the snapshot's state is the state after it. */
  readonly afterCommit: number;
  /** Name of the snapshot blob with its CRC-32, or null where the log begins with empty state. */
  readonly snapshot: {
    readonly name: string;
    readonly bytes: number;
    readonly crc32: number;
  } | null;
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

export type LogRecord = CommitRecord | AttemptRecord | HeaderRecord | SealRecord;

export const emptyLedger: LedgerCounts = {
  read: 0,
  emitted: 0,
  filtered: 0,
  late: 0,
  deadLettered: 0,
  gap: 0,
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
