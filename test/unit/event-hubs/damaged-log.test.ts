// Goal: however a log's last file ends, every batch before the tear is there and nothing after; damage
// with whole batches behind it is refused with file and byte, unless it is to be cut.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as NodeFileSystem from 'node:fs';
import * as fc from 'fast-check';
import { message } from 'rhea';
import { parseEvent, type IncomingEvent } from '../../../local/event-hubs/message/event';
import {
  runtimeMetricSection,
  withDeliveryAnnotations,
} from '../../../local/event-hubs/amqp/runtime-metric';
import { readHubsFile, writeHubsFile } from '../../../local/event-hubs/hubs-file';
import { PartitionLog, type LogLimits } from '../../../local/event-hubs/log/partition-log';
import { segmentHeadBytes } from '../../../local/event-hubs/log/segment';

/** The module itself, whose functions can be made to fail. */
const fs = jest.requireActual<typeof NodeFileSystem>('node:fs');
const limits: LogLimits = { retentionMs: null, retentionBytes: null, segmentBytes: 1024 * 1024 };
const batches = 40;

const anEvent = (text: string): IncomingEvent =>
  parseEvent(message.encode({ body: message.data_section(Buffer.from(text)) }));

let directory = '';
/** The file whole, and where each of its batches ends. */
let whole: Buffer;
let ends: number[] = [];

const file = (): string => join(directory, readdirSync(directory).sort()[0] ?? '');

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'damaged-log-'));
  const log = new PartitionLog(directory, limits);
  ends = [];
  for (let number = 0; number < batches; number += 1) {
    log.append([anEvent(`${number}a`), anEvent(`${number}b`)], 1_000 + number);
    ends.push(fs.statSync(file()).size);
  }
  log.close();
  whole = readFileSync(file());
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Opens what the bytes hold, gives how many events there are, and writes one more. */
function reopen(bytes: Buffer, isCuttingDamage = false): number {
  for (const name of readdirSync(directory)) rmSync(join(directory, name));
  writeFileSync(join(directory, '0000000000000000.log'), bytes);
  const log = new PartitionLog(directory, limits, isCuttingDamage);
  const kept = log.nextSequenceNumber;
  log.append([anEvent('more')], 9_000);
  log.close();
  const again = new PartitionLog(directory, limits);
  expect(again.nextSequenceNumber).toBe(kept + 1);
  again.close();
  return kept;
}

/** Batches that end at or before a place. */
const wholeBefore = (at: number): number => ends.filter((end) => end <= at).length;

test('cut short anywhere: every whole batch is there', () => {
  fc.assert(
    fc.property(fc.nat(whole.length), (at) => {
      expect(reopen(whole.subarray(0, at))).toBe(2 * wholeBefore(at));
    }),
    { numRuns: 200 },
  );
});

test('cut short anywhere with garbage behind: every whole batch is there', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: segmentHeadBytes, max: whole.length }),
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      (at, garbage) => {
        const bytes = Buffer.concat([whole.subarray(0, at), garbage]);
        const isWholeAgain = garbage[0] === whole[at];
        fc.pre(!isWholeAgain);
        expect(reopen(bytes)).toBe(2 * wholeBefore(at));
      },
    ),
    { numRuns: 200 },
  );
});

test('a byte changed with whole batches behind it is refused with file and byte, or cut on demand', () => {
  const lastBegins = ends.at(-2) ?? 0;
  fc.assert(
    fc.property(
      fc.integer({ min: segmentHeadBytes, max: lastBegins - 1 }),
      fc.integer({ min: 1, max: 255 }),
      (at, change) => {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        const begins = ends.filter((end) => end <= at).at(-1) ?? segmentHeadBytes;
        expect(() => reopen(bytes)).toThrow(
          new RegExp(`0000000000000000.log is damaged at byte ${begins}: .*--cut-damage`),
        );
        expect(reopen(bytes, true)).toBe(2 * wholeBefore(at));
      },
    ),
    { numRuns: 200 },
  );
});

test('a changed head is refused', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: segmentHeadBytes - 1 }), (at) => {
      fc.pre(at < 12 || at >= 16);
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      expect(() => reopen(bytes)).toThrow(/is not a log of version|is damaged at byte 12/);
    }),
  );
});

test.each(['ENOSPC', 'EDQUOT', 'EIO'])(
  'a write that ends halfway with %s leaves nothing behind it, and the next one stands in its place',
  (code) => {
    const log = new PartitionLog(directory, limits);
    const { lastOffset, nextSequenceNumber } = log;
    const write = fs.writeSync;
    const spy = jest.spyOn(fs, 'writeSync').mockImplementationOnce(((
      descriptor: number,
      bytes: Buffer,
      at: number,
      length: number,
      position: number,
    ) => {
      write(descriptor, bytes, at, length >> 1, position);
      throw Object.assign(new Error(`${code}: write`), { code });
    }) as never);
    expect(() => log.append([anEvent('lost')], 5_000)).toThrow(code);
    spy.mockRestore();
    expect([log.nextSequenceNumber, log.lastOffset]).toEqual([nextSequenceNumber, lastOffset]);
    expect(fs.statSync(file()).size).toBe(whole.length);
    log.append([anEvent('kept')], 5_000);
    log.close();
    const again = new PartitionLog(directory, limits);
    expect([again.nextSequenceNumber, again.tornBytes]).toEqual([nextSequenceNumber + 1, 0]);
    again.close();
  },
);

test('a new file that the disk has no room for leaves nothing behind that a later start stumbles over', () => {
  const log = new PartitionLog(directory, { ...limits, retentionMs: 10_000 });
  const spy = jest.spyOn(fs, 'writeSync').mockImplementationOnce(() => {
    throw Object.assign(new Error('ENOSPC: write'), { code: 'ENOSPC' });
  });
  // The only file is past retention: a new one is begun before it goes.
  expect(() => log.retain(100_000)).toThrow('ENOSPC');
  spy.mockRestore();
  log.append([anEvent('kept')], 5_000);
  log.close();
  const again = new PartitionLog(directory, limits);
  expect([again.nextSequenceNumber, again.tornBytes]).toEqual([2 * batches + 1, 0]);
  again.close();
});

test.each([0, 7, segmentHeadBytes])(
  'a new file of %i bytes, cut short by kill -9, does not stand in the way when the one before grows on',
  (bytes) => {
    const name = `${String(whole.length).padStart(16, '0')}.log`;
    writeFileSync(join(directory, name), Buffer.alloc(bytes));
    const log = new PartitionLog(directory, limits);
    log.append([anEvent('kept')], 5_000);
    log.close();
    const again = new PartitionLog(directory, limits);
    expect([again.nextSequenceNumber, again.tornBytes]).toEqual([2 * batches + 1, 0]);
    again.close();
  },
);

test('a list of hubs that the disk takes in pieces is whole; without room for it the one before stays', () => {
  const hub = { name: 'one', partitionCount: 4, consumerGroups: [], createdAtMs: 1 };
  writeHubsFile(directory, [hub]);
  const write = fs.writeSync;
  const half = (file: number, bytes: Buffer | string): number => {
    const all = Buffer.from(bytes as Buffer);
    return write(file, all, 0, all.length >> 1, null);
  };
  const spy = jest.spyOn(fs, 'writeSync').mockImplementationOnce(half);
  const two = [hub, { ...hub, name: 'two' }];
  writeHubsFile(directory, two);
  expect(readHubsFile(directory)).toEqual(two);
  spy.mockImplementationOnce(half).mockImplementationOnce(() => {
    throw Object.assign(new Error('ENOSPC: write'), { code: 'ENOSPC' });
  });
  expect(() => writeHubsFile(directory, [hub])).toThrow('ENOSPC');
  expect(readHubsFile(directory)).toEqual(two);
});

test('the runtime metric at sequence number 21367, whose bytes look like a section, is whole', () => {
  const log = new PartitionLog(directory, limits);
  log.nextSequenceNumber = 0x5377 + 1;
  const event = message.encode({ body: message.data_section(Buffer.from('x')) });
  const decoded = message.decode(withDeliveryAnnotations(event, runtimeMetricSection(log)));
  expect(decoded['delivery_annotations']).toMatchObject({ last_enqueued_sequence_number: 0x5377 });
  expect((decoded['body'] as { content: Buffer }).content.toString()).toBe('x');
  log.close();
});
