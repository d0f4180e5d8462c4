import type { KeyedState, KeyedStore } from '../../state/keyed-state';
import type { Envelope } from './envelope';

interface ProducerMark {
  readonly epoch: number;
  /** Ordinal of the last event taken in. */
  readonly ordinal: number;
  /** The producer's commit that it came with, or a later one that brought no event. */
  readonly commit: number;
  readonly watermarkMs: number | null;
  readonly idle: boolean;
}

/** What to do with an envelope: which of its events are new, and how many before them are missing. */
export interface Admission {
  /** Events to skip at the front: they were taken in before. */
  readonly seen: number;
  /** Events between what was taken in and this envelope: lost with a hub, to be declared. */
  readonly missing: number;
  readonly stale: boolean;
  /** Why the producer's log cannot be the one that sent what was taken in before; null: it is. */
  readonly contradiction: string | null;
}

/**
 * The consumer's side of an exchange: a high-water mark, watermark and idleness per producer, kept
 * in the task's own state so that they commit with what they let in.
 * Delivery: effectively once: a re-sent envelope is skipped, a missing one is declared.
 */
export class Producers {
  readonly #marks: KeyedStore<ProducerMark>;
  readonly #expected: KeyedStore<number>;

  constructor(state: KeyedState) {
    this.#marks = state.store('$producers');
    this.#expected = state.store('$producer-count');
  }

  /** These have sent nothing yet that counts: what is still under way of their former lives is dropped. */
  expect(producers: readonly string[], epoch: number): void {
    for (const producer of producers) {
      this.#marks.put(producer, { epoch, ordinal: 0, commit: 0, watermarkMs: null, idle: false });
    }
  }

  admit(envelope: Envelope): Admission {
    const mark = this.#marks.get(envelope.producer);
    if (mark !== undefined && envelope.epoch < mark.epoch) {
      return { seen: envelope.events.length, missing: 0, stale: true, contradiction: null };
    }
    const ordinal = mark !== undefined && mark.epoch === envelope.epoch ? mark.ordinal : 0;
    const missing = Math.max(0, envelope.firstOrdinal - 1 - ordinal);
    const seen = Math.min(
      envelope.events.length,
      Math.max(0, ordinal - (envelope.firstOrdinal - 1)),
    );
    return { seen, missing, stale: false, contradiction: contradictionOf(mark, envelope) };
  }

  /** Notes that the envelope's first `taken` events are in; its watermark counts once all are. */
  take(envelope: Envelope, taken: number): void {
    const mark = this.#marks.get(envelope.producer);
    const sameEpoch = mark !== undefined && mark.epoch === envelope.epoch;
    const complete = taken >= envelope.events.length;
    const before = mark?.watermarkMs ?? null;
    const ordinal = Math.max(
      sameEpoch ? mark.ordinal : 0,
      envelope.firstOrdinal - 1 + Math.min(taken, envelope.events.length),
    );
    this.#marks.put(envelope.producer, {
      epoch: envelope.epoch,
      ordinal,
      commit: sameEpoch ? Math.max(mark.commit, envelope.commit) : envelope.commit,
      watermarkMs: complete ? later(before, envelope.watermarkMs) : before,
      idle: complete ? envelope.idle : (mark?.idle ?? false),
    });
    if (this.#expected.get('count') !== envelope.producers) {
      this.#expected.put('count', envelope.producers);
    }
  }

  /**
   * The minimum over producers that are not idle; where all are idle, the latest of theirs. Null
   * until every producer has spoken.
   */
  watermarkMs(): number | null {
    if (this.#marks.size < (this.#expected.get('count') ?? 1)) return null;
    let earliestActive: number | null = null;
    let latestIdle: number | null = null;
    for (const [, mark] of this.#marks.entries()) {
      if (mark.idle) {
        latestIdle = later(latestIdle, mark.watermarkMs);
      } else {
        if (mark.watermarkMs === null) return null;
        earliestActive = Math.min(earliestActive ?? mark.watermarkMs, mark.watermarkMs);
      }
    }
    return earliestActive ?? latestIdle;
  }
}

/**
 * A producer numbers its events once and for all. A later commit that gives numbers out again, or a
 * life that begins anew while the task still holds events of the one before, comes from a log that was
 * put back or deleted: its events would be counted again, or dropped in the place of others.
 */
function contradictionOf(mark: ProducerMark | undefined, envelope: Envelope): string | null {
  if (mark === undefined) return null;
  const { commit, epoch, firstOrdinal, producer } = envelope;
  if (epoch > mark.epoch) {
    return mark.ordinal === 0
      ? null
      : `${producer} begins anew, after ${mark.ordinal} events of its former life were taken in`;
  }
  return commit > mark.commit && firstOrdinal <= mark.ordinal
    ? `commit ${commit} of ${producer} sends event ${firstOrdinal} again, its commit ${mark.commit} had sent up to ${mark.ordinal}`
    : null;
}

function later(left: number | null, right: number | null): number | null {
  if (left === null) return right;
  return right === null ? left : Math.max(left, right);
}
