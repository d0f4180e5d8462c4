// Goal: files read as one hub partition, whatever their borders are, without all of them in memory.
import { MemoryObjectStore } from '../../../shared/adapters/memory-stores';
import { FileSource } from '../../../shared/operations/backfill/file-source';

/** Rows of one message, as the source packs them. */
const packed = 100;

async function sourceOf(rowCounts: readonly number[]): Promise<{
  readonly source: FileSource;
  readonly reads: string[];
  readonly beats: () => number;
}> {
  const objects = new MemoryObjectStore();
  const files: string[] = [];
  let row = 0;
  for (const [index, rows] of rowCounts.entries()) {
    const lines = Array.from({ length: rows }, () => `{"row":${(row += 1)}}`);
    files.push(`in/${index}.ndjson`);
    await objects.put(`in/${index}.ndjson`, Buffer.from(lines.join('\n')));
  }
  const reads: string[] = [];
  const get = objects.get.bind(objects);
  objects.get = (name) => {
    reads.push(name);
    return get(name);
  };
  let beats = 0;
  const source = new FileSource(objects, [{ partition: '0', files }], async () => {
    beats += 1;
  });
  return { source, reads, beats: () => beats };
}

const whole = { partitionId: '0', firstSequenceNumber: 0, lastSequenceNumber: 1_000 };
const rowsOf = (messages: readonly { readonly body: Uint8Array }[]): number[] =>
  messages.flatMap(({ body }) =>
    Buffer.from(body)
      .toString()
      .split('\n')
      .map((line) => (JSON.parse(line) as { row: number }).row),
  );

it('numbers the messages of all files through, empty ones among them', async () => {
  const { source } = await sourceOf([250, 0, 1, 2 * packed]);
  expect(await source.bounds('0')).toEqual({
    firstSequenceNumber: 0,
    lastSequenceNumber: 3 + 1 + 2 - 1,
    isEmpty: false,
  });
  const messages = await source.read({ ...whole, messagesMax: 1_000 });
  expect(messages.map(({ sequenceNumber }) => sequenceNumber)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(rowsOf(messages)).toEqual(Array.from({ length: 451 }, (_, index) => index + 1));
});

it('gives the same in reads of any size, from any place', async () => {
  const { source } = await sourceOf([250, 0, 1, 2 * packed]);
  const all = await source.read({ ...whole, messagesMax: 1_000 });
  for (const messagesMax of [1, 2, 3, 5]) {
    const pieces = [];
    for (let first = 0; first < all.length; first += messagesMax) {
      pieces.push(...(await source.read({ ...whole, firstSequenceNumber: first, messagesMax })));
    }
    expect(pieces).toEqual(all);
  }
  const middle = { ...whole, firstSequenceNumber: 2, lastSequenceNumber: 4, messagesMax: 10 };
  expect(await source.read(middle)).toEqual(all.slice(2, 5));
});

it('has no message without files, or with empty ones only', async () => {
  for (const rows of [[], [0, 0]]) {
    const { source } = await sourceOf(rows);
    expect(await source.bounds('0')).toMatchObject({ isEmpty: true, lastSequenceNumber: -1 });
    expect(await source.read({ ...whole, messagesMax: 10 })).toEqual([]);
  }
});

it('keeps one file at a time, reads each twice at most, and gives a sign of life at each', async () => {
  const { beats, reads, source } = await sourceOf([packed, packed, packed]);
  await source.bounds('0');
  expect(beats()).toBe(3);
  for (let first = 0; first < 3; first += 1) {
    await source.read({ ...whole, firstSequenceNumber: first, messagesMax: 1 });
    await source.read({ ...whole, firstSequenceNumber: first, messagesMax: 1 });
  }
  const files = ['in/0.ndjson', 'in/1.ndjson', 'in/2.ndjson'];
  expect(reads).toEqual([...files, ...files]);
});

it('says which file is gone', async () => {
  const gone = [{ partition: '0', files: ['in/gone.ndjson'] }];
  const source = new FileSource(new MemoryObjectStore(), gone, async () => undefined);
  await expect(source.bounds('0')).rejects.toThrow('in/gone.ndjson, which the backfill');
});
