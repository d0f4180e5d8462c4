import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { encodeStored, type IncomingEvent } from '../amqp/event';

/**
 * One batch on disk: u32 bytes after this field | u32 CRC-32 of what follows | u64 first sequence
 * number | u64 enqueued time (ms) | u32 events | events, each u32 length and its stored message.
 */
const headBytes = 28;
/** What the log keeps of its end in memory, so that readers at the tail never touch the disk. */
const tailBytesMax = 4 * 1024 * 1024;

interface BatchPlace {
  readonly firstSequenceNumber: number;
  readonly count: number;
  readonly enqueuedTimeMs: number;
  /** Where the batch begins in the file. */
  readonly at: number;
  readonly bytes: number;
}

export interface StoredEvent {
  readonly sequenceNumber: number;
  readonly offset: number;
  readonly enqueuedTimeMs: number;
  readonly message: Buffer;
}

/**
 * The events of one partition, in a file that is only ever appended to. A batch is written with one
 * write before it is acknowledged: it survives the death of the process. fsync comes on a timer and
 * at close: a power cut may cost the last moments.
 */
export class PartitionLog {
  readonly #file: number;
  readonly #places: BatchPlace[] = [];
  readonly #tail = new Map<number, Buffer>();
  #tailBytes = 0;
  #bytes = 0;
  #isSynced = true;
  #isTorn = false;
  nextSequenceNumber = 0;
  lastEnqueuedTimeMs = 0;
  lastOffset = -1;

  constructor(directory: string, partition: number) {
    mkdirSync(directory, { recursive: true });
    this.#file = openSync(join(directory, `${partition}.log`), 'a+');
    this.#recover();
  }

  get firstSequenceNumber(): number {
    return 0;
  }

  get isEmpty(): boolean {
    return this.nextSequenceNumber === 0;
  }

  /** Appends a batch; throws, with nothing kept, when the disk refuses. */
  append(events: readonly IncomingEvent[], nowMs: number): void {
    const enqueuedTimeMs = Math.max(nowMs, this.lastEnqueuedTimeMs);
    const firstSequenceNumber = this.nextSequenceNumber;
    const parts: Buffer[] = [Buffer.alloc(headBytes)];
    let at = this.#bytes + headBytes;
    let lastOffset = this.lastOffset;
    events.forEach((event, index) => {
      const position = { sequenceNumber: firstSequenceNumber + index, offset: at, enqueuedTimeMs };
      const message = encodeStored(event, position);
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32BE(message.length);
      parts.push(length, message);
      lastOffset = at;
      at += 4 + message.length;
    });
    const batch = Buffer.concat(parts);
    batch.writeUInt32BE(batch.length - 4, 0);
    batch.writeBigUInt64BE(BigInt(firstSequenceNumber), 8);
    batch.writeBigUInt64BE(BigInt(enqueuedTimeMs), 16);
    batch.writeUInt32BE(events.length, 24);
    batch.writeUInt32BE(crc32(batch.subarray(8)), 4);
    this.#write(batch);
    this.lastOffset = lastOffset;
    this.#take(batch, { firstSequenceNumber, count: events.length, enqueuedTimeMs });
  }

  /** Cuts what a refused write left behind; throws while the disk refuses that too. */
  #mend(): void {
    ftruncateSync(this.#file, this.#bytes);
    this.#isTorn = false;
  }

  #write(batch: Buffer): void {
    if (this.#isTorn) this.#mend();
    try {
      for (let done = 0; done < batch.length;) {
        done += writeSync(this.#file, batch, done, batch.length - done);
      }
      this.#isSynced = false;
    } catch (error) {
      // A part may be there: what was not acknowledged must not be found after a restart. Until it
      // is cut, nothing may be written behind it.
      this.#isTorn = true;
      this.#mend();
      throw error;
    }
  }

  #take(
    batch: Buffer,
    facts: { firstSequenceNumber: number; count: number; enqueuedTimeMs: number },
  ): void {
    this.#places.push({ ...facts, at: this.#bytes, bytes: batch.length });
    this.#tail.set(this.#bytes, batch);
    this.#tailBytes += batch.length;
    for (const [at, old] of this.#tail) {
      if (this.#tailBytes <= tailBytesMax) break;
      this.#tail.delete(at);
      this.#tailBytes -= old.length;
    }
    this.#bytes += batch.length;
    this.nextSequenceNumber = facts.firstSequenceNumber + facts.count;
    this.lastEnqueuedTimeMs = facts.enqueuedTimeMs;
  }

  /** Events from a sequence number on, at most so many, from as few reads as possible. */
  read(sequenceNumber: number, eventsMax: number): StoredEvent[] {
    const events: StoredEvent[] = [];
    for (
      let index = this.#placeOf(sequenceNumber);
      index < this.#places.length && events.length < eventsMax;
      index += 1
    ) {
      const place = this.#places[index];
      if (place === undefined) break;
      for (const event of eventsOf(this.#bytesOf(place), place)) {
        if (event.sequenceNumber >= sequenceNumber && events.length < eventsMax) events.push(event);
      }
    }
    return events;
  }

  /** The first event enqueued after a time. */
  sequenceAfterTime(timeMs: number): number {
    const place = this.#places.find(({ enqueuedTimeMs }) => enqueuedTimeMs > timeMs);
    return place?.firstSequenceNumber ?? this.nextSequenceNumber;
  }

  /** The event at an offset or the first after it. */
  sequenceAtOffset(offset: number): number {
    const place = this.#places.find(({ at, bytes }) => at + bytes > offset);
    if (place === undefined) return this.nextSequenceNumber;
    const event = eventsOf(this.#bytesOf(place), place).find((one) => one.offset >= offset);
    return event?.sequenceNumber ?? place.firstSequenceNumber + place.count;
  }

  #placeOf(sequenceNumber: number): number {
    let low = 0;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const place = this.#places[middle];
      if (place !== undefined && place.firstSequenceNumber + place.count <= sequenceNumber) {
        low = middle + 1;
      } else high = middle;
    }
    return low;
  }

  #bytesOf(place: BatchPlace): Buffer {
    const cached = this.#tail.get(place.at);
    if (cached !== undefined) return cached;
    const bytes = Buffer.allocUnsafe(place.bytes);
    readSync(this.#file, bytes, 0, place.bytes, place.at);
    return bytes;
  }

  /** Takes in what is on disk and cuts a torn end: it was never acknowledged. */
  #recover(): void {
    const size = fstatSync(this.#file).size;
    const head = Buffer.allocUnsafe(headBytes);
    while (this.#bytes + headBytes <= size) {
      readSync(this.#file, head, 0, headBytes, this.#bytes);
      const length = head.readUInt32BE(0) + 4;
      if (length < headBytes || this.#bytes + length > size) break;
      const batch = Buffer.allocUnsafe(length);
      readSync(this.#file, batch, 0, length, this.#bytes);
      if (crc32(batch.subarray(8)) !== batch.readUInt32BE(4)) break;
      const place = {
        firstSequenceNumber: Number(batch.readBigUInt64BE(8)),
        enqueuedTimeMs: Number(batch.readBigUInt64BE(16)),
        count: batch.readUInt32BE(24),
      };
      const events = eventsOf(batch, { ...place, at: this.#bytes, bytes: length });
      this.lastOffset = events.at(-1)?.offset ?? this.lastOffset;
      this.#take(batch, place);
    }
    if (this.#bytes < size) ftruncateSync(this.#file, this.#bytes);
  }

  sync(): void {
    if (this.#isSynced) return;
    fsyncSync(this.#file);
    this.#isSynced = true;
  }

  close(): void {
    this.sync();
    closeSync(this.#file);
  }
}

function eventsOf(batch: Buffer, place: BatchPlace): StoredEvent[] {
  const events: StoredEvent[] = [];
  let at = headBytes;
  for (let index = 0; index < place.count; index += 1) {
    const length = batch.readUInt32BE(at);
    events.push({
      sequenceNumber: place.firstSequenceNumber + index,
      offset: place.at + at,
      enqueuedTimeMs: place.enqueuedTimeMs,
      message: batch.subarray(at + 4, at + 4 + length),
    });
    at += 4 + length;
  }
  return events;
}
