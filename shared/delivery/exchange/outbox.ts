import type { OutboxMessage } from '../../model/commit';
import { StreamError } from '../../model/errors';
import { keyGroupOf, partitionOfGroup } from '../../model/key';
import type { ExchangeEvent, ExchangePlan } from '../../model/program';
import type { KeyedStore } from '../../state/stores';
import type { TaskStores } from '../../state/task-stores';
import type { Positions } from '../../time/position';
import { encodeEnvelope, type EnvelopeHead } from './envelope';
import { plainText } from '../../model/plain-value';

/**
 * Events are packed up to Event Hubs' billing unit of 64 KiB, less room for the envelope's head and
 * for what AMQP adds: bigger messages cost a second unit, smaller ones waste the first.
 */
const packBytesMax = 62 * 1024;
/** The hub's limit for a message is 1 MiB; the rest is for the envelope's head and for AMQP. */
const eventBytesMax = 1_000_000;
const utf8BytesPerUnitMax = 3;
/** A partition without events learns a moved watermark after this many commits at the latest. */
const quietCommitsMax = 8;

/** Stores of a task's state with what it has sent, by partition; the hub's name follows. */
export const outboxStorePrefix = '$outbox:';

interface OutboxMark {
  /** Ordinal of the last event sent to this partition. */
  readonly ordinal: number;
  /** Commit that last sent it anything. */
  readonly commit: number;
  readonly watermarkMs: number | null;
  readonly through: Positions;
  readonly isFinished: boolean;
}

/** What every message of a task says of it. */
export type OutboxSender = Pick<
  EnvelopeHead,
  'epoch' | 'incarnation' | 'partition' | 'planNumber' | 'producers' | 'stage' | 'topologyVersion'
>;

/** What a commit says to every partition of an exchange. */
export interface OutboxTime {
  readonly commit: number;
  readonly watermarkMs: number | null;
  /** The source positions that the watermark covers. */
  readonly through: Positions;
  readonly isFinished: boolean;
  /** Tell every partition at once: no events may follow that would do so by the way. */
  readonly broadcast: boolean;
}

/**
 * The producer's side of an exchange: gathers a batch's events by partition and packs them into
 * messages for the commit record.
 */
export class Outbox {
  readonly #exchange: ExchangePlan;
  readonly #partitionCount: number;
  readonly #port: number;
  readonly #marks: KeyedStore<OutboxMark>;
  readonly #partitionCounts: KeyedStore<number>;
  readonly #texts: string[][];
  /** The partitions of this batch's events in order: what a rollback takes back. */
  readonly #order: number[] = [];

  constructor(exchange: ExchangePlan, partitionCount: number, state: TaskStores) {
    this.#exchange = exchange;
    this.#partitionCount = partitionCount;
    this.#port = exchange.port;
    const port = this.#port === 0 ? '' : `#${this.#port}`;
    this.#marks = state.store(`${outboxStorePrefix}${exchange.hub}${port}`);
    this.#partitionCounts = state.store('$exchange-partitions');
    this.#texts = Array.from({ length: partitionCount }, () => []);
  }

  /** @returns the length of the event's text, in UTF-16 units */
  add(event: ExchangeEvent): number {
    const { carriedFor, eventTimeMs, key, markMs = -Infinity, value } = event;
    const partition = partitionOfGroup(keyGroupOf(key), this.#partitionCount);
    const parts = [key, eventTimeMs, value];
    // Where it is not behind, no window can refuse the event by it.
    const isBehind = eventTimeMs < markMs;
    if (isBehind || carriedFor !== undefined) parts.push(isBehind ? markMs : null);
    if (carriedFor !== undefined) parts.push(carriedFor);
    const text = event.hasNegativeZero === true ? plainText(parts) : JSON.stringify(parts);
    assertFitsMessage(text);
    this.#texts[partition]?.push(text);
    this.#order.push(partition);
    return text.length;
  }

  mark(): number {
    return this.#order.length;
  }

  rollback(mark: number): void {
    while (this.#order.length > mark) {
      const partition = this.#order.pop();
      if (partition !== undefined) this.#texts[partition]?.pop();
    }
  }

  /**
   * The batch's messages, per partition in order. Partitions without events get the watermark alone
   * when it moved and they have been quiet for long, or as soon as it moved when `broadcast`.
   */
  pack(sender: OutboxSender, time: OutboxTime): OutboxMessage[] {
    this.#assertSamePartitionCount();
    const { commit, isFinished, through, watermarkMs } = time;
    const messages: OutboxMessage[] = [];
    for (let partition = 0; partition < this.#partitionCount; partition += 1) {
      const texts = this.#texts[partition] ?? [];
      const mark = this.#marks.get(String(partition));
      if (texts.length === 0 && !isTimeDue(mark, time)) continue;
      let ordinal = mark?.ordinal ?? 0;
      const packs = packTexts(texts);
      packs.forEach((pack, index) => {
        const isLast = index === packs.length - 1;
        const head: EnvelopeHead = {
          ...sender,
          ...{ port: this.#port, commit, firstOrdinal: ordinal + 1 },
          // Only the last message may say that all before the watermark has been sent.
          watermarkMs: isLast ? watermarkMs : (mark?.watermarkMs ?? null),
          through: isLast ? through : (mark?.through ?? {}),
          isFinished: isLast && isFinished,
        };
        const body = encodeEnvelope(head, pack);
        messages.push({ exchange: this.#exchange.hub, partition, count: pack.length, body });
        ordinal += pack.length;
      });
      const told = { ordinal, commit, watermarkMs, through, isFinished };
      this.#marks.put(String(partition), told);
    }
    return messages;
  }

  /** Every partition knows this watermark: there is nothing to tell. */
  isTimeTold(watermarkMs: number | null): boolean {
    for (let partition = 0; partition < this.#partitionCount; partition += 1) {
      const told = this.#marks.get(String(partition))?.watermarkMs ?? null;
      if (told !== watermarkMs) return false;
    }
    return true;
  }

  /** Every partition knows that this task has finished. */
  isEndTold(): boolean {
    for (let partition = 0; partition < this.#partitionCount; partition += 1) {
      if (this.#marks.get(String(partition))?.isFinished !== true) return false;
    }
    return true;
  }

  /** With another count keys would go to other tasks than those that hold their state. */
  #assertSamePartitionCount(): void {
    const { hub } = this.#exchange;
    const known = this.#partitionCounts.get(hub);
    if (known === this.#partitionCount) return;
    if (known === undefined) {
      this.#partitionCounts.put(hub, this.#partitionCount);
      return;
    }
    throw new StreamError(
      'STREAM_STATE_MISMATCH',
      `the exchange ${hub} had ${known} partitions and now has ${this.#partitionCount}: keys would leave ` +
        'their state behind. Drain the topology first and give the keyBy another name, which makes a new hub',
      { details: { exchange: hub, known, found: this.#partitionCount } },
    );
  }

  /** Forgets the batch: it is in the log, or was rolled back whole. */
  clear(): void {
    for (const texts of this.#texts) texts.length = 0;
    this.#order.length = 0;
  }
}

/** Found when it is sent, it would be in the log already, and in the way of all that follows. */
function assertFitsMessage(text: string): void {
  if (text.length * utf8BytesPerUnitMax <= eventBytesMax) return;
  const bytes = Buffer.byteLength(text);
  if (bytes <= eventBytesMax) return;
  throw new StreamError(
    'STREAM_EVENT_TOO_LARGE',
    `for its exchange the event takes ${bytes} bytes, a message holds ${eventBytesMax}: send on less of it`,
  );
}

function isTimeDue(mark: OutboxMark | undefined, time: OutboxTime): boolean {
  if (mark === undefined) return true;
  const isNews = mark.watermarkMs !== time.watermarkMs || mark.isFinished !== time.isFinished;
  return isNews && (time.broadcast || time.commit - mark.commit >= quietCommitsMax);
}

function packTexts(texts: readonly string[]): string[][] {
  const packs: string[][] = [[]];
  let bytes = 0;
  for (const text of texts) {
    const textBytes = Buffer.byteLength(text) + 1;
    if (bytes > 0 && bytes + textBytes > packBytesMax) {
      packs.push([]);
      bytes = 0;
    }
    packs.at(-1)?.push(text);
    bytes += textBytes;
  }
  return packs;
}
