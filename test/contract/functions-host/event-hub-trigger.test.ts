/* eslint-disable @typescript-eslint/no-explicit-any -- what apps note has a shape each test knows */
// Goal: the Event Hubs trigger batches, describes, retries and checkpoints as the extension does,
// seen in the blobs and in what the app was given.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ContainerClient } from '@azure/storage-blob';
import {
  checkpointOf,
  hubBlobs,
  pause,
  send,
  startPlace,
  startRun,
  until,
  jsonOf,
  type Place,
  type Run,
} from './support';

jest.setTimeout(90_000);

const names = [
  ...['many', 'binary', 'objects', 'single', 'retry', 'backoff', 'failing', 'minimum', 'frequency'],
  ...['stop', 'drain', 'lost', 'killed', 'legacy', 'time', 'crash', 'longs', 'hasty'],
];
let place: Place;
let run: Run;

beforeAll(async () => {
  place = await startPlace(Object.fromEntries(names.map((name) => [name, 1])));
});
afterAll(() => place.close());
afterEach(() => run.close());

/** A run over one hub; `options` are those of the function. */
async function read(
  hub: string,
  options: Record<string, unknown> = {},
  others: Parameters<typeof startRun>[2] = {},
): Promise<Run> {
  const settings = {
    HUB: hub,
    OPTIONS: JSON.stringify(options),
    RELEASE: join(place.folder, `release-${hub}`),
    ...others.settings,
  };
  run = await startRun(place, 'events', { ...others, settings });
  return run;
}

const release = (hub: string): void => writeFileSync(join(place.folder, `release-${hub}`), '');
const untilCheckpoint = (hub: string, sequenceNumber: number): Promise<unknown> =>
  until(`checkpoint ${sequenceNumber} of ${hub}`, async () =>
    (await checkpointOf(place, hub, '0')) === sequenceNumber ? true : null,
  );
const batches = (): any[] => run.notes().filter((note) => note['bodies'] !== undefined);

test('a batch comes with its metadata and is checkpointed where the extension keeps it', async () => {
  await send(place, 'many', '0', [
    { body: 'first', properties: { Region: 'north', nested: { Deep: [1] } } },
    'second',
  ]);
  await read('many');
  await untilCheckpoint('many', 1);
  const [batch] = batches();
  expect(batch.bodies).toEqual(['first', 'second']);
  expect(batch.retryContext).toBeUndefined();
  const { metadata } = batch;
  expect(Object.keys(metadata).sort()).toEqual([
    ...['enqueuedTimeUtcArray', 'offsetArray', 'partitionContext', 'partitionKeyArray'],
    ...['propertiesArray', 'sequenceNumberArray', 'systemPropertiesArray'],
  ]);
  expect(metadata.sequenceNumberArray).toEqual([0, 1]);
  expect(metadata.partitionKeyArray).toEqual([]);
  expect(metadata.offsetArray.map((offset: unknown) => typeof offset)).toEqual([
    'string',
    'string',
  ]);
  expect(metadata.enqueuedTimeUtcArray[0]).toMatch(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{0,2}[1-9])?$/,
  );
  expect(metadata.propertiesArray).toEqual([{ region: 'north', nested: { deep: [1] } }, {}]);
  expect(metadata.systemPropertiesArray[1]).toMatchObject({
    sequenceNumber: 1,
    offset: Number(metadata.offsetArray[1]),
    partitionKey: null,
    enqueuedTimeUtc: metadata.enqueuedTimeUtcArray[1],
    'x-opt-sequence-number': 1,
  });
  expect(metadata.partitionContext).toMatchObject({
    eventHubName: 'many',
    consumerGroup: '$Default',
    partitionId: '0',
    isCheckpointingAfterInvocation: true,
  });
  const blobs = await hubBlobs(place, 'many');
  const folder = `${metadata.partitionContext.fullyQualifiedNamespace.toLowerCase()}/many/$default`;
  expect(Object.keys(blobs).sort()).toEqual([`${folder}/checkpoint/0`, `${folder}/ownership/0`]);
  expect(blobs[`${folder}/checkpoint/0`]).toEqual({
    offset: metadata.offsetArray[1],
    sequencenumber: '1',
    clientidentifier: expect.stringMatching(/^[\da-f-]{36}$/),
  });
  expect(Object.keys(blobs[`${folder}/ownership/0`] ?? {})).toEqual(['ownerid']);
  const [first, last] = metadata.offsetArray;
  expect(run.lines).toContainEqual(
    expect.stringMatching(
      new RegExp(
        `Trigger Details: PartitionId: 0, OffsetString: ${first}-${last}, EnqueueTimeUtc: [^,]+, SequenceNumber: 0-1, Count: 2, Offset: ${first}-${last}, PartionId: 0$`,
      ),
    ),
  );
});

test('partition keys of events without one are dropped from the list', async () => {
  const { EventHubProducerClient } = await import('@azure/event-hubs');
  const producer = new EventHubProducerClient(place.emulator.connectionString, 'longs');
  await producer.sendBatch([{ body: 'keyed' }], { partitionKey: 'k' });
  await producer.sendBatch([{ body: 'plain' }]);
  await producer.close();
  await read('longs', {}, { sequenceNumberForm: 'long' });
  await untilCheckpoint('longs', 1);
  const [{ metadata }] = batches();
  expect(metadata.partitionKeyArray).toEqual(['k']);
  expect(metadata.sequenceNumberArray).toEqual([
    { low: 0, high: 0, unsigned: false },
    { low: 1, high: 0, unsigned: false },
  ]);
  expect(metadata.systemPropertiesArray.map((one: any) => one.partitionKey)).toEqual(['k', null]);
});

test('data type binary gives bytes', async () => {
  await send(place, 'binary', '0', ['x']);
  await read('binary', { dataType: 'binary' });
  await untilCheckpoint('binary', 0);
  expect(batches()[0].isBuffer).toBe(true);
});

test('without a data type one body that is not JSON fails the batch, and the checkpoint passes it', async () => {
  await send(place, 'objects', '0', ['{"a":1}', 'not json']);
  await read('objects', { dataType: '' });
  await untilCheckpoint('objects', 1);
  expect(batches()).toEqual([]);
  expect(run.lines.join('\n')).toMatch(
    /\(Failed, [^)]*\)\n.*body of event 1 of the batch is not JSON/,
  );
  await send(place, 'objects', '0', ['{"a":1}', '[2]', '"text"', '3']);
  await untilCheckpoint('objects', 5);
  expect(batches().map(({ bodies }) => bodies)).toEqual([[{ a: 1 }, [2], 'text', 3]]);
});

test('cardinality one: an invocation for each event, a checkpoint for all that were delivered', async () => {
  await send(place, 'single', '0', ['{"colour":"red","List":[1]}', 'plain']);
  await read('single', { cardinality: 'one' });
  await untilCheckpoint('single', 1);
  const notes = batches();
  expect(notes.map(({ bodies, isMany }) => [isMany, bodies[0]])).toEqual([
    [false, { colour: 'red', List: [1] }],
    [false, 'plain'],
  ]);
  expect(notes[0].metadata).toMatchObject({ sequenceNumber: 0, colour: 'red', properties: {} });
  expect(notes[0].metadata).not.toHaveProperty('list');
  expect(typeof notes[0].metadata.offset).toBe('string');
});

test('retries come with the same events and another id, and count from the first attempt on', async () => {
  await send(place, 'retry', '0', ['throw-once', 'other']);
  await read('retry', {
    retry: { strategy: 'fixedDelay', maxRetryCount: 2, delayInterval: { seconds: 1 } },
  });
  await untilCheckpoint('retry', 1);
  const attempts = batches();
  expect(attempts.map(({ bodies }) => bodies)).toEqual(Array(2).fill(['throw-once', 'other']));
  expect(attempts.map(({ retryContext }) => retryContext.retryCount)).toEqual([0, 1]);
  expect(attempts[0].retryContext).toMatchObject({ maxRetryCount: 2 });
  expect(attempts[0].retryContext.exception ?? null).toBeNull();
  expect(attempts[1].retryContext.exception.message).toBe('once');
  expect(new Set(attempts.map(({ invocationId }) => invocationId)).size).toBe(2);
  expect(attempts[1].atMs - attempts[0].atMs).toBeGreaterThanOrEqual(950);
});

test('when retries are used up the checkpoint passes the batch', async () => {
  await send(place, 'backoff', '0', ['throw-always']);
  await read('backoff', {
    retry: {
      strategy: 'exponentialBackoff',
      maxRetryCount: 2,
      minimumInterval: { milliseconds: 1 },
      maximumInterval: { seconds: 1 },
    },
  });
  await untilCheckpoint('backoff', 0);
  expect(batches()).toHaveLength(3);
});

test("host.json's policy is that of functions without one; without any a throw costs the batch", async () => {
  await send(place, 'failing', '0', ['throw-once']);
  await read(
    'failing',
    {},
    {
      hostJson: {
        retry: { strategy: 'fixedDelay', maxRetryCount: 1, delayInterval: '00:00:00' },
      },
    },
  );
  await untilCheckpoint('failing', 0);
  expect(batches()).toHaveLength(2);
  await run.close();
  await send(place, 'failing', '0', ['throw-always']);
  await read('failing');
  await untilCheckpoint('failing', 1);
  expect(batches()).toHaveLength(1);
});

test('a minimum batch size is waited for, and no longer than maxWaitTime', async () => {
  const hostJson = {
    extensions: {
      eventHubs: { minEventBatchSize: 3, maxEventBatchSize: 4, maxWaitTime: '00:00:04' },
    },
  };
  await send(place, 'minimum', '0', ['1']);
  await read('minimum', {}, { hostJson });
  // Nobody had the partition before: the first batch does not wait.
  await untilCheckpoint('minimum', 0);
  await send(place, 'minimum', '0', ['2', '3']);
  await pause(1_500);
  expect(batches()).toHaveLength(1);
  await send(place, 'minimum', '0', ['4']);
  await untilCheckpoint('minimum', 3);
  await send(place, 'minimum', '0', ['5']);
  await untilCheckpoint('minimum', 4);
  expect(batches().map(({ bodies }) => bodies)).toEqual([[1], [2, 3, 4], [5]]);
});

test('batchCheckpointFrequency: every second batch, and the function is told', async () => {
  const hostJson = {
    extensions: { eventHubs: { maxEventBatchSize: 1, batchCheckpointFrequency: 2 } },
  };
  await send(place, 'frequency', '0', ['1', '2', '3']);
  await read('frequency', {}, { hostJson });
  await until('three batches', () => batches().length === 3);
  await pause(500);
  expect(await checkpointOf(place, 'frequency', '0')).toBe(1);
  expect(
    batches().map(({ metadata }) => metadata.partitionContext.isCheckpointingAfterInvocation),
  ).toEqual([false, true, false]);
});

test('stop: the batch in flight ends without a checkpoint and is delivered again', async () => {
  await send(place, 'stop', '0', ['sleep']);
  await read('stop');
  await until('the batch runs', () => batches().length === 1);
  const closing = run.host.close();
  await pause(300);
  release('stop');
  await closing;
  expect(run.notes().some(({ awake }) => awake === true)).toBe(true);
  expect(await checkpointOf(place, 'stop', '0')).toBeNull();
  await run.close();
  await read('stop');
  await untilCheckpoint('stop', 0);
});

test('drain mode: the batch in flight is checkpointed, others wait for resume', async () => {
  await send(place, 'drain', '0', ['sleep']);
  await read('drain');
  await until('the batch runs', () => batches().length === 1);
  const admin = async (method: string, path: string): Promise<any> =>
    (await fetch(`${run.host.httpUrl}/admin/host/${path}`, { method })).json();
  expect(await admin('GET', 'drain/status')).toMatchObject({ state: 'Disabled' });
  await admin('POST', 'drain');
  await send(place, 'drain', '0', ['later']);
  expect(await admin('GET', 'drain/status')).toEqual({
    state: 'InProgress',
    outstandingInvocations: 1,
  });
  release('drain');
  await untilCheckpoint('drain', 0);
  await until('drained', async () => (await admin('GET', 'drain/status')).state === 'Completed');
  // Nor does a worker that takes the place of one that ends meanwhile.
  const [{ id } = { id: 0 }] = run.host.workers;
  run.lines.length = 0;
  run.host.killWorker(id);
  await until('another worker', () => run.lines.some((line) => / {1}functions /.test(line)));
  await until(
    'drained again',
    async () => (await admin('GET', 'drain/status')).state === 'Completed',
  );
  await pause(700);
  expect(batches()).toHaveLength(1);
  expect(await admin('POST', 'resume')).toEqual({ state: 'Running' });
  await untilCheckpoint('drain', 1);
  expect(batches()[1].bodies).toEqual(['later']);
});

test('resume while a batch of before the drain still runs: later events are read', async () => {
  await send(place, 'hasty', '0', ['sleep']);
  await read('hasty');
  await until('the batch runs', () => batches().length === 1);
  const admin = (path: string): Promise<Response> =>
    fetch(`${run.host.httpUrl}/admin/host/${path}`, { method: 'POST' });
  await admin('drain');
  await admin('resume');
  await admin('drain');
  await admin('resume');
  release('hasty');
  await untilCheckpoint('hasty', 0);
  await send(place, 'hasty', '0', ['later']);
  await untilCheckpoint('hasty', 1);
  // What a drain of before has to say comes late, and is not about this one.
  await admin('drain');
  const status = await fetch(`${run.host.httpUrl}/admin/host/drain/status`);
  expect(await jsonOf(status)).toMatchObject({ state: 'InProgress' });
});

test('a partition lost during a batch is not checkpointed by the one who lost it', async () => {
  await send(place, 'lost', '0', ['sleep']);
  await read('lost');
  await until('the batch runs', () => batches().length === 1);
  // Another owner takes the partition, as the extension does it: by writing itself into the blob.
  const container = new ContainerClient(place.azurite.connectionString, 'azure-webjobs-eventhub');
  const name = Object.keys(await hubBlobs(place, 'lost')).find((one) => one.includes('ownership'));
  const owner = container.getBlobClient(name ?? '');
  await owner.setMetadata({ ownerid: 'somebody-else' });
  const keeping = setInterval(() => void owner.setMetadata({ ownerid: 'somebody-else' }), 500);
  await pause(2_500);
  release('lost');
  await until('the batch is over', () => run.notes().some(({ awake }) => awake === true));
  await pause(700);
  clearInterval(keeping);
  expect(await checkpointOf(place, 'lost', '0')).toBeNull();
  await untilCheckpoint('lost', 0);
  expect(batches()).toHaveLength(2);
});

test('kill -9: nothing is checkpointed, and another worker takes the partition', async () => {
  await send(place, 'killed', '0', ['sleep']);
  await read('killed', {}, { workers: 2 });
  const [first] = await until('the batch runs', () => (batches().length === 1 ? batches() : null));
  process.kill(first.pid, 'SIGKILL');
  expect(await checkpointOf(place, 'killed', '0')).toBeNull();
  await until('another process has the batch', () =>
    batches().some(({ pid }) => pid !== first.pid),
  );
  release('killed');
  await untilCheckpoint('killed', 0);
});

test('a process that ends itself in a batch is started again, the batch is delivered again', async () => {
  await send(place, 'crash', '0', ['exit']);
  await read('crash');
  await until('attempts by two processes', () => {
    const pids = new Set(batches().map(({ pid }) => pid));
    return pids.size >= 2;
  });
  expect(await checkpointOf(place, 'crash', '0')).toBeNull();
  expect(run.lines.join('\n')).toMatch(/worker 1 ended \(exit code 7\); another starts in 0 ms/);
});

test('a checkpoint of an old extension is read where there is no new one', async () => {
  await send(place, 'legacy', '0', ['0', '1', '2', '3']);
  const namespace = /sb:\/\/([^:;/]+)/.exec(place.emulator.connectionString)?.[1];
  const container = new ContainerClient(place.azurite.connectionString, 'azure-webjobs-eventhub');
  await container.createIfNotExists();
  // Where the second event is, as the hub itself says.
  const { EventHubConsumerClient, earliestEventPosition } = await import('@azure/event-hubs');
  const consumer = new EventHubConsumerClient('readers', place.emulator.connectionString, 'legacy');
  const offset = await new Promise<string>((resolve, reject) => {
    consumer.subscribe(
      {
        processEvents: async (events) => {
          if (events[1] !== undefined) resolve(events[1].offset);
        },
        processError: async (error) => reject(error),
      },
      { startPosition: earliestEventPosition, maxBatchSize: 10 },
    );
  });
  await consumer.close();
  const text = JSON.stringify({
    PartitionId: '0',
    Owner: '',
    Token: '',
    Epoch: 1,
    Offset: offset,
    SequenceNumber: 1,
  });
  await container
    .getBlockBlobClient(`${namespace}/legacy/$Default/0`)
    .upload(text, Buffer.byteLength(text));
  await read('legacy');
  await untilCheckpoint('legacy', 3);
  expect(batches().flatMap(({ bodies }) => bodies)).toEqual([2, 3]);
});

test('fromEnqueuedTime leaves out what came before', async () => {
  await send(place, 'time', '0', ['before']);
  await pause(1_200);
  const enqueuedTimeUtc = new Date().toISOString();
  await pause(50);
  await send(place, 'time', '0', ['after']);
  await read(
    'time',
    {},
    {
      hostJson: {
        extensions: {
          eventHubs: { initialOffsetOptions: { type: 'fromEnqueuedTime', enqueuedTimeUtc } },
        },
      },
    },
  );
  await untilCheckpoint('time', 1);
  expect(batches().flatMap(({ bodies }) => bodies)).toEqual(['after']);
});
