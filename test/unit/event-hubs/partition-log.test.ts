// Goal: what was acknowledged is there after a restart, a torn end is not, positions stay, and what is
// past retention goes a segment at a time.
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { message } from 'rhea';
import { parseEvent, type IncomingEvent } from '../../../local/event-hubs/message/event';
import { frameHeadBytes } from '../../../local/event-hubs/message/transfer-frame';
import { PartitionLog, type LogLimits } from '../../../local/event-hubs/log/partition-log';

/** A message with one data section of these bytes. */
const anEvent = (text: string): IncomingEvent =>
  parseEvent(
    Buffer.concat([Buffer.from([0x00, 0x53, 0x75, 0xa0, text.length]), Buffer.from(text)]),
  );

interface Seen {
  readonly body: string;
  readonly sequenceNumber: number;
  readonly offset: string;
}

/** Everything from a sequence number on, as a receiver would decode it. */
function readAll(log: PartitionLog, from = 0, eventsPerRead = 1_000): Seen[] {
  const cursor = log.cursorAt(from);
  const seen: Seen[] = [];
  for (;;) {
    const run = log.readFrames(cursor, { events: eventsPerRead, bytes: 64 * 1024 });
    if (run === null) return seen;
    for (let at = 0; at < run.frames.length; at += run.frames.readUInt32BE(at)) {
      const end = at + run.frames.readUInt32BE(at);
      const decoded = message.decode(run.frames.subarray(at + frameHeadBytes, end)) as unknown as {
        body: { content: Buffer };
        message_annotations: Record<string, unknown>;
      };
      seen.push({
        body: decoded.body.content.toString(),
        sequenceNumber: Number(decoded.message_annotations['x-opt-sequence-number']),
        offset: String(decoded.message_annotations['x-opt-offset']),
      });
    }
  }
}

const limits: LogLimits = { retentionMs: null, retentionBytes: null, segmentBytes: 1024 * 1024 };
const smallSegments: LogLimits = { ...limits, segmentBytes: 400 };

describe('PartitionLog', () => {
  let directory = '';

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'partition-log-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  const files = (): string[] => readdirSync(directory).sort();
  const file = (): string => join(directory, files().at(-1) ?? '');

  function aLog(): PartitionLog {
    const log = new PartitionLog(directory, limits);
    log.append([anEvent('a'), anEvent('b')], 1_000);
    log.append([anEvent('c')], 2_000);
    return log;
  }

  /** A hundred events in batches of three, over many segments. */
  function longLog(): PartitionLog {
    const log = new PartitionLog(directory, smallSegments);
    for (let first = 0; first < 100; first += 3) {
      const texts = [first, first + 1, first + 2].filter((one) => one < 100).map(String);
      log.append(texts.map(anEvent), 1_000 * first);
    }
    return log;
  }

  it('gives the same events at the same positions after a restart', () => {
    const before = longLog();
    const events = readAll(before);
    expect(events.map(({ body }) => Number(body))).toEqual([...Array(100).keys()]);
    expect(events.map(({ sequenceNumber }) => sequenceNumber)).toEqual([...Array(100).keys()]);
    before.close();
    const after = new PartitionLog(directory, smallSegments);
    expect(readAll(after)).toEqual(events);
    expect([after.nextSequenceNumber, String(after.lastOffset)]).toEqual([100, events[99]?.offset]);
    after.close();
  });

  it.each([1, 2, 7, 1_000])(
    'reads every event once from any place, %i at a time',
    (eventsPerRead) => {
      const log = longLog();
      for (let from = 0; from <= 100; from += 1) {
        const seen = readAll(log, from, eventsPerRead).map(({ sequenceNumber }) => sequenceNumber);
        expect(seen).toEqual(Array.from({ length: 100 - from }, (_, index) => from + index));
      }
      log.close();
    },
  );

  it('reads an event longer than a stretch of reading', () => {
    const log = new PartitionLog(directory, limits);
    const long = parseEvent(
      Buffer.concat([
        Buffer.from([0x00, 0x53, 0x75, 0xb0, 0, 12, 0, 0]),
        Buffer.alloc(12 * 65536, 'y'),
      ]),
    );
    log.append([anEvent('a'), long, anEvent('b')], 1_000);
    expect(readAll(log).map(({ body }) => body.length)).toEqual([1, 12 * 65536, 1]);
    log.close();
  });

  it.each([
    ['garbage behind the end', () => appendFileSync(file(), Buffer.alloc(100, 7)), 3],
    ['a batch cut short', () => truncateSync(file(), statSync(file()).size - 3), 2],
  ])('cuts a torn end: %s', (_name, tear, kept) => {
    aLog().close();
    tear();
    const log = new PartitionLog(directory, limits);
    expect(log.nextSequenceNumber).toBe(kept);
    expect(log.tornBytes).toBeGreaterThan(0);
    log.append([anEvent('d')], 3_000);
    expect(readAll(log, kept).map(({ body }) => body)).toEqual(['d']);
    log.close();
  });

  it('goes on behind a segment whose creation was cut short', () => {
    longLog().close();
    const last = files().at(-1) ?? '';
    rmSync(join(directory, last));
    writeFileSync(join(directory, last), 'MRHU');
    const log = new PartitionLog(directory, smallSegments);
    const kept = log.nextSequenceNumber;
    expect(kept).toBeGreaterThan(90);
    log.append([anEvent('x')], 200_000);
    expect(readAll(log, kept - 1).map(({ sequenceNumber }) => sequenceNumber)).toEqual([
      kept - 1,
      kept,
    ]);
    log.close();
  });

  it('refuses a log that is damaged in the middle, and says where', () => {
    longLog().close();
    const damaged = join(directory, files()[2] ?? '');
    const bytes = readFileSync(damaged);
    bytes.writeUInt8((bytes.at(-5) ?? 0) ^ 0xff, bytes.length - 5);
    writeFileSync(damaged, bytes);
    expect(() => new PartitionLog(directory, smallSegments)).toThrow(
      /damaged at byte \d+: restore the file/,
    );
  });

  it('refuses a log with a segment missing', () => {
    longLog().close();
    rmSync(join(directory, files()[2] ?? ''));
    expect(() => new PartitionLog(directory, smallSegments)).toThrow(/is missing or cut short/);
  });

  it('refuses a log of another version', () => {
    aLog().close();
    const bytes = readFileSync(file());
    bytes.writeUInt32BE(9, 8);
    writeFileSync(file(), bytes);
    expect(() => new PartitionLog(directory, limits)).toThrow(
      /version 9.*use the emulator that wrote/,
    );
  });

  it('refuses a write that the file refuses, and says nothing of it', () => {
    const log = aLog();
    const { lastOffset } = log;
    log.close();
    expect(() => log.append([anEvent('d')], 3_000)).toThrow();
    expect([log.nextSequenceNumber, log.lastOffset]).toEqual([3, lastOffset]);
    const again = new PartitionLog(directory, limits);
    expect(again.nextSequenceNumber).toBe(3);
    again.close();
  });

  it('finds events by time and offset', () => {
    const log = longLog();
    const events = readAll(log);
    for (const [index, { offset }] of events.entries()) {
      expect(log.sequenceAtOffset(Number(offset))).toEqual({
        sequenceNumber: index,
        isExact: true,
      });
      const behind = log.sequenceAtOffset(Number(offset) + 1);
      expect(behind).toEqual({ sequenceNumber: index + 1, isExact: false });
    }
    // A batch of three has one time: 1,000 times its first number.
    expect(log.sequenceAfterTime(-1)).toBe(0);
    expect(log.sequenceAfterTime(0)).toBe(3);
    expect(log.sequenceAfterTime(47_999)).toBe(48);
    expect(log.sequenceAfterTime(48_000)).toBe(51);
    expect(log.sequenceAfterTime(1e9)).toBe(100);
    log.close();
  });

  it('drops whole segments that are too old, and keeps numbers and offsets over a restart', () => {
    longLog().close();
    const old = { ...smallSegments, retentionMs: 10_000 };
    const log = new PartitionLog(directory, old);
    const before = readAll(log);
    const reader = log.cursorAt(2);
    log.retain(60_000);
    const first = log.firstSequenceNumber;
    expect(first).toBeGreaterThan(40);
    expect(first).toBeLessThanOrEqual(51);
    expect(readAll(log)).toEqual(before.slice(first));
    const run = log.readFrames(reader, { events: 1, bytes: 1_000 });
    expect([run?.count, reader.sequenceNumber]).toEqual([1, first + 1]);
    log.retain(1e9);
    expect([log.isEmpty, log.firstSequenceNumber, files().length]).toEqual([true, 100, 1]);
    log.close();
    const after = new PartitionLog(directory, old);
    expect([after.firstSequenceNumber, after.nextSequenceNumber, after.lastOffset]).toEqual([
      100,
      100,
      Number(before[99]?.offset),
    ]);
    after.append([anEvent('z')], 1e9);
    expect(readAll(after).map(({ sequenceNumber }) => sequenceNumber)).toEqual([100]);
    after.close();
  });

  it('drops the oldest segments when there is too much', () => {
    longLog().close();
    const log = new PartitionLog(directory, { ...smallSegments, retentionBytes: 2_000 });
    log.retain(0);
    const bytes = files().map((name) => statSync(join(directory, name)).size);
    expect(bytes.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(2_000);
    expect(log.isEmpty).toBe(false);
    log.close();
  });

  it('keeps what an idempotent producer sends once, over a restart', () => {
    const log = new PartitionLog(directory, limits);
    const { epoch, producerId } = log.producers.open({
      producerId: null,
      epoch: null,
      sequenceNumber: null,
    });
    const claim = (first: number, count: number): Parameters<PartitionLog['append']>[2] => ({
      producerId,
      epoch,
      firstSequenceNumber: first,
      sequenceNumber: first + count - 1,
    });
    log.append([anEvent('a'), anEvent('b')], 1, claim(1, 2));
    log.append([anEvent('a'), anEvent('b')], 2, claim(1, 2));
    expect(() => log.append([anEvent('d')], 3, claim(4, 1))).toThrow(/'3' comes next/);
    log.close();
    const after = new PartitionLog(directory, limits);
    after.append([anEvent('a'), anEvent('b')], 4, claim(1, 2));
    after.append([anEvent('c')], 5, claim(3, 1));
    expect(readAll(after).map(({ body }) => body)).toEqual(['a', 'b', 'c']);
    after.producers.open({ producerId, epoch: null, sequenceNumber: null });
    expect(() => after.append([anEvent('d')], 6, claim(4, 1))).toThrow(/has taken its place/);
    after.close();
  });
});
