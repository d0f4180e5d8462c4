import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { IncomingEvent } from '../message/event';
import { BatchEncoder, batchHeadBytes, readBatchFacts, type BatchFacts } from './batch';
import { ProducerStates, type ProducerClaim } from './producer-states';
import { CorruptLog, Segment, segmentHeadBytes } from './segment';

export interface LogLimits {
  /** Events older than this may be dropped, a segment at a time; null: kept for ever. */
  readonly retentionMs: number | null;
  /** A partition's files may hold so much before its oldest segment is dropped; null: any amount. */
  readonly retentionBytes: number | null;
  readonly segmentBytes: number;
}

/** Where a reader stands: the next event, or the head of the batch that holds it. */
export interface LogCursor {
  sequenceNumber: number;
  segment: Segment;
  /** In the segment's file. */
  at: number;
  /** Events of the batch still to come from `at` on; 0: a batch head stands there. */
  leftInBatch: number;
}

/** Frames in a row, as they go out but for their link. */
export interface FrameRun {
  readonly frames: Buffer;
  readonly count: number;
}

interface SeenEvent {
  readonly sequenceNumber: number;
  readonly offset: number;
  readonly enqueuedTimeMs: number;
}

/** As long as a promotion takes, at least: nothing of before and after it was enqueued closer together. */
const promotionTakesMs = 1_000;

const readBytesMin = 16 * 1024;
const readBytesMax = 512 * 1024;
/** One for all logs: what it holds is used up before anybody else reads or writes. */
const encoder = new BatchEncoder();
let scratch = Buffer.allocUnsafe(readBytesMax);

/**
 * The events of one partition, in segment files. A batch is written with one write before it is
 * acknowledged: it survives the death of the process. fdatasync comes on a timer and at close: a
 * power cut may cost the last moments. Memory: an index entry for each 64 KiB, whatever the backlog.
 */
export class PartitionLog {
  readonly #directory: string;
  readonly #limits: LogLimits;
  readonly #segments: Segment[] = [];
  producers = new ProducerStates(Date.now());
  nextSequenceNumber = 0;
  lastEnqueuedTimeMs = 0;
  lastOffset = -1;
  /** No event may be enqueued before this: later than those that were lost. */
  #enqueuedTimeMinMs = 0;
  /** Bytes of a torn end that were cut when the log was opened. */
  readonly tornBytes: number;

  /** `isCuttingDamage`: gives up the last file from its first damaged byte on. */
  constructor(directory: string, limits: LogLimits, isCuttingDamage = false) {
    this.#directory = directory;
    this.#limits = limits;
    mkdirSync(directory, { recursive: true });
    try {
      this.tornBytes = this.#recover(isCuttingDamage);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The first event that is still kept; the next one to come when none is. */
  get firstSequenceNumber(): number {
    return this.#segments[0]?.start.firstSequenceNumber ?? this.nextSequenceNumber;
  }

  get isEmpty(): boolean {
    return this.firstSequenceNumber === this.nextSequenceNumber;
  }

  get #active(): Segment {
    const active = this.#segments.at(-1);
    if (active === undefined) throw new Error(`${this.#directory}: the log is closed`);
    return active;
  }

  #recover(isCuttingDamage: boolean): number {
    const bases = readdirSync(this.#directory)
      .filter((name) => /^\d{16}\.log$/.test(name))
      .map((name) => Number(name.slice(0, 16)))
      .sort((left, right) => left - right);
    let torn = 0;
    bases.forEach((base, index) => {
      const isLast = index === bases.length - 1;
      const segment = Segment.open(this.#directory, base);
      if (segment !== null) this.#segments.push(segment);
      const before = this.#segments.at(segment === null ? -1 : -2);
      const isNext = before === undefined || this.#follows(before, base, segment);
      if (!isNext || (segment === null && !isLast)) {
        throw new CorruptLog(
          `${this.#directory}: the file before ${Segment.fileName(base)} is missing or cut short: restore it, or delete the data folder to begin anew`,
        );
      }
      if (segment !== null) torn = this.#takeIn(segment, { isLast, isCuttingDamage });
      // Nothing was written to it: the one before may grow on, over the place where this one begins.
      else if (before !== undefined) rmSync(join(this.#directory, Segment.fileName(base)));
    });
    if (this.#segments.length === 0) this.#roll(bases.at(-1) ?? 0);
    return torn;
  }

  /** No byte and no event lies between two segments. */
  #follows(before: Segment, base: number, segment: Segment | null): boolean {
    const first = segment?.start.firstSequenceNumber ?? this.nextSequenceNumber;
    return before.endOffset === base && first === this.nextSequenceNumber;
  }

  #takeIn(segment: Segment, options: Parameters<Segment['recover']>[0]): number {
    this.nextSequenceNumber = segment.start.firstSequenceNumber;
    this.lastEnqueuedTimeMs = segment.start.lastEnqueuedTimeMs;
    this.lastOffset = segment.start.lastOffset;
    return segment.recover(options, (facts, batch, at) => {
      let eventAt = batchHeadBytes;
      for (let left = facts.count; left > 1; left -= 1) eventAt += batch.readUInt32BE(eventAt);
      this.#advance(facts, segment.baseOffset + at + eventAt);
    });
  }

  #advance(facts: BatchFacts, lastOffset: number): void {
    this.nextSequenceNumber = facts.firstSequenceNumber + facts.count;
    this.lastEnqueuedTimeMs = facts.enqueuedTimeMs;
    this.lastOffset = lastOffset;
    if (facts.producer !== null) this.producers.take(facts.producer);
  }

  #roll(baseOffset: number): void {
    // Only the last file may have a torn end after a power cut.
    this.#segments.at(-1)?.syncNow();
    const start = {
      firstSequenceNumber: this.nextSequenceNumber,
      lastEnqueuedTimeMs: this.lastEnqueuedTimeMs,
      lastOffset: this.lastOffset,
    };
    this.#segments.push(Segment.create(this.#directory, baseOffset, start));
  }

  /**
   * Appends a batch; throws, with nothing kept, when the disk refuses. A batch that its idempotent
   * producer had published before is not kept again.
   */
  append(
    events: readonly IncomingEvent[],
    nowMs: number,
    claim: ProducerClaim | null = null,
  ): void {
    if (claim !== null && !this.producers.isNew(claim)) return;
    if (this.#active.bytes >= this.#limits.segmentBytes) this.#roll(this.#active.endOffset);
    const active = this.#active;
    const facts: BatchFacts = {
      firstSequenceNumber: this.nextSequenceNumber,
      count: events.length,
      enqueuedTimeMs: Math.max(nowMs, this.lastEnqueuedTimeMs, this.#enqueuedTimeMinMs),
      producer: claim,
    };
    const offset = active.endOffset;
    const { bytes, lastEventAt } = encoder.encode(events, facts, offset);
    active.append(bytes, facts);
    this.#advance(facts, offset + lastEventAt);
  }

  /** A reader that begins at this event, or at the first that is kept. */
  cursorAt(sequenceNumber: number): LogCursor {
    const wanted = Math.max(sequenceNumber, this.firstSequenceNumber);
    const segment = this.#segmentWhere((one) => one.start.firstSequenceNumber <= wanted);
    const cursor = this.#cursorIn(segment, (entry) => entry.sequenceNumber <= wanted);
    this.#walk(cursor, (event) => event.sequenceNumber >= wanted);
    return cursor;
  }

  /** The last segment for which this holds, else the first. */
  #segmentWhere(holds: (segment: Segment) => boolean): Segment {
    return this.#segments.findLast(holds) ?? this.#segments[0] ?? this.#active;
  }

  #cursorIn(segment: Segment, holds: Parameters<Segment['lastIndexed']>[0]): LogCursor {
    const entry = segment.lastIndexed(holds);
    return {
      segment,
      sequenceNumber: entry?.sequenceNumber ?? segment.start.firstSequenceNumber,
      at: entry?.at ?? segmentHeadBytes,
      leftInBatch: 0,
    };
  }

  /** The first event enqueued after a time. */
  sequenceAfterTime(timeMs: number): number {
    const segment = this.#segmentWhere((one) => one.start.lastEnqueuedTimeMs <= timeMs);
    const cursor = this.#cursorIn(segment, (entry) => entry.enqueuedTimeMs <= timeMs);
    this.#walk(cursor, (event) => event.enqueuedTimeMs > timeMs);
    return cursor.sequenceNumber;
  }

  /** The event at an offset or the first after it, and whether it stands exactly there. */
  sequenceAtOffset(offset: number): { readonly sequenceNumber: number; readonly isExact: boolean } {
    const segment = this.#segmentWhere((one) => one.baseOffset <= offset);
    const cursor = this.#cursorIn(segment, (entry) => segment.baseOffset + entry.at <= offset);
    let isExact = false;
    this.#walk(cursor, (event) => {
      isExact = event.offset === offset;
      return event.offset >= offset;
    });
    return { sequenceNumber: cursor.sequenceNumber, isExact };
  }

  /** Moves a cursor on to the first event that is wanted, or to the end. */
  #walk(cursor: LogCursor, isWanted: (event: SeenEvent) => boolean): void {
    let enqueuedTimeMs = cursor.segment.start.lastEnqueuedTimeMs;
    for (let isFound = false; !isFound;) {
      const seen = this.#read(cursor, { events: Infinity, bytes: readBytesMax }, (event) => {
        enqueuedTimeMs = event.batch?.enqueuedTimeMs ?? enqueuedTimeMs;
        const { offset, sequenceNumber } = event;
        isFound = isWanted({ sequenceNumber, offset, enqueuedTimeMs });
        return !isFound;
      });
      if (seen === 0 && !isFound) return;
    }
  }

  /** The next events as frames, at most so many and about so many bytes, and moves the cursor on. */
  readFrames(cursor: LogCursor, limits: { events: number; bytes: number }): FrameRun | null {
    const ranges: { start: number; end: number }[] = [];
    let bytes = 0;
    const count = this.#read(cursor, limits, ({ end, start }) => {
      const range = ranges.at(-1);
      if (range?.end === start) range.end = end;
      else ranges.push({ start, end });
      bytes += end - start;
      return true;
    });
    if (count === 0) return null;
    const frames = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const { end, start } of ranges) at += scratch.copy(frames, at, start, end);
    return { frames, count };
  }

  /**
   * Reads one stretch of a segment into the scratch buffer and shows it event by event, until the
   * visitor has had enough; the cursor is moved behind what the visitor took.
   * @returns the events taken.
   */
  #read(
    cursor: LogCursor,
    limits: { readonly events: number; readonly bytes: number },
    visit: (event: {
      readonly start: number;
      readonly end: number;
      readonly sequenceNumber: number;
      readonly offset: number;
      /** Set at the first event of a batch. */
      readonly batch: BatchFacts | null;
    }) => boolean,
  ): number {
    this.#placeAnew(cursor);
    const base = cursor.at;
    const wanted = limits.events * (this.#meanEventBytes() + 1) + batchHeadBytes;
    let length = this.#fill(cursor, Math.min(Math.max(wanted, readBytesMin), limits.bytes));
    let at = 0;
    let taken = 0;
    while (taken < limits.events) {
      const headBytes = cursor.leftInBatch === 0 ? batchHeadBytes : 0;
      const start = at + headBytes;
      const needed = start + 4 > length ? start + 4 : start + scratch.readUInt32BE(start);
      if (needed > length) {
        // Nothing fitted: the event is longer than the stretch (or the end of the log is reached).
        if (taken > 0 || base + length >= cursor.segment.bytes) break;
        length = this.#fill(cursor, needed);
        continue;
      }
      const batch = headBytes === 0 ? null : readBatchFacts(scratch, at);
      const { sequenceNumber } = cursor;
      const offset = cursor.segment.baseOffset + base + start;
      if (!visit({ start, end: needed, sequenceNumber, offset, batch })) break;
      cursor.leftInBatch = (batch?.count ?? cursor.leftInBatch) - 1;
      cursor.sequenceNumber += 1;
      at = needed;
      cursor.at = base + at;
      taken += 1;
    }
    return taken;
  }

  #fill(cursor: LogCursor, bytes: number): number {
    if (scratch.length < bytes) scratch = Buffer.allocUnsafe(bytes);
    return cursor.segment.read(scratch.subarray(0, bytes), cursor.at);
  }

  #meanEventBytes(): number {
    const bytes = this.#active.endOffset - (this.#segments[0]?.baseOffset ?? 0);
    return bytes / Math.max(1, this.nextSequenceNumber - this.firstSequenceNumber);
  }

  /** To the next segment when this one is read to its end; to the first when it was dropped. */
  #placeAnew(cursor: LogCursor): void {
    const index = this.#segments.indexOf(cursor.segment);
    if (index === -1) {
      Object.assign(cursor, this.cursorAt(cursor.sequenceNumber));
      return;
    }
    const next = this.#segments[index + 1];
    if (cursor.at < cursor.segment.bytes || next === undefined) return;
    Object.assign(cursor, { segment: next, at: segmentHeadBytes, leftInBatch: 0 });
  }

  /** Drops the segments that are past retention, the one that is written to among them. */
  retain(nowMs: number): void {
    const { retentionBytes, retentionMs } = this.#limits;
    const isTooOld = (segment: Segment): boolean =>
      retentionMs !== null && segment.lastEnqueuedTimeMs < nowMs - retentionMs;
    const isTooMuch = (): boolean =>
      retentionBytes !== null &&
      this.#active.endOffset - (this.#segments[0]?.baseOffset ?? 0) > retentionBytes;
    for (;;) {
      const [oldest] = this.#segments;
      if (oldest === undefined || oldest.isEmpty) return;
      if (!isTooOld(oldest) && !(isTooMuch() && this.#segments.length > 1)) return;
      if (this.#segments.length === 1) this.#roll(oldest.endOffset);
      this.#segments.shift();
      oldest.remove();
    }
  }

  /**
   * A replica takes over to which the last events never came: they are gone, and what comes next has
   * their sequence numbers and offsets, and a time that is later by a second at least. Nobody may be reading.
   * @returns the events that were lost: fewer than asked for where there are no more.
   */
  loseLast(count: number): number {
    const first = Math.max(this.firstSequenceNumber, this.nextSequenceNumber - count);
    const lost = this.nextSequenceNumber - first;
    if (lost === 0) return 0;
    this.#enqueuedTimeMinMs = Math.max(Date.now(), this.lastEnqueuedTimeMs) + promotionTakesMs;
    while (this.#segments.length > 1 && this.#active.start.firstSequenceNumber >= first) {
      this.#segments.pop()?.remove();
    }
    this.#active.cutFrom(first);
    this.close();
    this.producers = new ProducerStates(Date.now());
    this.#recover(false);
    return lost;
  }

  sync(onError: (error: Error) => void): void {
    for (const segment of this.#segments.slice(-2)) segment.sync(onError);
  }

  /** Closes every file; then throws what the disk said, if it would not keep one. */
  close(): void {
    const errors: unknown[] = [];
    for (const segment of this.#segments.splice(0)) {
      try {
        segment.close();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  /** Closes every file and deletes it. */
  remove(): void {
    for (const segment of this.#segments.splice(0)) segment.remove();
  }
}
