import { connectContainer } from '../../shared/adapters/blob-container';
import { BlobObjectStore } from '../../shared/adapters/blob-object-store';
import { MemoryObjectStore } from '../../shared/adapters/memory-stores';
import { readTable } from '../../shared/lake/table-reader';
import type { ObjectStore } from '../../shared/model/ports';
import type { Row, TablePlan } from '../../shared/model/table';
import { startAzurite, type Azurite } from '../support/azurite';
import { FaultyObjects } from '../support/lake-faults';
import { flightsPlan, openTestTable } from '../support/lake-memory';
import { batchOf, batchesOf, idsOf, readIds } from '../support/lake-rows';

let azurite: Azurite;
let containers = 0;

beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

function onAzurite(): ObjectStore {
  containers += 1;
  const { connectionString } = azurite;
  return new BlobObjectStore(
    connectContainer({ connectionString, container: `lake-${containers}` }),
  );
}

const stores: [string, () => ObjectStore][] = [
  ['memory', () => new MemoryObjectStore()],
  ['Azurite', onAzurite],
];
const folder = 'tables/flights';

describe.each(stores)('lake on %s', (_, make) => {
  test.each(['delta', 'ndjson', 'ndjson-gzip'] as const)(
    '8 tasks of 4 processes on one %s table, each range flushed by two of them',
    async (format) => {
      const objects = make();
      const plan: TablePlan = { ...flightsPlan, format };
      const open = (): ReturnType<typeof openTestTable> =>
        openTestTable(objects, { plan, checkpointEvery: 10 });
      const tables = Array.from({ length: 4 }, open);
      const tasks = Array.from({ length: 8 }, (__, index) => `flights/clean/${index}/1`);
      await Promise.all(
        tasks.map(async (task, index) => {
          for (let last = 2; last <= 6; last += 2) {
            const pair = [tables[index % 4], tables[(index + last) % 4]];
            await Promise.all(
              pair.map(async (table) => table?.flush({ task, batches: batchesOf(task, 1, last) })),
            );
          }
        }),
      );
      const expected = tasks.flatMap((task) => idsOf(batchesOf(task, 1, 6))).sort();
      expect(await readIds(objects, folder, format)).toEqual(expected);
      const contents = await readTable({ objects, folder, format });
      expect(Array.from(contents.flushedThrough.values())).toEqual(tasks.map(() => 6));

      const fresh = open();
      for (const task of tasks) expect(await fresh.flushedThrough(task)).toBe(6);
      const present = (await objects.list(`${folder}/flights-`)).map(({ name }) => name);
      expect(present.sort()).toEqual(contents.files.map(({ name }) => name).sort());
    },
  );

  test('folder names with odd characters lead to the files', async () => {
    const objects = make();
    const plan: TablePlan = { ...flightsPlan, partitionBy: ['id'] };
    const ids = [
      'a/b',
      'a=b&c',
      '100%',
      'x%2Fy',
      "it's",
      'two words',
      'žluť 🐎',
      '..',
      '#?*:[]"\\',
    ];
    const rows: Row[] = ids.map((id, index) => [id, index, 1, true, 1, null]);
    await openTestTable(objects, { plan }).flush({ task: 't', batches: [{ commit: 1, rows }] });
    const { files } = await readTable({ objects, folder, format: 'delta' });
    expect(files.map(({ partitionValues }) => partitionValues['id'])).toEqual(ids);
    for (const { name, bytes } of files) expect((await objects.get(name))?.length).toBe(bytes);
  });

  test('a lost answer at every write, one after the other', async () => {
    const objects = make();
    const task = 'flights/clean/0/1';
    let writes = 0;
    const faulty = new FaultyObjects(objects, (operation) => {
      if (!operation.startsWith('put')) return undefined;
      writes += 1;
      return writes % 2 === 1 ? 'lost-response' : undefined;
    });
    const table = openTestTable(faulty, { checkpointEvery: 3 });
    let through = 0;
    for (let commit = 1; commit <= 8; commit += 1) {
      const batches = [...batchesOf(task, through + 1, commit - 1), batchOf(task, commit)];
      try {
        through = (await table.flush({ task, batches })).flushedThrough;
      } catch (error) {
        expect(error).toMatchObject({ code: 'STREAM_STORE_UNAVAILABLE' });
      }
    }
    await table.flush({ task, batches: batchesOf(task, 1, 9) });
    expect(await readIds(objects)).toEqual(idsOf(batchesOf(task, 1, 9)));
  });
});
