import { crc32 } from 'node:zlib';
import { openMessage } from '../../../ingest/decode';
import { StreamError } from '../../../model/errors';
import type { CommitRecord, Cursor } from '../../../model/commit';
import type { HubMessage, HubRange, HubReader } from '../../../model/ports';

/** What a commit says that it read. */
export type CommittedRead = Pick<
  CommitRecord,
  'commit' | 'from' | 'to' | 'messages' | 'inputHash'
> & {
  readonly events: number;
};

const messagesPerRead = 1_000;
/** A hub that fails is asked again from where it stopped, so often without a message in between. */
const failuresMax = 5;

/** Hands out a range in order, whatever fails in the middle of it. */
export async function scanHub(
  hub: HubReader,
  range: HubRange,
  take: (messages: readonly HubMessage[]) => Promise<void>,
): Promise<void> {
  let next = range.firstSequenceNumber;
  let failures = 0;
  const takeNew = async (messages: readonly HubMessage[]): Promise<void> => {
    next = (messages.at(-1)?.sequenceNumber ?? next - 1) + 1;
    failures = 0;
    await take(messages);
  };
  while (next <= range.lastSequenceNumber) {
    const rest = { ...range, firstSequenceNumber: next };
    try {
      if (hub.scan !== undefined) {
        await hub.scan(rest, takeNew);
        return;
      }
      const messages = await hub.read({ ...rest, messagesMax: messagesPerRead });
      if (messages.length === 0) return;
      await takeNew(messages);
    } catch (error) {
      failures += 1;
      const isHub = error instanceof StreamError && error.code === 'STREAM_HUB_UNAVAILABLE';
      if (!isHub || failures >= failuresMax) throw error;
    }
  }
}

interface Tally {
  messages: number;
  hash: number;
  events: number;
  /** Events of the last message of the range. */
  eventsOfLast: number;
}

/**
 * Compares commits, in order, with what a hub still holds of what they read. Messages pass by once:
 * of none of them more is kept than counts and checksums.
 */
export class HubComparison {
  readonly #reads: readonly CommittedRead[];
  readonly #countsEvents: boolean;
  readonly #say: (what: string) => void;
  readonly #tallies = new Map<number, Tally>();
  #place = 0;
  /** Events of commits whose messages are as they were read. */
  compared = 0;

  constructor(
    reads: readonly CommittedRead[],
    options: { readonly countsEvents: boolean; readonly say: (what: string) => void },
  ) {
    this.#reads = reads;
    this.#countsEvents = options.countsEvents;
    this.#say = options.say;
  }

  get done(): number {
    return this.#place;
  }

  take(messages: readonly HubMessage[]): void {
    for (const message of messages) this.#take(message);
  }

  /** The hub has no more: what is still open lacks messages. */
  end(): void {
    while (this.#place < this.#reads.length) this.#finish();
  }

  #take({ body, sequenceNumber }: HubMessage): void {
    // Several commits may share a message: each took some of its events.
    let events: number | null = null;
    for (let place = this.#place; place < this.#reads.length; place += 1) {
      const read = this.#reads[place];
      if (read === undefined || read.from.sequenceNumber > sequenceNumber) break;
      if (lastOf(read) < sequenceNumber) continue;
      if (this.#countsEvents) events ??= openMessage(body).length;
      const tally = this.#tallies.get(place) ?? emptyTally();
      tally.messages += 1;
      tally.hash = crc32(body, tally.hash);
      tally.events += events ?? 0;
      tally.eventsOfLast = events ?? 0;
      this.#tallies.set(place, tally);
    }
    for (let read = this.#reads[this.#place]; read; read = this.#reads[this.#place]) {
      if (lastOf(read) > sequenceNumber) return;
      this.#finish();
    }
  }

  #finish(): void {
    const read = this.#reads[this.#place];
    const tally = this.#tallies.get(this.#place) ?? emptyTally();
    this.#tallies.delete(this.#place);
    this.#place += 1;
    if (read === undefined) return;
    const fault = this.#faultIn(read, tally);
    if (fault === null) this.compared += read.events;
    else this.#say(fault);
  }

  #faultIn(
    { commit, events, from, inputHash, messages, to }: CommittedRead,
    tally: Tally,
  ): string | null {
    if (tally.messages !== messages) {
      return `commit ${commit} read ${messages} messages from ${at(from)} to ${at(to)}, the hub holds ${tally.messages}`;
    }
    if (tally.hash !== inputHash) {
      return `commit ${commit}: the hub holds other bytes from ${at(from)} to ${at(to)}`;
    }
    if (!this.#countsEvents) return null;
    const after = to.index > 0 ? tally.eventsOfLast - to.index : 0;
    const held = tally.events - from.index - after;
    return held === events
      ? null
      : `commit ${commit} counts ${events} events, its messages hold ${held}`;
  }
}

function emptyTally(): Tally {
  return { messages: 0, hash: 0, events: 0, eventsOfLast: 0 };
}

/** Sequence number of the last message that a commit read some of. */
export function lastOf({ to }: Pick<CommittedRead, 'to'>): number {
  return to.index > 0 ? to.sequenceNumber : to.sequenceNumber - 1;
}

export function at({ index, sequenceNumber }: Cursor): string {
  return `${sequenceNumber}.${index}`;
}
