import { connectContainer } from '../../shared/adapters/blob-container';
import { BlobObjectStore } from '../../shared/adapters/blob-object-store';
import type { ObjectStore } from '../../shared/model/ports';
import { startAzurite, type Azurite } from '../support/azurite';
import { openTestTable } from '../support/lake-memory';
import { batchesOf, idsOf, readIds } from '../support/lake-rows';
import {
  startStoreFaultProxy,
  type StoreFault,
  type StoreFaultProxy,
} from '../support/store-fault-proxy';

let azurite: Azurite;
let proxy: StoreFaultProxy;
let containers = 0;

beforeAll(async () => {
  azurite = await startAzurite();
  proxy = await startStoreFaultProxy(azurite.port);
});
afterEach(() => proxy.clear());
afterAll(async () => {
  await proxy.stop();
  await azurite.stop();
});

const task = 'flights/clean/0/1';
const faults: StoreFault[] = [
  { kind: 'lost-response' },
  { kind: 'masked-response', status: 500 },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503, code: 'ServerBusy' },
  { kind: 'status', status: 412, code: 'ConditionNotMet' },
  { kind: 'status', status: 409, code: 'BlobAlreadyExists' },
  { kind: 'reset' },
  { kind: 'slow', delayMs: 300 },
];
const targets = [
  ['table commit', 'PUT', /_delta_log\/\d{20}\.json/],
  ['data file', 'PUT', /\.snappy\.parquet/],
  ['checkpoint', 'PUT', /checkpoint/],
  ['read of the log', 'GET', /_delta_log/],
] as const;

function connect(connectionString: string, container: string): ObjectStore {
  return new BlobObjectStore(
    connectContainer({
      connectionString,
      container,
      limits: { triesMax: 2, firstPauseMs: 1, lastPauseMs: 1, tryTimeoutMs: 5_000 },
    }),
  );
}

// A condition cannot fail where none is set.
const cases = targets.flatMap(([name, method, path]) =>
  faults
    .filter((fault) => method === 'PUT' || fault.kind !== 'status' || fault.status >= 500)
    .flatMap((fault) => [1, 2].map((times) => ({ name, method, path, fault, times }))),
);

test.each(cases)('$name, $times times: $fault', async ({ method, path, fault, times }) => {
  containers += 1;
  const container = `lake-${containers}`;
  const behind = connect(azurite.connectionString, container);
  const through = connect(proxy.connectionString, container);
  const table = openTestTable(through, { checkpointEvery: 2 });
  const met = proxy.applied.length;
  proxy.inject({ fault, method, path, times, after: 1 });
  for (let last = 2; last <= 8; last += 2) await flushUntilDone(table, last);
  await openTestTable(through).flushedThrough(task).catch(isRetry);
  expect(await readIds(behind)).toEqual(idsOf(batchesOf(task, 1, 8)));
  expect(proxy.applied.length).toBeGreaterThan(met);
});

function isRetry(error: unknown): void {
  expect(error).toMatchObject({ disposition: 'retry' });
}

async function flushUntilDone(
  table: ReturnType<typeof openTestTable>,
  last: number,
): Promise<void> {
  for (let attempt = 0; attempt < 4; attempt += 1) {
    try {
      const result = await table.flush({ task, batches: batchesOf(task, 1, last) });
      expect(result.flushedThrough).toBe(last);
      return;
    } catch (error) {
      isRetry(error);
    }
  }
  throw new Error('the flush never succeeded');
}
