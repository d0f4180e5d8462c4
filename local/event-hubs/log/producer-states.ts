import { Refusal } from '../errors';
import type { ProducerPosition } from './batch';

export interface ProducerClaim extends ProducerPosition {
  /** Sequence number that the producer gave to the batch's first event. */
  readonly firstSequenceNumber: number;
}

/** Producers remembered for a partition. */
const producersMax = 10_000;
/** Their events are numbered with ints: 0 follows on the largest. */
export const sequenceNumberMax = 0x7fff_ffff;
const sequenceNumbers = sequenceNumberMax + 1;
/** Numbers given to producers stay far below: one that a producer brings along does not push them there. */
const givenProducerIdMax = 2 ** 48;

/** The number so many events on. */
export function afterSequence(sequenceNumber: number, events: number): number {
  return (sequenceNumber + events) % sequenceNumbers;
}

/** How far a number is ahead of another; negative when it is behind. Numbers that roll over are near. */
function aheadOf(sequenceNumber: number, other: number): number {
  const distance = (sequenceNumber - other + sequenceNumbers) % sequenceNumbers;
  return distance < sequenceNumbers / 2 ? distance : distance - sequenceNumbers;
}

/**
 * What each idempotent producer of a partition has published. A producer numbers its events; the
 * same numbers again are the same events, and a number left out is an error it must hear of.
 */
export class ProducerStates {
  readonly #last = new Map<number, ProducerPosition>();
  /** Never given before, not even to a producer that published nothing before a restart. */
  #nextProducerId: number;

  constructor(nowMs: number) {
    this.#nextProducerId = nowMs;
  }

  /** A link opens: who it is from now on, and after which number it goes on. */
  open(asked: {
    readonly producerId: number | null;
    readonly epoch: number | null;
    readonly sequenceNumber: number | null;
  }): ProducerPosition {
    const producerId = asked.producerId ?? this.#nextProducerId;
    const known = this.#last.get(producerId);
    const epoch = asked.epoch ?? (known === undefined ? 0 : known.epoch + 1);
    if (known !== undefined && epoch < known.epoch) throw stolen(producerId, epoch, known.epoch);
    const sequenceNumber = asked.sequenceNumber ?? known?.sequenceNumber ?? 0;
    // A producer that comes back may not know what its last batch became: it is told the number it
    // named, sends the batch again under the same numbers, and the state kept here knows it.
    const isSameLife = known !== undefined && known.epoch === epoch;
    const isBehind = isSameLife && aheadOf(known.sequenceNumber, sequenceNumber) > 0;
    const published = isBehind ? known.sequenceNumber : sequenceNumber;
    this.take({ producerId, epoch, sequenceNumber: published });
    return { producerId, epoch, sequenceNumber };
  }

  /** True when the batch is new; false when it was published before. Refuses what cannot be either. */
  isNew(claim: ProducerClaim): boolean {
    const known = this.#last.get(claim.producerId);
    if (known === undefined) return true;
    if (claim.epoch < known.epoch) throw stolen(claim.producerId, claim.epoch, known.epoch);
    if (aheadOf(claim.sequenceNumber, known.sequenceNumber) <= 0) return false;
    const next = afterSequence(known.sequenceNumber, 1);
    if (claim.firstSequenceNumber === next) return true;
    throw new Refusal(
      'com.microsoft:out-of-order-sequence',
      `The producer sequence number '${claim.firstSequenceNumber}' of producer '${claim.producerId}' is out of order: '${next}' comes next.`,
    );
  }

  take(position: ProducerPosition): void {
    // The one heard of last goes to the end: the one that is forgotten is the one silent longest.
    this.#last.delete(position.producerId);
    this.#last.set(position.producerId, position);
    if (this.#last.size > producersMax) {
      for (const [oldest] of this.#last) {
        this.#last.delete(oldest);
        break;
      }
    }
    if (position.producerId < givenProducerIdMax) {
      this.#nextProducerId = Math.max(this.#nextProducerId, position.producerId + 1);
    }
  }
}

function stolen(producerId: number, epoch: number, current: number): Refusal {
  return new Refusal(
    'com.microsoft:producer-epoch-stolen',
    `The epoch '${epoch}' of producer '${producerId}' is not the current one: '${current}' has taken its place.`,
  );
}
