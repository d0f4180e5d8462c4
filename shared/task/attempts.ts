import type { AttemptRecord, CommitRecord, LogRecord } from '../model/commit';
import { StreamError } from '../model/errors';

/** From this attempt on a range that keeps killing its worker is halved. */
const bisectFromAttempt = 3;
/**
 * So many workers, one after the other, must die while they decode a message before it is given up
 * whole. Another task's event may kill the same workers again and again in that very moment, and many
 * innocent events would pay: with three the simulation saw it once in 2,600 runs.
 */
const decodingDeathsMax = 5;

/** What an attempt record says of the try that follows it. */
export type Try = Pick<
  AttemptRecord,
  'attempt' | 'scope' | 'count' | 'suspectMessages' | 'suspectEvents'
>;

/** What to do next with an uncommitted range. */
export type NextAttempt =
  /** Nothing new to record: process so much. */
  | { readonly kind: 'plain'; readonly scope: 'messages' | 'events'; readonly count: number }
  /** Append an attempt record with these figures, then do what it says. */
  | ({ readonly kind: 'try' } & Try)
  /** This process has said that it reads the first message: count its events, then `counted`. */
  | { readonly kind: 'count' }
  /** What alone killed every worker that tried it: dead-letter it unprocessed, a message unread. */
  | {
      readonly kind: 'quarantine';
      readonly what: 'event' | 'message';
      readonly attempts: number;
    };

/** Why an event, or a message that nobody could even read, is dead-lettered unprocessed. */
export function killedWorker(what: 'event' | 'message', attempts: number): StreamError {
  return what === 'event'
    ? new StreamError(
        'STREAM_EVENT_KILLED_WORKER',
        `the worker died in each of ${attempts} attempts; this event was alone in the last`,
      )
    : new StreamError(
        'STREAM_MESSAGE_KILLED_WORKER',
        `the worker died in each of ${attempts} attempts, in the last while it did no more than decode this message`,
      );
}

/** Of a commit, what tells how much of a suspect range is left. */
export type CommittedRange = Pick<CommitRecord, 'messages' | 'to'> & {
  readonly ledger: { readonly read: number };
};

/**
 * Decides how a range is tried, from what the log says of earlier tries. A worker that dies leaves
 * its attempt record without a commit behind; from the third attempt on the suspect range is halved,
 * by messages, which nobody need read to be counted; then the one message is read, and nothing more;
 * then its events are halved. One killing event among n messages is alone after at most ⌈log2 n⌉ + 1
 * more deaths, and as many again where its message holds n events.
 */
export class Attempts {
  /** The attempt that nobody has committed after. */
  #open: AttemptRecord | null = null;
  /** Messages from the cursor on among which a killing one is still suspected. */
  #suspectMessages = 0;
  /** Events from the cursor on, of the first of them, where that is known to hold the killing one. */
  #suspectEvents = 0;
  #attempt = 0;
  /** Workers, one after the other, that said they would decode the first message and did no more. */
  #decodings = 0;
  #isTakeover = true;
  /** This process has tried the range itself since the last commit, and lives. */
  #isOwnTry = false;
  /** The log says that the open attempt ended and its worker lived. */
  #isSurvivalTold = false;
  readonly #writer: string;

  /** @param writer this process: an attempt of its own that it can still see was no death */
  constructor(writer: string) {
    this.#writer = writer;
  }

  /** Takes in a record of the log. @param baseCommit the last one that the snapshot holds */
  read(record: LogRecord, baseCommit: number): void {
    if (record.kind === 'attempt') this.applyAttempt(record);
    if (record.kind !== 'commit') return;
    this.applyCommit(record);
    // A snapshot is begun only where nothing was suspected: what told of it may not have been read.
    if (record.commit === baseCommit) this.forget();
  }

  /** Replays an attempt record. */
  applyAttempt(record: AttemptRecord): void {
    this.#noteOpen(record);
    if (record.writer === this.#writer) this.#isOwnTry = true;
  }

  /** Takes in a commit: of this process, of somebody else, or of an earlier life. */
  applyCommit(commit: CommittedRange): void {
    const open = this.#open;
    if (open !== null && open.attempt >= bisectFromAttempt) {
      this.#attempt = open.attempt;
      this.#suspectMessages = open.suspectMessages;
      this.#suspectEvents = open.suspectEvents;
    }
    const finishedMessages = Math.max(0, commit.messages - (commit.to.index > 0 ? 1 : 0));
    this.#suspectMessages = Math.max(0, this.#suspectMessages - finishedMessages);
    this.#suspectEvents =
      finishedMessages > 0 ? 0 : Math.max(0, this.#suspectEvents - commit.ledger.read);
    if (this.isNobodySuspected) this.#attempt = 0;
    this.#open = null;
    this.#decodings = 0;
    this.#isOwnTry = false;
  }

  /** Nothing is suspected at this place of the log, whatever was read up to it. */
  forget(): void {
    this.#open = null;
    this.#suspectMessages = 0;
    this.#suspectEvents = 0;
    this.#attempt = 0;
    this.#decodings = 0;
    this.#isOwnTry = false;
  }

  /** This worker appended the record that `next` or `counted` asked for. */
  began(record: AttemptRecord): void {
    this.#noteOpen(record);
    this.#isTakeover = false;
    this.#isOwnTry = true;
  }

  /**
   * What tells those after us that the try under way was refused and nobody died of it: they take on as much
   * again. Without it workers that come and go while a limit refuses the range would look like deaths, and
   * bisect it down to an innocent event. Null: there is no such try, or the log says so already.
   */
  survived(): Try | null {
    const open = this.#open;
    if (open === null || !this.#isOwnTry || this.#isSurvivalTold) return null;
    const { attempt, count, scope, suspectEvents, suspectMessages } = open;
    // Whoever takes it on halves what it reads here.
    const suspects = attempt < bisectFromAttempt ? count : 2 * count;
    return {
      ...{ scope, attempt: attempt - 1, count: suspects, suspectEvents },
      suspectMessages: scope === 'messages' ? suspects : suspectMessages,
    };
  }

  /** What `survived` gave is in the log. This process goes on with the try that it was at. */
  survivalTold(): void {
    this.#isSurvivalTold = true;
  }

  #noteOpen(record: AttemptRecord): void {
    this.#isSurvivalTold = false;
    this.#decodings = record.scope === 'decoding' ? this.#decodings + 1 : 0;
    this.#open = record;
  }

  /** The attempt that is under way, for dead letters. */
  attemptNumber(): number {
    return this.#open?.attempt ?? 1;
  }

  get isNobodySuspected(): boolean {
    return this.#suspectMessages === 0 && this.#suspectEvents === 0;
  }

  /** True when a new generation may begin: snapshots hold no attempts, rolling would forget deaths. */
  isNothingSuspected(): boolean {
    return this.#open === null && this.isNobodySuspected;
  }

  /** @param messages how many the range holds */
  next(messages: number): NextAttempt {
    const open = this.#open;
    if (open !== null && this.#isOwnTry) return goOn(open, messages);
    if (open?.scope === 'decoding' && this.#decodings >= decodingDeathsMax) {
      return { kind: 'quarantine', what: 'message', attempts: open.attempt };
    }
    if (open !== null) return afterDeath(open, messages);
    const attempt = Math.max(bisectFromAttempt, this.#attempt);
    if (this.#suspectEvents > 0) {
      return tryEvents(attempt, this.#suspectMessages, this.#suspectEvents);
    }
    if (this.#suspectMessages > 0) {
      return tryMessages(attempt, Math.min(this.#suspectMessages, messages));
    }
    if (this.#isTakeover) return tryAll(1, messages);
    return { kind: 'plain', scope: 'messages', count: messages };
  }

  /** The first message was read and the worker lives: now its events are tried, together first. */
  counted(events: number): Try {
    const { attempt = bisectFromAttempt, suspectMessages = 1 } = this.#open ?? {};
    const count = Math.max(1, events);
    return { scope: 'events', attempt, count, suspectMessages, suspectEvents: count };
  }
}

/**
 * A commit of ours was refused: no death, the attempt under way goes on with its size. Where it was
 * another's attempt that came between, that worker took us for dead; counting on from there, two
 * that live would bisect each other's range down to an innocent event.
 */
function goOn({ attempt, count, scope }: AttemptRecord, messages: number): NextAttempt {
  if (attempt < bisectFromAttempt) return { kind: 'plain', scope: 'messages', count: messages };
  return scope === 'decoding' ? { kind: 'count' } : { kind: 'plain', scope, count };
}

function afterDeath(open: AttemptRecord, messages: number): NextAttempt {
  const attempts = open.attempt;
  const attempt = attempts + 1;
  if (open.scope === 'decoding') return tryMessages(attempt, Math.min(2, open.suspectMessages));
  if (open.scope === 'events') {
    if (open.count === 1) return { kind: 'quarantine', what: 'event', attempts };
    return tryEvents(attempt, open.suspectMessages, open.count);
  }
  if (attempt < bisectFromAttempt) return tryAll(attempt, messages);
  const suspects = attempts >= bisectFromAttempt ? open.count : open.suspectMessages;
  return tryMessages(attempt, Math.min(suspects, messages));
}

function tryAll(attempt: number, count: number): NextAttempt {
  const suspects = { suspectMessages: count, suspectEvents: 0 };
  return { kind: 'try', scope: 'messages', attempt, count, ...suspects };
}

/** The first half; where that is one message, it is read before anything is done with it. */
function tryMessages(attempt: number, suspectMessages: number): NextAttempt {
  const count = Math.max(1, Math.ceil(suspectMessages / 2));
  const scope = count === 1 ? 'decoding' : 'messages';
  return { kind: 'try', scope, attempt, count, suspectMessages, suspectEvents: 0 };
}

function tryEvents(attempt: number, suspectMessages: number, suspectEvents: number): NextAttempt {
  const count = Math.ceil(suspectEvents / 2);
  return { kind: 'try', scope: 'events', attempt, count, suspectMessages, suspectEvents };
}
