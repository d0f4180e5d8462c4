import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { frameHeadBytes } from '../message/transfer-frame';
import { DamagedData } from '../errors';
import {
  batchBytes,
  batchHeadBytes,
  firstEventsOf,
  isBatchIntact,
  readBatchFacts,
  type BatchFacts,
} from './batch';

const magic = 'MRHUBLOG';
const version = 3;
/**
 * "MRHUBLOG" | u32 version | u32 CRC-32 of what follows | u64 first sequence number | u64 last time (ms) |
 * u64 last offset + 1.
 */
export const segmentHeadBytes = 40;
/** One entry of the index for so many bytes of the file. */
const indexStepBytes = 64 * 1024;
const scanBytes = 1024 * 1024;

/** What a log knows at the place where a segment begins. */
export interface SegmentStart {
  readonly firstSequenceNumber: number;
  readonly lastEnqueuedTimeMs: number;
  /** -1 when no event was ever there. */
  readonly lastOffset: number;
}

export interface IndexEntry {
  readonly sequenceNumber: number;
  readonly enqueuedTimeMs: number;
  /** Where in the file the batch begins. */
  readonly at: number;
}

export class CorruptLog extends DamagedData {}

/**
 * One file of a partition's log. It is only ever appended to, and dropped whole. Its name is the
 * offset at which it begins, so that an offset says where its event stands.
 */
export class Segment {
  readonly baseOffset: number;
  readonly start: SegmentStart;
  readonly #path: string;
  readonly #file: number;
  readonly #index: IndexEntry[] = [];
  #bytes = segmentHeadBytes;
  #isSynced = false;
  #isTorn = false;
  #isClosed = false;
  /** Read while the file is taken in. */
  #ahead = Buffer.alloc(0);
  #aheadAt = 0;
  lastEnqueuedTimeMs: number;

  private constructor(path: string, baseOffset: number, start: SegmentStart, file: number) {
    this.#path = path;
    this.baseOffset = baseOffset;
    this.start = start;
    this.#file = file;
    this.lastEnqueuedTimeMs = start.lastEnqueuedTimeMs;
  }

  static fileName(baseOffset: number): string {
    return `${String(baseOffset).padStart(16, '0')}.log`;
  }

  /** A new, empty segment. */
  static create(directory: string, baseOffset: number, start: SegmentStart): Segment {
    const path = join(directory, Segment.fileName(baseOffset));
    // Something may be left of a creation that was cut short: it holds no batch.
    const file = openSync(path, 'w+');
    const head = Buffer.alloc(segmentHeadBytes);
    head.write(magic, 'latin1');
    head.writeUInt32BE(version, 8);
    head.writeBigUInt64BE(BigInt(start.firstSequenceNumber), 16);
    head.writeBigUInt64BE(BigInt(start.lastEnqueuedTimeMs), 24);
    head.writeBigUInt64BE(BigInt(start.lastOffset + 1), 32);
    head.writeUInt32BE(crc32(head.subarray(16)), 12);
    try {
      writeAll(file, head, 0);
    } catch (error) {
      closeSync(file);
      // The log grows on in the file before, over the place where this one was to begin.
      rmSync(path, { force: true });
      throw error;
    }
    return new Segment(path, baseOffset, start, file);
  }

  /** A segment that is there; null when its creation was cut short before it held anything. */
  static open(directory: string, baseOffset: number): Segment | null {
    const path = join(directory, Segment.fileName(baseOffset));
    if (!Number.isSafeInteger(baseOffset) || !statSync(path).isFile()) {
      throw new CorruptLog(
        `${path} is no log of this emulator: take it away, or restore the folder`,
      );
    }
    const file = openSync(path, 'r+');
    const head = Buffer.alloc(segmentHeadBytes);
    const bytes = readSync(file, head, 0, head.length, 0);
    const isUnwritten = bytes < head.length || head.every((byte) => byte === 0);
    if (isUnwritten && fstatSync(file).size <= segmentHeadBytes) {
      closeSync(file);
      return null;
    }
    try {
      assertHead(path, head);
    } catch (error) {
      closeSync(file);
      throw error;
    }
    const start = {
      firstSequenceNumber: Number(head.readBigUInt64BE(16)),
      lastEnqueuedTimeMs: Number(head.readBigUInt64BE(24)),
      lastOffset: Number(head.readBigUInt64BE(32)) - 1,
    };
    if (!Object.values(start).every(Number.isSafeInteger)) {
      closeSync(file);
      throw new CorruptLog(
        `${path} is damaged at byte 16: restore the file, or delete the data folder to begin anew`,
      );
    }
    return new Segment(path, baseOffset, start, file);
  }

  /** Where the next batch begins, as an offset. */
  get endOffset(): number {
    return this.baseOffset + this.#bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#bytes === segmentHeadBytes;
  }

  /**
   * Takes in what the file holds, batch by batch. In the last segment a torn end is cut: it was never
   * acknowledged. Anywhere else, and where whole batches stand behind it, it is damage.
   * @returns the bytes that were cut.
   */
  recover(
    options: { readonly isLast: boolean; readonly isCuttingDamage: boolean },
    onBatch: (facts: BatchFacts, batch: Buffer, at: number) => void,
  ): number {
    const size = fstatSync(this.#file).size;
    let expected = this.start.firstSequenceNumber;
    for (let batch = this.#readBatch(size); batch !== null; batch = this.#readBatch(size)) {
      const facts = readBatchFacts(batch, 0);
      if (facts.firstSequenceNumber !== expected) break;
      expected += facts.count;
      onBatch(facts, batch, this.#bytes);
      this.#take(facts, batch.length);
    }
    this.#ahead = Buffer.alloc(0);
    const torn = size - this.#bytes;
    if (torn === 0) return 0;
    if (!options.isLast || (!options.isCuttingDamage && this.#isBatchBehind(size, expected))) {
      throw new CorruptLog(
        `${this.#path} is damaged at byte ${this.#bytes}: restore the file, ${options.isLast ? 'or start with --cut-damage to give up what stands from there on' : 'or delete the data folder to begin anew'}`,
      );
    }
    ftruncateSync(this.#file, this.#bytes);
    return torn;
  }

  /** The batch that begins where the file is taken in up to; null when none stands there whole. */
  #readBatch(size: number): Buffer | null {
    if (this.#bytes + batchHeadBytes > size) return null;
    const bytes = batchBytes(this.#lookAhead(batchHeadBytes, size), 0);
    if (bytes < batchHeadBytes || this.#bytes + bytes > size) return null;
    const batch = this.#lookAhead(bytes, size).subarray(0, bytes);
    return isBatchIntact(batch) && areFramesWhole(batch) ? batch : null;
  }

  /** What stands behind what is taken in: at least so many bytes. */
  #lookAhead(bytes: number, size: number): Buffer {
    const from = this.#bytes - this.#aheadAt;
    if (from >= 0 && this.#ahead.length - from >= bytes) return this.#ahead.subarray(from);
    this.#ahead = Buffer.allocUnsafe(Math.min(Math.max(bytes, scanBytes), size - this.#bytes));
    this.#aheadAt = this.#bytes;
    readSync(this.#file, this.#ahead, 0, this.#ahead.length, this.#aheadAt);
    return this.#ahead;
  }

  /** True when a whole batch of later events stands somewhere behind the end. */
  #isBatchBehind(size: number, expected: number): boolean {
    const chunk = Buffer.allocUnsafe(scanBytes + batchHeadBytes);
    for (let start = this.#bytes + 1; start + batchHeadBytes <= size; start += scanBytes) {
      const bytes = readSync(this.#file, chunk, 0, chunk.length, start);
      for (let at = 0; at < scanBytes && at + batchHeadBytes <= bytes; at += 1) {
        const length = batchBytes(chunk, at);
        if (length < batchHeadBytes || start + at + length > size) continue;
        const { count, firstSequenceNumber } = readBatchFacts(chunk, at);
        if (firstSequenceNumber < expected || count === 0 || count * 8 > length) continue;
        const batch = Buffer.allocUnsafe(length);
        readSync(this.#file, batch, 0, length, start + at);
        if (isBatchIntact(batch)) return true;
      }
    }
    return false;
  }

  /** Appends a batch; throws, with nothing kept, when the disk refuses. */
  append(batch: Buffer, facts: BatchFacts): void {
    if (this.#isTorn) this.#mend();
    try {
      writeAll(this.#file, batch, this.#bytes);
    } catch (error) {
      // A part may be there: what was not acknowledged must not be found after a restart. Until it
      // is cut, nothing may be written behind it.
      this.#isTorn = true;
      this.#mend();
      throw error;
    }
    this.#isSynced = false;
    this.#take(facts, batch.length);
  }

  /** Gives up all events from one on, as if they had never been appended. */
  cutFrom(sequenceNumber: number): void {
    const size = this.#bytes;
    this.#bytes = segmentHeadBytes;
    this.#index.length = 0;
    this.lastEnqueuedTimeMs = this.start.lastEnqueuedTimeMs;
    let rest: Buffer | null = null;
    for (let batch = this.#readBatch(size); batch !== null; batch = this.#readBatch(size)) {
      const facts = readBatchFacts(batch, 0);
      const kept = Math.min(facts.count, sequenceNumber - facts.firstSequenceNumber);
      if (kept < facts.count) {
        if (kept > 0) rest = firstEventsOf(batch, kept);
        break;
      }
      this.#take(facts, batch.length);
    }
    this.#ahead = Buffer.alloc(0);
    ftruncateSync(this.#file, this.#bytes);
    if (rest !== null) this.append(rest, readBatchFacts(rest, 0));
    this.#isSynced = false;
  }

  #mend(): void {
    ftruncateSync(this.#file, this.#bytes);
    this.#isTorn = false;
  }

  #take(facts: BatchFacts, bytes: number): void {
    const last = this.#index.at(-1);
    if (last === undefined || this.#bytes - last.at >= indexStepBytes) {
      const { enqueuedTimeMs, firstSequenceNumber } = facts;
      this.#index.push({ sequenceNumber: firstSequenceNumber, enqueuedTimeMs, at: this.#bytes });
    }
    this.#bytes += bytes;
    this.lastEnqueuedTimeMs = facts.enqueuedTimeMs;
  }

  /** The last indexed batch for which this holds (it must hold up to some batch, and not after). */
  lastIndexed(holds: (entry: IndexEntry) => boolean): IndexEntry | undefined {
    let low = 0;
    let high = this.#index.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#index[middle];
      if (entry !== undefined && holds(entry)) low = middle + 1;
      else high = middle;
    }
    return this.#index[Math.max(0, low - 1)];
  }

  /** Reads from a place in the file into a buffer; gives the bytes read. */
  read(buffer: Buffer, at: number): number {
    const bytes = Math.min(buffer.length, this.#bytes - at);
    return bytes <= 0 ? 0 : readSync(this.#file, buffer, 0, bytes, at);
  }

  /** Asks the disk to keep what was written; an error is told to the caller's listener. */
  sync(onError: (error: Error) => void): void {
    if (this.#isSynced || this.#isClosed) return;
    this.#isSynced = true;
    fdatasync(this.#file, (error) => {
      if (error === null || this.#isClosed) return;
      this.#isSynced = false;
      onError(error);
    });
  }

  /** The same, waiting for it. */
  syncNow(): void {
    if (this.#isSynced || this.#isClosed) return;
    fdatasyncSync(this.#file);
    this.#isSynced = true;
  }

  /** Closes the file, synced or not: an error of the disk is thrown when it is closed. */
  close(): void {
    if (this.#isClosed) return;
    try {
      this.syncNow();
    } finally {
      this.#closeFile();
    }
  }

  remove(): void {
    if (!this.#isClosed) this.#closeFile();
    rmSync(this.#path, { force: true });
  }

  #closeFile(): void {
    this.#isClosed = true;
    closeSync(this.#file);
  }
}

/** The events of a batch follow one another to its end. */
function areFramesWhole(batch: Buffer): boolean {
  let at = batchHeadBytes;
  for (let left = readBatchFacts(batch, 0).count; left > 0; left -= 1) {
    if (at + frameHeadBytes > batch.length || batch.readUInt32BE(at) < frameHeadBytes) return false;
    at += batch.readUInt32BE(at);
  }
  return at === batch.length;
}

/** Writes all bytes from a place in the file on: the system may take them in several pieces. */
export function writeAll(file: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, bytes.length - done, at + done);
  }
}

function assertHead(path: string, head: Buffer): void {
  const found = head.readUInt32BE(8);
  const name = head.toString('latin1', 0, magic.length);
  if (name !== magic || found !== version) {
    throw new CorruptLog(
      `${path} is not a log of version ${version} (it says ${JSON.stringify(name)}, version ${found}): use the emulator that wrote it, or delete the data folder`,
    );
  }
  const crc = head.readUInt32BE(12);
  if (crc === crc32(head.subarray(16))) return;
  throw new CorruptLog(
    `${path} is damaged at byte 12: restore the file, or delete the data folder to begin anew`,
  );
}
