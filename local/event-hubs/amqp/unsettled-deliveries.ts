import type { Socket } from 'node:net';
import type * as rhea from 'rhea';

/** What a link may have sent without hearing what became of it. */
const unsettledMax = 65_536;

/** The outcomes, by their descriptors (AMQP 1.0 part 3 §3.4). */
const outcomes = { received: 0x23, released: 0x26, modified: 0x27 } as const;

/** What a receiver says of deliveries, by their numbers. */
export interface Disposition {
  readonly first: number;
  readonly last: number;
  readonly isSettled: boolean;
  /** Descriptor of the outcome; null: none is named. */
  readonly outcome: number | null;
  /** `modified`: this receiver does not want it again. */
  readonly isUndeliverable: boolean;
}

/** A receiver's word on some of a link's deliveries. */
export interface Settlement {
  /** Events to be sent again, by sequence number. */
  readonly again: readonly number[];
  /** Deliveries whose receiver waits for the sender to settle them, as runs of numbers. */
  readonly awaited: readonly { first: number; last: number }[];
}

/**
 * What a receiver that asked for unsettled deliveries has not settled yet (AMQP 1.0 part 2 §2.6.12).
 * What it accepts or rejects is done with; what it releases, or gives back as modified, comes again.
 */
export class UnsettledDeliveries {
  readonly #sequenceNumbers = new Map<number, number>();

  /** Deliveries that may still be sent. */
  get room(): number {
    return unsettledMax - this.#sequenceNumbers.size;
  }

  add(deliveryId: number, sequenceNumber: number): void {
    this.#sequenceNumbers.set(deliveryId, sequenceNumber);
  }

  settle({ first, isSettled, isUndeliverable, last, outcome }: Disposition): Settlement {
    const again: number[] = [];
    const awaited: { first: number; last: number }[] = [];
    const isOver = isSettled || (outcome !== null && outcome !== outcomes.received);
    if (!isOver) return { again, awaited };
    const isWanted =
      outcome === outcomes.released || (outcome === outcomes.modified && !isUndeliverable);
    // Numbers begin again after 2^32.
    const length = (last - first) >>> 0;
    for (const [deliveryId, sequenceNumber] of this.#sequenceNumbers) {
      if ((deliveryId - first) >>> 0 > length) continue;
      this.#sequenceNumbers.delete(deliveryId);
      if (isWanted) again.push(sequenceNumber);
      if (isSettled) continue;
      const run = awaited.at(-1);
      if (run !== undefined && run.last + 1 === deliveryId) run.last = deliveryId;
      else awaited.push({ first: deliveryId, last: deliveryId });
    }
    return { again, awaited };
  }
}

/** A sender's disposition that settles deliveries with the outcome that the receiver named. */
function settlingFrame(
  channel: number,
  run: { readonly first: number; readonly last: number },
  outcome: number,
): Buffer {
  // disposition { role sender, first, last, settled, state without fields, batchable null }
  const bytes = Buffer.from(
    '00000000020000000053' + '15c012064270000000007000000000' + '410053004540',
    'hex',
  );
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt16BE(channel, 6);
  bytes.writeUInt32BE(run.first, 16);
  bytes.writeUInt32BE(run.last, 21);
  bytes[28] = outcome;
  return bytes;
}

interface RheaDisposition {
  readonly performative: {
    readonly role: boolean;
    readonly first: number;
    readonly last?: number | null;
    readonly settled?: boolean | null;
    readonly state?: {
      readonly descriptor?: { readonly value: number | string };
      readonly value?: readonly { readonly value?: unknown }[];
    } | null;
  };
}

interface RheaSession {
  readonly local: { readonly channel: number };
  readonly connection: { readonly socket?: Socket };
  on_disposition(frame: RheaDisposition): void;
}

const watched = new WeakSet();
const symbolicOutcomes: Readonly<Record<string, number>> = {
  'amqp:received:list': 0x23,
  'amqp:accepted:list': 0x24,
  'amqp:rejected:list': 0x25,
  'amqp:released:list': 0x26,
  'amqp:modified:list': 0x27,
};

/** Calls at every disposition by which the receivers of a session settle, and settles in return. */
export function onSessionDisposition(
  session: rhea.Session,
  settle: (disposition: Disposition) => readonly Settlement['awaited'][],
): void {
  if (watched.has(session)) return;
  watched.add(session);
  const own = session as unknown as RheaSession;
  const onDisposition = own.on_disposition.bind(own);
  own.on_disposition = (frame) => {
    const { first, last, role, settled, state } = frame.performative;
    if (role) {
      const descriptor = state?.descriptor?.value;
      const outcome = typeof descriptor === 'string' ? symbolicOutcomes[descriptor] : descriptor;
      const disposition = {
        ...{ first, last: last ?? first, outcome: outcome ?? null },
        isSettled: Boolean(settled),
        isUndeliverable: Boolean(state?.value?.[1]?.value),
      };
      for (const run of settle(disposition).flat()) {
        own.connection.socket?.write(settlingFrame(own.local.channel, run, outcome ?? 0x24));
      }
    }
    onDisposition(frame);
  };
}
