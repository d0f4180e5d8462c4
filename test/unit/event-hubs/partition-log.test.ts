// Goal: what was acknowledged is there after a restart, a torn end is not, and positions stay.
import { appendFileSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEvent, type IncomingEvent } from '../../../local/event-hubs/amqp/event';
import { PartitionLog } from '../../../local/event-hubs/log/partition-log';

/** A message with one data section of these bytes. */
const anEvent = (text: string): IncomingEvent =>
  parseEvent(
    Buffer.concat([Buffer.from([0x00, 0x53, 0x75, 0xa0, text.length]), Buffer.from(text)]),
  );

describe('PartitionLog', () => {
  let directory = '';

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'partition-log-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  const file = (): string => join(directory, '0.log');

  function aLog(): PartitionLog {
    const log = new PartitionLog(directory, 0);
    log.append([anEvent('a'), anEvent('b')], 1_000);
    log.append([anEvent('c')], 2_000);
    return log;
  }

  it('gives the same events at the same positions after a restart', () => {
    const before = aLog();
    const events = before.read(0, 10);
    before.close();
    const after = new PartitionLog(directory, 0);
    expect(after.read(0, 10)).toEqual(events);
    expect([after.nextSequenceNumber, after.lastOffset]).toEqual([3, events[2]?.offset]);
    after.close();
  });

  it.each([
    ['garbage behind the end', () => appendFileSync(file(), Buffer.alloc(100, 7)), 3],
    ['a batch cut short', () => truncateSync(file(), statSync(file()).size - 3), 2],
  ])('cuts a torn end: %s', (_name, tear, kept) => {
    aLog().close();
    tear();
    const log = new PartitionLog(directory, 0);
    expect(log.nextSequenceNumber).toBe(kept);
    log.append([anEvent('d')], 3_000);
    expect(log.read(kept, 10).map(({ sequenceNumber }) => sequenceNumber)).toEqual([kept]);
    log.close();
  });

  it('refuses a write that the file refuses, and says nothing of it', () => {
    const log = aLog();
    const { lastOffset } = log;
    log.close();
    expect(() => log.append([anEvent('d')], 3_000)).toThrow();
    expect([log.nextSequenceNumber, log.lastOffset]).toEqual([3, lastOffset]);
    const again = new PartitionLog(directory, 0);
    expect(again.nextSequenceNumber).toBe(3);
    again.close();
  });

  it('finds events by time and offset', () => {
    const log = aLog();
    const [, second] = log.read(0, 10);
    expect(log.sequenceAfterTime(1_000)).toBe(2);
    expect(log.sequenceAtOffset(second?.offset ?? 0)).toBe(1);
    log.close();
  });
});
