import { crc32 } from 'node:zlib';
import { MessageEncoder, type IncomingEvent } from '../message/event';

/** The idempotent producer a batch came from: the position of its last event. */
export interface ProducerPosition {
  readonly producerId: number;
  readonly epoch: number;
  /** Sequence number that the producer gave to the batch's last event. */
  readonly sequenceNumber: number;
}

export interface BatchFacts {
  readonly firstSequenceNumber: number;
  readonly count: number;
  readonly enqueuedTimeMs: number;
  readonly producer: ProducerPosition | null;
}

/**
 * One batch on disk: u32 bytes after this field | u32 CRC-32 of what follows | u64 first sequence
 * number | u64 enqueued time (ms) | u32 events | u64 producer id | u32 producer sequence number |
 * u16 producer epoch | u16 1 when there is a producer | the events, each a transfer frame.
 */
export const batchHeadBytes = 44;

/** Encodes batches into one buffer that is used again: what it gave is valid until the next call. */
export class BatchEncoder {
  #buffer = Buffer.allocUnsafe(256 * 1024);
  readonly #messages = new MessageEncoder();

  /** The batch and, in bytes from its beginning, where its last event stands. */
  encode(
    events: readonly IncomingEvent[],
    facts: Omit<BatchFacts, 'count'>,
    offset: number,
  ): { readonly bytes: Buffer; readonly lastEventAt: number } {
    let room = batchHeadBytes;
    for (const event of events) room += this.#messages.frameBytesMax(event);
    if (this.#buffer.length < room) this.#buffer = Buffer.allocUnsafe(2 * room);
    const buffer = this.#buffer;
    let at = batchHeadBytes;
    let lastEventAt = at;
    this.#messages.begin(facts.enqueuedTimeMs);
    for (const [index, event] of events.entries()) {
      const sequenceNumber = facts.firstSequenceNumber + index;
      lastEventAt = at;
      at = this.#messages.writeFrame(buffer, at, event, { sequenceNumber, offset: offset + at });
    }
    const bytes = buffer.subarray(0, at);
    writeHead(bytes, { ...facts, count: events.length });
    return { bytes, lastEventAt };
  }
}

function writeHead(bytes: Buffer, facts: BatchFacts): void {
  const { producer } = facts;
  bytes.writeUInt32BE(bytes.length - 4, 0);
  bytes.writeBigUInt64BE(BigInt(facts.firstSequenceNumber), 8);
  bytes.writeBigUInt64BE(BigInt(facts.enqueuedTimeMs), 16);
  bytes.writeUInt32BE(facts.count, 24);
  bytes.writeBigUInt64BE(BigInt(producer?.producerId ?? 0), 28);
  bytes.writeUInt32BE(producer?.sequenceNumber ?? 0, 36);
  bytes.writeUInt16BE(producer?.epoch ?? 0, 40);
  bytes.writeUInt16BE(producer === null ? 0 : 1, 42);
  bytes.writeUInt32BE(crc32(bytes.subarray(8)), 4);
}

/** Bytes of the batch that begins here, from its own length field. */
export function batchBytes(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) + 4;
}

export function readBatchFacts(buffer: Buffer, at: number): BatchFacts {
  return {
    firstSequenceNumber: Number(buffer.readBigUInt64BE(at + 8)),
    enqueuedTimeMs: Number(buffer.readBigUInt64BE(at + 16)),
    count: buffer.readUInt32BE(at + 24),
    producer:
      buffer.readUInt16BE(at + 42) === 0
        ? null
        : {
            producerId: Number(buffer.readBigUInt64BE(at + 28)),
            sequenceNumber: buffer.readUInt32BE(at + 36),
            epoch: buffer.readUInt16BE(at + 40),
          },
  };
}

/** A batch of its own that holds the first events of another. */
export function firstEventsOf(batch: Buffer, count: number): Buffer {
  let end = batchHeadBytes;
  for (let left = count; left > 0; left -= 1) end += batch.readUInt32BE(end);
  const bytes = Buffer.from(batch.subarray(0, end));
  writeHead(bytes, { ...readBatchFacts(batch, 0), count });
  return bytes;
}

export function isBatchIntact(batch: Buffer): boolean {
  return crc32(batch.subarray(8)) === batch.readUInt32BE(4);
}
