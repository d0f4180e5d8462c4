import fc from 'fast-check';
import { StreamError } from '../../shared/model/errors';
import { FaultyObjects } from '../support/lake-faults';
import type { StoreFault } from '../support/lake-faults';
import { MemoryObjects, openTestTable } from '../support/lake-memory';
import { batchesOf, idsOf, readIds } from '../support/lake-rows';

const tasks = ['t/0', 't/1', 't/2'];
const commitsMax = 8;

const step = fc.record({
  process: fc.nat(2),
  task: fc.nat(tasks.length - 1),
  last: fc.integer({ min: 1, max: commitsMax }),
  together: fc.boolean(),
  restart: fc.boolean(),
});
const fault = fc.option(fc.constantFrom<StoreFault>('refused', 'lost-response', 'slow'), {
  freq: 5,
  nil: undefined,
});

test('whatever the order, the faults and the restarts: every row once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 25 }),
      fc.array(fault, { maxLength: 80 }),
      async (steps, faults) => {
        const objects = new MemoryObjects();
        const ahead = Array.from(faults);
        const store = new FaultyObjects(objects, () => ahead.shift());
        const open = (): ReturnType<typeof openTestTable> =>
          openTestTable(store, { checkpointEvery: 3 });
        const processes = [open(), open(), open()];
        const asked = tasks.map(() => 0);
        let running: Promise<unknown>[] = [];
        for (const { process, task, last, together, restart } of steps) {
          if (restart) processes[process] = open();
          asked[task] = Math.max(asked[task] ?? 0, last);
          running.push(flush(processes[process] ?? open(), tasks[task] ?? '', last));
          if (together) continue;
          await Promise.all(running);
          running = [];
        }
        await Promise.all(running);
        ahead.length = 0;
        for (const [index, task] of tasks.entries()) {
          await open().flush({ task, batches: batchesOf(task, 1, asked[index] ?? 0) });
        }
        const expected = tasks.flatMap((task, index) =>
          idsOf(batchesOf(task, 1, asked[index] ?? 0)),
        );
        expect(await readIds(objects)).toEqual(expected.sort());
      },
    ),
    { numRuns: 150 },
  );
});

async function flush(table: ReturnType<typeof openTestTable>, task: string, last: number) {
  try {
    await table.flush({ task, batches: batchesOf(task, 1, last) });
  } catch (error) {
    // A worker would repeat it; here a later step or the end of the test does.
    if (!(error instanceof StreamError) || error.disposition !== 'retry') throw error;
  }
}
