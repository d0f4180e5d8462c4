import { BlobAppendStore } from '../../shared/adapters/blob-append-store';
import { connectContainer, type BlobTryLimits } from '../../shared/adapters/blob-container';
import { BlobObjectStore } from '../../shared/adapters/blob-object-store';
import type { LogRecord } from '../../shared/model/commit';
import { readLog } from '../../shared/commit-log/log-reader';
import { startAzurite, type Azurite } from '../support/azurite';
import { logPath, LogProcess, type LogStores } from '../support/log-world';
import {
  startStoreFaultProxy,
  type FaultRule,
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

const quick: Partial<BlobTryLimits> = { firstPauseMs: 5, lastPauseMs: 20, tryTimeoutMs: 5_000 };
const appendBlock: Pick<FaultRule, 'method' | 'path'> = { method: 'PUT', path: /comp=appendblock/ };

/** The same container, through the proxy and past it. */
function worlds(limits: Partial<BlobTryLimits> = quick): { faulty: LogStores; honest: LogStores } {
  containers += 1;
  const container = `log-${containers}`;
  const connect = (connectionString: string): LogStores => {
    const connected = connectContainer({ connectionString, container, limits });
    return {
      appends: new BlobAppendStore(connected),
      objects: new BlobObjectStore(connected),
    };
  };
  return { faulty: connect(proxy.connectionString), honest: connect(azurite.connectionString) };
}

async function idsInLog(stores: LogStores): Promise<string[]> {
  const { isBroken, records } = await readLog(stores.appends, logPath, null);
  expect(isBroken).toBe(false);
  return records.filter(isCommit).map(({ commitId }) => commitId);
}

function isCommit(record: LogRecord): record is Extract<LogRecord, { kind: 'commit' }> {
  return record.kind === 'commit';
}

const faults: [string, FaultRule['fault'], number][] = [
  ['500', { kind: 'status', status: 500 }, 2],
  ['503', { kind: 'status', status: 503 }, 3],
  ['a broken connection', { kind: 'reset' }, 2],
  ['a lost response', { kind: 'lost-response' }, 1],
  ['a lost response, twice', { kind: 'lost-response' }, 2],
  ['500 for an append that was carried out', { kind: 'masked-response', status: 500 }, 1],
  ['412 for an append that was carried out', { kind: 'masked-response', status: 412 }, 1],
  ['412 out of the blue', { kind: 'status', status: 412 }, 1],
  ['slowness', { kind: 'slow', delayMs: 200 }, 2],
];

it.each(faults)('each commit is in the log once after %s', async (_name, fault, times) => {
  const { faulty, honest } = worlds();
  const process = await LogProcess.start({ stores: faulty, name: 'first' });
  await process.commitOnce('a');
  const met = proxy.applied.length;
  proxy.inject({ ...appendBlock, fault, times });
  await process.commitOnce('b');
  await process.commitOnce('c');
  expect(proxy.applied.length - met).toBe(times);
  expect(process.history).toEqual(['a', 'b', 'c']);
  expect(await idsInLog(honest)).toEqual(['a', 'b', 'c']);
});

it('an append that never comes back is dropped and found again', async () => {
  const { faulty, honest } = worlds({ ...quick, tryTimeoutMs: 300 });
  const process = await LogProcess.start({ stores: faulty, name: 'first' });
  proxy.inject({ ...appendBlock, fault: { kind: 'hang' }, times: 1 });
  expect(await process.commit('a')).toBe('appended');
  // Slower than the time-out: the store may carry out each of the tries given up, at any time.
  proxy.inject({ ...appendBlock, fault: { kind: 'slow', delayMs: 600 }, times: 4 });
  await process.commitOnce('b');
  await process.commitOnce('c');
  expect(await idsInLog(honest)).toEqual(['a', 'b', 'c']);
});

it.each<[string, FaultRule['fault'], RegExp]>([
  ['500', { kind: 'status', status: 500 }, /500 InternalError.*status of the service/],
  ['503', { kind: 'status', status: 503 }, /503 ServerBusy.*throttled/],
  ['403', { kind: 'status', status: 403 }, /403 AuthorizationFailure.*Storage Blob Data Contr/],
  ['broken connections', { kind: 'reset' }, /no answer.*endpoint/],
  [
    'a full blob',
    { kind: 'status', status: 409, code: 'BlockCountExceedsLimit' },
    /409 BlockCountExceedsLimit.*roll/,
  ],
])('says what to do when there is nothing but %s', async (_name, fault, message) => {
  const { faulty, honest } = worlds();
  const process = await LogProcess.start({ stores: faulty, name: 'first' });
  proxy.inject({ ...appendBlock, fault });
  await expect(process.commit('a')).rejects.toMatchObject({
    code: 'STREAM_STORE_UNAVAILABLE',
    disposition: 'retry',
    message: expect.stringMatching(message) as string,
    details: { operation: 'append' },
  });
  expect(await idsInLog(honest)).toEqual([]);
  proxy.clear();
  expect(await process.commit('a')).toBe('appended');
  expect(await idsInLog(honest)).toEqual(['a']);
});

it('re-reads before it appends again when the tail could not be read either', async () => {
  const { faulty, honest } = worlds();
  const process = await LogProcess.start({ stores: faulty, name: 'first' });
  proxy.inject({ ...appendBlock, fault: { kind: 'masked-response', status: 500 }, times: 1 });
  const heal = proxy.inject({ fault: { kind: 'status', status: 503 } });
  const unavailable = { code: 'STREAM_STORE_UNAVAILABLE' };
  await expect(process.commit('a')).rejects.toMatchObject(unavailable);
  await expect(process.commit('a')).rejects.toMatchObject(unavailable);
  heal();
  await process.commitOnce('a');
  await process.commitOnce('b');
  expect(await idsInLog(honest)).toEqual(['a', 'b']);
});

it.each(['lost-response', 'reset'] as const)('rolls through any %s', async (kind) => {
  const { faulty, honest } = worlds();
  const process = await LogProcess.start({ stores: faulty, name: 'first' });
  await process.commitOnce('a');
  // Each request of the roll in turn meets the fault.
  for (let after = 0; after < 8; after += 1) {
    const clear = proxy.inject({ fault: { kind }, times: 1, after });
    const generation = process.log.generation;
    expect(await process.roll()).toBe('appended');
    expect(process.log.generation).toBe(generation + 1);
    clear();
    await process.commitOnce(`after ${after}`);
  }
  expect(await idsInLog(honest)).toEqual(process.history);
  const late = await LogProcess.start({ stores: honest, name: 'late' });
  expect(late.history).toEqual(process.history);
});

it('two writers through a bad network keep one history', async () => {
  const { faulty, honest } = worlds();
  const writers = await Promise.all(
    ['left', 'right'].map((name) => LogProcess.start({ stores: faulty, name })),
  );
  for (let after = 1; after < 60; after += 7) {
    const kind = after % 2 === 0 ? 'lost-response' : 'reset';
    proxy.inject({ fault: { kind }, times: 1, after });
  }
  const wanted = Array.from({ length: 10 }, (_value, index) => index);
  await Promise.all(
    writers.map(async (writer) => {
      for (const index of wanted) await writer.commitOnce(`${writer.name} ${index}`);
    }),
  );
  const ids = await idsInLog(honest);
  expect(ids).toHaveLength(20);
  for (const { name } of writers) {
    expect(ids.filter((id) => id.startsWith(name))).toEqual(
      wanted.map((index) => `${name} ${index}`),
    );
  }
});
