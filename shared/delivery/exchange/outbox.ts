import type { OutboxMessage } from '../../model/commit';
import { StreamError } from '../../model/errors';
import type { ExchangeEvent, ExchangePlan } from '../../model/program';
import type { KeyedState, KeyedStore } from '../../state/keyed-state';
import { encodeEnvelope } from './envelope';
import { partitionOfKey } from './partitioner';
import { plainText } from './plain-value';

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

interface OutboxMark {
  /** Ordinal of the last event sent to this partition. */
  readonly ordinal: number;
  /** Commit that last sent it anything. */
  readonly commit: number;
  readonly watermarkMs: number | null;
  readonly idle: boolean;
}

export interface OutboxSender {
  /** `<stage>/<partition>` of this task. */
  readonly producer: string;
  readonly epoch: number;
  /** Tasks of this task's stage. */
  readonly producers: number;
}

/**
 * The producer's side of an exchange: gathers a batch's events by partition and packs them into
 * messages for the commit record.
 */
export class Outbox {
  readonly #exchange: ExchangePlan;
  readonly #partitionCount: number;
  readonly #marks: KeyedStore<OutboxMark>;
  readonly #partitionCounts: KeyedStore<number>;
  readonly #texts: string[][];
  /** The partitions of this batch's events in order: what a rollback takes back. */
  readonly #order: number[] = [];

  constructor(exchange: ExchangePlan, partitionCount: number, state: KeyedState) {
    this.#exchange = exchange;
    this.#partitionCount = partitionCount;
    this.#marks = state.store(`$outbox:${exchange.hub}`);
    this.#partitionCounts = state.store('$exchange-partitions');
    this.#texts = Array.from({ length: partitionCount }, () => []);
  }

  /** @returns the length of the event's text, in UTF-16 units */
  add(event: ExchangeEvent): number {
    const partition = partitionOfKey(event.key, this.#partitionCount);
    const parts = [event.key, event.eventTimeMs, event.value];
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
  pack(
    sender: OutboxSender,
    batch: {
      readonly commit: number;
      readonly watermarkMs: number | null;
      readonly idle: boolean;
      readonly broadcast: boolean;
    },
  ): OutboxMessage[] {
    this.#assertSamePartitionCount();
    const messages: OutboxMessage[] = [];
    for (let partition = 0; partition < this.#partitionCount; partition += 1) {
      const texts = this.#texts[partition] ?? [];
      const mark = this.#marks.get(String(partition));
      if (texts.length === 0 && !isWatermarkDue(mark, batch)) continue;
      let ordinal = mark?.ordinal ?? 0;
      const packs = packTexts(texts);
      packs.forEach((pack, index) => {
        const isLast = index === packs.length - 1;
        const head = {
          ...sender,
          commit: batch.commit,
          firstOrdinal: ordinal + 1,
          // Only the last message may say that all before the watermark has been sent.
          watermarkMs: isLast ? batch.watermarkMs : (mark?.watermarkMs ?? null),
          idle: isLast && batch.idle,
        };
        const body = encodeEnvelope(head, pack);
        messages.push({ exchange: this.#exchange.hub, partition, count: pack.length, body });
        ordinal += pack.length;
      });
      this.#marks.put(String(partition), {
        ordinal,
        commit: batch.commit,
        watermarkMs: batch.watermarkMs,
        idle: batch.idle,
      });
    }
    return messages;
  }

  /** Every partition knows this watermark, and that nothing comes for now: there is nothing to tell. */
  isAtRest(watermarkMs: number | null): boolean {
    for (let partition = 0; partition < this.#partitionCount; partition += 1) {
      const mark = this.#marks.get(String(partition));
      if (mark?.idle !== true || mark.watermarkMs !== watermarkMs) return false;
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

function isWatermarkDue(
  mark: OutboxMark | undefined,
  batch: { commit: number; watermarkMs: number | null; idle: boolean; broadcast: boolean },
): boolean {
  const moved = (mark?.watermarkMs ?? null) !== batch.watermarkMs || mark?.idle !== batch.idle;
  const isQuiet = mark === undefined || batch.commit - mark.commit >= quietCommitsMax;
  return moved && (batch.broadcast || isQuiet);
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
