import { lakeFaultPoints } from '../../shared/lake/fault-points';
import { readTable } from '../../shared/lake/table-reader';
import type { TablePlan } from '../../shared/model/table';
import { FaultyObjects } from '../support/lake-faults';
import type { StoreFault } from '../support/lake-faults';
import { MemoryObjects, flightsPlan, openTestTable } from '../support/lake-memory';
import { batchesOf, idsOf, readIds } from '../support/lake-rows';

const folder = 'tables/flights';
const task = 'flights/clean/0/1';

class Crash extends Error {}

describe.each(['delta', 'ndjson', 'ndjson-gzip'] as const)('%s: crash', (format) => {
  const plan: TablePlan = { ...flightsPlan, format, partitionBy: ['day'] };

  test.each(lakeFaultPoints)('at %s, then repeats with a larger range', async (point) => {
    const objects = new MemoryObjects();
    const before = openTestTable(objects, { plan, checkpointEvery: 1 });
    await before.flush({ task, batches: batchesOf(task, 1, 2) });

    let hits = 0;
    const crashing = openTestTable(objects, {
      plan,
      checkpointEvery: 1,
      faultPoint: (reached) => {
        if (reached !== point) return;
        hits += 1;
        throw new Crash(point);
      },
    });
    await expect(crashing.flush({ task, batches: batchesOf(task, 2, 5) })).rejects.toBeInstanceOf(
      Crash,
    );
    expect(hits).toBeGreaterThan(0);

    const after = openTestTable(objects, { plan, checkpointEvery: 1 });
    const result = await after.flush({ task, batches: batchesOf(task, 1, 7) });
    expect(result.flushedThrough).toBe(7);
    expect(await readIds(objects, folder, format)).toEqual(idsOf(batchesOf(task, 1, 7)));
  });
});

describe('store', () => {
  const operations = ['putIfAbsent', 'put', 'get', 'delete'];
  const faults: StoreFault[] = ['refused', 'lost-response', 'slow'];
  const cases = operations.flatMap((operation) => faults.map((fault) => ({ operation, fault })));

  test.each(cases)('$fault answers to each $operation in turn', async ({ operation, fault }) => {
    let callsMax = 1;
    for (let broken = 0; broken < callsMax; broken += 1) {
      const objects = new MemoryObjects();
      let calls = 0;
      const faulty = new FaultyObjects(objects, (called) => {
        if (called !== operation) return undefined;
        calls += 1;
        return calls - 1 === broken ? fault : undefined;
      });
      const table = openTestTable(faulty, { checkpointEvery: 2 });
      for (let last = 1; last <= 4; last += 1) {
        await flushUntilDone(table, last);
      }
      callsMax = Math.max(callsMax, calls);
      expect(await readIds(objects)).toEqual(idsOf(batchesOf(task, 1, 4)));
    }
  });

  async function flushUntilDone(
    table: ReturnType<typeof openTestTable>,
    last: number,
  ): Promise<void> {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      try {
        const result = await table.flush({ task, batches: batchesOf(task, 1, last) });
        expect(result.flushedThrough).toBe(last);
        return;
      } catch (error) {
        expect(error).toMatchObject({ code: 'STREAM_STORE_UNAVAILABLE' });
      }
    }
    throw new Error('the flush never succeeded');
  }

  test('a lost answer to the table commit is found by reading back, in the same flush', async () => {
    const objects = new MemoryObjects();
    let lost = 0;
    const faulty = new FaultyObjects(objects, (operation, name) => {
      if (operation !== 'putIfAbsent' || !name.endsWith('00001.json') || lost > 0) return undefined;
      lost += 1;
      return 'lost-response';
    });
    const table = openTestTable(faulty);
    const result = await table.flush({ task, batches: batchesOf(task, 1, 3) });
    expect(result).toMatchObject({ flushedThrough: 3, rowsWritten: 9 });
    expect((await readTable({ objects, folder, format: 'delta' })).version).toBe(1);
  });

  test('a store client that repeats an accepted put and gets "exists" finds its own commit', async () => {
    const objects = new MemoryObjects();
    const repeating = new MemoryObjects();
    Object.assign(repeating, { objects: objects.objects });
    const first = objects.putIfAbsent.bind(objects);
    repeating.putIfAbsent = async (name, bytes) => {
      await first(name, bytes);
      return first(name, bytes);
    };
    const table = openTestTable(repeating);
    expect(await table.flush({ task, batches: batchesOf(task, 1, 2) })).toMatchObject({
      flushedThrough: 2,
      rowsWritten: 6,
    });
    expect(await readIds(objects)).toEqual(idsOf(batchesOf(task, 1, 2)));
  });
});

describe('races', () => {
  test('a zombie with an older range is told how far the table is and leaves no orphan', async () => {
    const objects = new MemoryObjects();
    const zombie = openTestTable(objects);
    const successor = openTestTable(objects);
    await zombie.flush({ task, batches: batchesOf(task, 1, 2) });
    await successor.flush({ task, batches: batchesOf(task, 3, 6) });

    expect(await zombie.flush({ task, batches: batchesOf(task, 3, 5) })).toEqual({
      flushedThrough: 6,
      rowsWritten: 0,
      files: 0,
      bytes: 0,
    });
    expect(await readIds(objects)).toEqual(idsOf(batchesOf(task, 1, 6)));
    expect(objects.names('.parquet')).toHaveLength(2);
  });

  test('a range that was flushed in part is cut anew', async () => {
    const objects = new MemoryObjects();
    const slow = openTestTable(objects);
    const fast = openTestTable(objects);
    await slow.flush({ task, batches: batchesOf(task, 1, 1) });
    await fast.flush({ task, batches: batchesOf(task, 2, 3) });
    expect(await slow.flush({ task, batches: batchesOf(task, 2, 5) })).toMatchObject({
      flushedThrough: 5,
      rowsWritten: 6,
    });
    expect(await readIds(objects)).toEqual(idsOf(batchesOf(task, 1, 5)));
    expect(objects.names('.parquet').map((name) => /\.(\d+-\d+)\./.exec(name)?.[1])).toEqual([
      '1-1',
      '2-3',
      '4-5',
    ]);
  });

  test('two processes with the very same range: the file of the winner stays', async () => {
    const objects = new MemoryObjects();
    const tables = [openTestTable(objects), openTestTable(objects), openTestTable(objects)];
    const results = await Promise.all(
      tables.map((table) => table.flush({ task, batches: batchesOf(task, 1, 4) })),
    );
    expect(results.map(({ flushedThrough }) => flushedThrough)).toEqual([4, 4, 4]);
    expect(results.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0)).toBe(12);
    expect(await readIds(objects)).toEqual(idsOf(batchesOf(task, 1, 4)));
  });

  test('files that another process may still commit are not deleted', async () => {
    const objects = new MemoryObjects();
    const deleted: string[] = [];
    const watched = new FaultyObjects(objects, (operation, name) => {
      if (operation === 'delete') deleted.push(name);
      return undefined;
    });
    const [one, two] = [openTestTable(watched), openTestTable(watched)];
    await one.flush({ task, batches: batchesOf(task, 1, 4) });
    await two.flush({ task, batches: batchesOf(task, 5, 6) });
    // `one` believes that the table is at 4; its range begins later all the same.
    expect(await one.flush({ task, batches: batchesOf(task, 7, 9) })).toMatchObject({
      flushedThrough: 9,
      rowsWritten: 9,
    });
    expect(deleted).toEqual([]);
    expect(await readIds(objects)).toEqual(idsOf(batchesOf(task, 1, 9)));
  });

  test('32 tasks of 4 processes on one table', async () => {
    const objects = new MemoryObjects();
    const tables = Array.from({ length: 4 }, () => openTestTable(objects, { checkpointEvery: 10 }));
    const tasks = Array.from({ length: 32 }, (_, index) => `flights/clean/${index}/1`);
    await Promise.all(
      tasks.map(async (name, index) => {
        for (let commit = 1; commit <= 6; commit += 1) {
          const table = tables[(index + commit) % tables.length];
          await table?.flush({ task: name, batches: batchesOf(name, 1, commit) });
        }
      }),
    );
    expect(await readIds(objects)).toEqual(
      tasks.flatMap((name) => idsOf(batchesOf(name, 1, 6))).sort(),
    );
    expect((await readTable({ objects, folder, format: 'delta' })).version).toBe(32 * 6);
  });
});
