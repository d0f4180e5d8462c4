// Goal: a data folder that holds what the emulator did not write is refused with the file's name, and
// nothing is made of it, least of all outside the folder.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { startEventHubsEmulator } from '../../../local/event-hubs';
import { parseEvent } from '../../../local/event-hubs/message/event';
import { PartitionLog } from '../../../local/event-hubs/log/partition-log';
import { segmentHeadBytes } from '../../../local/event-hubs/log/segment';

let parent = '';
let folder = '';

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'damaged-folder-'));
  folder = join(parent, 'data');
  mkdirSync(folder);
});

afterEach(() => {
  rmSync(parent, { recursive: true, force: true });
});

const sound = { name: 'a', partitionCount: 1, consumerGroups: [], createdAtMs: 1 };
const starting = (): Promise<unknown> =>
  startEventHubsEmulator({ port: 0, controlPort: 0, dataDirectory: folder });

test.each<[string, unknown]>([
  ['a name that leaves the folder', { ...sound, name: '../../out' }],
  ['a name that is a number', { ...sound, name: 7 }],
  ['no name', { ...sound, name: undefined }],
  ['a billion partitions', { ...sound, partitionCount: 1_000_000_000 }],
  ['partitions in text', { ...sound, partitionCount: '1' }],
  ['half a partition', { ...sound, partitionCount: 0.5 }],
  ['groups that are text', { ...sound, consumerGroups: 'all' }],
  ['groups of numbers', { ...sound, consumerGroups: [1] }],
  ['no groups', { ...sound, consumerGroups: null }],
  ['a time that leaves the folder', { ...sound, createdAtMs: '1/../../../out' }],
  ['a time before all times', { ...sound, createdAtMs: -1 }],
  ['a hub that is null', null],
  ['a hub that is text', 'hub'],
])('hubs.json with %s is refused by its name', async (_name, hub) => {
  writeFileSync(join(folder, 'hubs.json'), JSON.stringify({ format: 2, hubs: [hub] }));
  await expect(starting()).rejects.toMatchObject({
    code: 'EMULATOR_DATA_DAMAGED',
    message: expect.stringMatching(/data\/hubs\.json is damaged \(hubs\[0\]\..*\): restore it/),
  });
  expect(readdirSync(parent)).toEqual(['data']);
  expect(readdirSync(folder)).toEqual(['hubs.json']);
});

test.each(['null', '7', '[]', '{"format":2}', '{"format":2,"hubs":{}}', '{'])(
  'hubs.json that is %s is refused by its name',
  async (text) => {
    writeFileSync(join(folder, 'hubs.json'), text);
    await expect(starting()).rejects.toMatchObject({
      code: 'EMULATOR_DATA_DAMAGED',
      message: expect.stringContaining('hubs.json'),
    });
  },
);

test('hubs.json with one hub twice is refused', async () => {
  const hubs = [sound, { ...sound, name: 'A' }];
  writeFileSync(join(folder, 'hubs.json'), JSON.stringify({ format: 2, hubs }));
  await expect(starting()).rejects.toThrow(/hubs\[1\]\.Name: two hubs have it/);
});

describe('segments', () => {
  const limits = { retentionMs: null, retentionBytes: null, segmentBytes: 1_000_000 };
  const file = (): string => join(folder, '0000000000000000.log');
  const opening = (): PartitionLog => new PartitionLog(folder, limits);

  /** Two batches, the first of which is changed and has its checksum made right again. */
  function spoil(change: (batch: Buffer) => void): void {
    const log = opening();
    const event = parseEvent(Buffer.from('005375a00178', 'hex'));
    log.append([event, event], 1_000);
    log.append([event], 2_000);
    log.close();
    const bytes = readFileSync(file());
    const end = segmentHeadBytes + bytes.readUInt32BE(segmentHeadBytes) + 4;
    const batch = bytes.subarray(segmentHeadBytes, end);
    change(batch);
    batch.writeUInt32BE(crc32(batch.subarray(8)), 4);
    writeFileSync(file(), bytes);
  }

  test.each<[string, (batch: Buffer) => void]>([
    ['more events than it holds', (batch) => void batch.writeUInt32BE(3, 24)],
    ['fewer events than it holds', (batch) => void batch.writeUInt32BE(1, 24)],
    ['four billion events', (batch) => void batch.writeUInt32BE(0xffff_ffff, 24)],
    ['an event of no bytes', (batch) => void batch.writeUInt32BE(0, 44)],
    ['an event longer than it', (batch) => void batch.writeUInt32BE(0xffff_ffff, 44)],
    ['the number of another event', (batch) => void batch.writeUInt32BE(9, 12)],
  ])('a batch with %s is refused with file and byte', (_name, change) => {
    spoil(change);
    expect(opening).toThrow(
      expect.objectContaining({
        code: 'EMULATOR_DATA_DAMAGED',
        message: expect.stringContaining(`${file()} is damaged at byte ${segmentHeadBytes}`),
      }),
    );
  });

  test('a head whose checksum is gone is refused', () => {
    opening().close();
    const bytes = readFileSync(file());
    bytes.fill(0, 12, 16);
    bytes.writeUInt32BE(7, 20);
    writeFileSync(file(), Buffer.concat([bytes, Buffer.alloc(8)]));
    expect(opening).toThrow(/0000000000000000\.log is damaged at byte 12/);
  });

  test('a folder where a segment should be is refused by its name', () => {
    mkdirSync(file());
    expect(opening).toThrow(/0000000000000000\.log is no log of this emulator/);
  });

  test('a segment of the version before is refused', () => {
    opening().close();
    const bytes = readFileSync(file());
    bytes.writeUInt32BE(2, 8);
    writeFileSync(file(), bytes);
    expect(opening).toThrow(/is not a log of version 3 \(it says "MRHUBLOG", version 2\)/);
  });
});
