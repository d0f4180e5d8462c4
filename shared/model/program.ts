/**
 * The seam between the dataflow (planner, operators: pure) and the commit order (shared/task).
 * A program is one stage of a topology, compiled: it turns decoded events and a state into outputs.
 */
import type { DeadLetter, EventEnd, LedgerCounts } from './commit';
import type { StreamError } from './errors';
import type { EventSegment } from './segment';
import type { Row, TablePlan } from './table';

export type { EventEnd } from './commit';

/** What a stage reads. */
export type StageInput =
  | { readonly kind: 'source'; readonly hub: string }
  | {
      readonly kind: 'exchange';
      readonly hub: string;
      readonly producers: readonly ProducingStage[];
    };

/** A stage that sends to an exchange, and the port that its events are for. */
export interface ProducingStage {
  readonly stage: string;
  /** Which of the streams that go through the exchange: by the order of their keyBys' names. */
  readonly port: number;
}

export interface ExchangePlan {
  /** The intermediate hub's name, `<topology>-<keyBy>`; with the port its id in outboxes. */
  readonly hub: string;
  /** Which of the streams that go through the exchange: by the order of their keyBys' names. */
  readonly port: number;
}

export interface StagePlan {
  readonly topology: string;
  /** Unique in the topology, stable over unrelated edits; part of blob names and consumer groups. */
  readonly name: string;
  readonly input: StageInput;
  readonly consumerGroup: string;
  /**
   * The group that the engine itself reads with, for gaps and stalled tasks. Not the trigger's: that
   * one holds an owner level, beside which the service lets no reader without one in.
   */
  readonly recoveryConsumerGroup: string;
  /** The function's name in the app, e.g. `flights-clean`. */
  readonly functionName: string;
  /** Names of the operators that run here, in order. */
  readonly operators: readonly string[];
  readonly tables: readonly TablePlan[];
  readonly exchanges: readonly ExchangePlan[];
  /** Of a source stage where wall clock may move time; else null. */
  readonly quiet: { readonly afterMs: number; readonly maxDelayMs: number } | null;
  /**
   * How long after an event's time a window may be open that it is in, here or in a later stage. Null:
   * operators of one's own keep time, and nobody knows for how long.
   */
  readonly openForMs: number | null;
  /** Keys lie where the source's partitions put them: with another count of these they would lie elsewhere. */
  readonly isKeyedBySource?: boolean;
}

/** One event to process, decoded. */
export interface ProgramEvent {
  readonly sequenceNumber: number;
  readonly index: number;
  readonly enqueuedTimeMs: number;
  /** Exchange events carry their canonical key and event time; a source event gets them from the topology. */
  readonly key: string | null;
  readonly eventTimeMs: number | null;
  /**
   * Of an exchange event: the watermark of its source partition where it came behind it. Late is judged by it
   * and by nothing else.
   */
  readonly markMs?: number | undefined;
  /** Which of the streams that go through one exchange it belongs to. Absent: the first. */
  readonly port?: number | undefined;
  /** Of an exchange event that carries columns in the place of its value: whom they are for. */
  readonly carriedFor?: string | undefined;
  readonly value: unknown;
  /** Numbers that `value` does not hold as they were sent: seldom any. */
  readonly inexact?: readonly InexactNumber[] | undefined;
}

/** A number of a JSON text that JavaScript cannot hold as it is written. */
export interface InexactNumber {
  /** Keys and array positions that lead to it; empty where the event is the number. */
  readonly path: readonly (string | number)[];
  /** As it is written. */
  readonly token: string;
  /** True where it is written as a whole number, false where it has a point or an exponent. */
  readonly isWhole: boolean;
}

/** An event for an exchange: `partition` is not known yet, the key decides. */
export interface ExchangeEvent {
  /** Canonical (shared/model/key.ts). */
  readonly key: string;
  readonly eventTimeMs: number;
  /** The watermark of its source partition before it; absent: time made it, it is never late. */
  readonly markMs?: number;
  /** Which of the streams that go through the exchange it belongs to. Absent: the first. */
  readonly port?: number;
  /** `value` is columns: all that those who take it need of the value. Whom each is for, with commas between. */
  readonly carriedFor?: string;
  readonly value: unknown;
  /** The value holds a −0, which `JSON.stringify` would write as 0. */
  readonly hasNegativeZero?: boolean;
}

/** Where a program puts what it makes. */
export interface ProgramOutputs {
  /** True when this commit should take on no more: what is due fires in the next one. */
  readonly isFull: boolean;
  /** Remembers how much there is, for one `rollbackToMark`. */
  mark(): void;
  /** Takes back what was put out since the last `mark`. */
  rollbackToMark(): void;
  /** Adds a row to a table of the plan, by its position in `StagePlan.tables`. */
  row(table: number, row: Row): void;
  /** Adds an event to an exchange of the plan, by its position in `StagePlan.exchanges`. */
  send(exchange: number, event: ExchangeEvent): void;
  deadLetter(letter: NewDeadLetter): void;
}

/** A dead letter before its commit adds the attempts and the bytes. */
export interface NewDeadLetter extends Omit<DeadLetter, 'attempts' | 'payloadBase64'> {
  /** What to keep, as JSON, where it is not the event under way. */
  readonly payload?: unknown;
  /** The bytes of the event, where it is known which it is. */
  readonly bytes?: () => Uint8Array;
}

export interface ExchangeTime {
  /** Behind the program's own where windows before the exchange have results still to come. */
  readonly watermarkMs: number | null;
  /** True while such windows are open: consumers must wait for their results. */
  readonly isAwaited: boolean;
}

/**
 * A compiled stage bound to one task's state. Deterministic: the same state and events give the
 * same outputs, whatever the batch cuts. Not re-entrant.
 */
export interface Program {
  /**
   * Processes one event wholly or not at all: when a user function throws, state and outputs are as
   * before and one dead letter has been put out. Then moves the watermark by the event's time
   * (source stages) and fires what became due. Never throws for what an event did.
   */
  process(event: ProgramEvent): EventEnd;
  /**
   * Processes the events of a segment, each as `process` would, and says in the segment how each ended.
   * Stops after an event with which the outputs are full, or that left results due.
   * @returns how many are done: one at least
   */
  run(segment: EventSegment): number;
  /** The watermark as the program sees it; null before any event. It is part of the state. */
  readonly watermarkMs: number | null;
  /** How time stands with what the program sends to an exchange of the plan, by its position there. */
  exchangeTime(exchange: number): ExchangeTime;
  /** Raises the watermark (never lowers it) and fires what became due, in (time, key) order. */
  advanceWatermark(watermarkMs: number): void;
  /** The latest event time seen (source stages), null before any. */
  readonly eventTimeMaxMs: number | null;
  /**
   * Begins a commit in which at most `resultsMax` results may fire, and fires what an earlier
   * commit left due. A drain may make more due than one commit can hold. The first result that
   * fires is dead-lettered with `refuseFirst` where that is given: it was too large to be committed.
   */
  beginCommit(resultsMax: number, refuseFirst?: StreamError | null): void;
  /** True while results are due that the budget did not allow. */
  readonly isFiringDue: boolean;
  /** When the next result is due by its own time; null: nothing is open. */
  readonly nextDueMs: number | null;
  /** Called before the state's changes are taken: what the program keeps in fields goes into it. */
  beforeCommit(): void;
  /** Called when the state was rolled back or replayed: fields and indexes are read from it anew. */
  afterRollback(): void;
  /** Late events per operator and the like, since the last call; cumulative counters for telemetry. */
  takeCounters(): Readonly<Record<string, number>>;
}

export type LedgerDraft = { -readonly [Name in keyof LedgerCounts]: LedgerCounts[Name] };
