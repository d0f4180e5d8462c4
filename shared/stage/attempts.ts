import type { AttemptRecord } from '../model/commit';
import { StreamError } from '../model/errors';

/** From this attempt on a range that keeps killing its worker is halved. */
const bisectFromAttempt = 3;

/** What to do next with an uncommitted range of `available` events. */
export type NextAttempt =
  /** Nothing new to record: process this many events. */
  | { readonly kind: 'plain'; readonly events: number }
  /** Append an attempt record with these figures, then process that many events. */
  | {
      readonly kind: 'try';
      readonly attempt: number;
      readonly events: number;
      readonly suspectEvents: number;
    }
  /** The first event alone killed every worker that tried it: dead-letter it unprocessed. */
  | { readonly kind: 'quarantine'; readonly attempts: number; readonly suspectEvents: number };

/** Why an event is dead-lettered unprocessed. */
export function killedWorker(attempts: number): StreamError {
  const message = `the worker died in each of ${attempts} attempts; this event was alone in the last`;
  return new StreamError('STREAM_EVENT_KILLED_WORKER', message);
}

/**
 * Decides how a range is tried, from what the log says of earlier tries. A worker that dies leaves
 * its attempt record without a commit behind; from the third attempt on the suspect range is halved,
 * so that one killing event among n is alone after at most ⌈log2 n⌉ + 1 more deaths.
 */
export class Attempts {
  /** The attempt that nobody has committed after. */
  #open: AttemptRecord | null = null;
  /** Events after the cursor among which a killing one is still suspected. */
  #suspectEvents = 0;
  #attempt = 0;
  #isTakeover = true;
  /** This process has tried the range itself since the last commit, and lives. */
  #isOwnTry = false;
  readonly #writer: string;

  /** @param writer this process: an attempt of its own that it can still see was no death */
  constructor(writer: string) {
    this.#writer = writer;
  }

  /** Replays an attempt record. */
  applyAttempt(record: AttemptRecord): void {
    this.#open = record;
    if (record.writer === this.#writer) this.#isOwnTry = true;
  }

  /** Replays a commit of somebody else, or of an earlier life. */
  applyCommit(events: number): void {
    const open = this.#open;
    if (open !== null && open.attempt >= bisectFromAttempt) {
      this.#suspectEvents = Math.max(0, open.suspectEvents - events);
      this.#attempt = this.#suspectEvents > 0 ? open.attempt : 0;
    } else {
      this.#suspectEvents = Math.max(0, this.#suspectEvents - events);
    }
    this.#open = null;
    this.#isOwnTry = false;
  }

  /** This worker appended the record that `next` asked for. */
  began(record: AttemptRecord): void {
    this.#open = record;
    this.#isTakeover = false;
    this.#isOwnTry = true;
  }

  /** The attempt that is under way, for dead letters. */
  attemptNumber(): number {
    return this.#open?.attempt ?? 1;
  }

  /** True when a new generation may begin: snapshots hold no attempts, rolling would forget deaths. */
  isNothingSuspected(): boolean {
    return this.#open === null && this.#suspectEvents === 0;
  }

  /** True when `next` will say `plain` whatever is available. */
  isSettled(): boolean {
    const isOthersOpen = this.#open !== null && !this.#isOwnTry;
    return !this.#isTakeover && !isOthersOpen && this.#suspectEvents === 0;
  }

  next(available: number): NextAttempt {
    const open = this.#open;
    if (open !== null) {
      // A commit of ours was refused: no death, the attempt under way goes on with its size. Where
      // it was another's attempt that came between, that worker took us for dead; counting on from
      // there, two that live would bisect each other's range down to an innocent event.
      if (this.#isOwnTry) return { kind: 'plain', events: open.events };
      const attempt = open.attempt + 1;
      const suspectEvents = Math.min(open.suspectEvents, available);
      if (attempt <= bisectFromAttempt - 1) {
        return { kind: 'try', attempt, events: available, suspectEvents: available };
      }
      if (open.attempt >= bisectFromAttempt && open.events === 1) {
        return { kind: 'quarantine', attempts: open.attempt, suspectEvents };
      }
      const suspects =
        open.attempt >= bisectFromAttempt ? Math.min(open.events, available) : suspectEvents;
      return {
        kind: 'try',
        attempt,
        events: Math.max(1, Math.ceil(suspects / 2)),
        suspectEvents: suspects,
      };
    }
    if (this.#suspectEvents > 0) {
      const suspects = Math.min(this.#suspectEvents, available);
      return {
        kind: 'try',
        attempt: Math.max(bisectFromAttempt, this.#attempt),
        events: Math.ceil(suspects / 2),
        suspectEvents: suspects,
      };
    }
    if (this.#isTakeover) {
      return { kind: 'try', attempt: 1, events: available, suspectEvents: available };
    }
    return { kind: 'plain', events: available };
  }
}
