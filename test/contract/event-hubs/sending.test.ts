import {
  EventHubBufferedProducerClient,
  EventHubConsumerClient,
  EventHubProducerClient,
  earliestEventPosition,
  type ReceivedEventData,
} from '@azure/event-hubs';
import { receive } from '../../support/event-hubs';
import {
  describeEmulator,
  openTestNamespace,
  type TestNamespace,
} from '../../support/event-hubs-namespace';

const partitions = ['0', '1', '2', '3'];
const keys = [
  'a',
  'key',
  'SEA',
  'Zürich ✈',
  'twelve-bytes',
  'a key of more than twelve bytes',
  '0',
];
let namespace: TestNamespace;
let producer: EventHubProducerClient;
let consumer: EventHubConsumerClient;

beforeAll(async () => {
  namespace = await openTestNamespace();
  producer = namespace.producer();
  consumer = namespace.consumer();
});

afterAll(async () => {
  await namespace.close();
});

/** The last sequence number of every partition. */
async function ends(): Promise<number[]> {
  const facts = await Promise.all(partitions.map((id) => producer.getPartitionProperties(id)));
  return facts.map(({ lastEnqueuedSequenceNumber }) => lastEnqueuedSequenceNumber);
}

/** What came after `before`, in which partition. */
async function newEvents(before: readonly number[]): Promise<[string, ReceivedEventData[]][]> {
  const after = await ends();
  return Promise.all(
    partitions.map(async (id, index): Promise<[string, ReceivedEventData[]]> => {
      const count = (after[index] ?? 0) - (before[index] ?? 0);
      const startPosition = { sequenceNumber: before[index] ?? 0, isInclusive: false };
      return [
        id,
        count === 0 ? [] : await receive(consumer, { partition: id, count, startPosition }),
      ];
    }),
  );
}

test.each(partitions)('a batch for partition %s is in that partition, in order', async (id) => {
  const batch = await producer.createBatch({ partitionId: id });
  for (const body of ['x', 'y', 'z']) {
    expect(batch.tryAdd({ body, properties: { of: id } })).toBe(true);
  }
  const before = await ends();
  await producer.sendBatch(batch);
  const found = new Map(await newEvents(before));
  expect(found.get(id)?.map(({ body, properties }) => [body, properties])).toEqual(
    ['x', 'y', 'z'].map((body) => [body, { of: id }]),
  );
  expect(Array.from(found.values()).flat()).toHaveLength(3);
});

test.each(keys)('key %p lands where the buffered producer maps it', async (key) => {
  const before = await ends();
  const batch = await producer.createBatch({ partitionKey: key });
  batch.tryAdd({ body: 'by the service' });
  await producer.sendBatch(batch);
  const failures: Error[] = [];
  const buffered = new EventHubBufferedProducerClient(namespace.connectionString, namespace.hub, {
    onSendEventsErrorHandler: ({ error }) => {
      failures.push(error);
    },
  });
  await buffered.enqueueEvent({ body: 'by the client' }, { partitionKey: key });
  await buffered.close();
  expect(failures).toEqual([]);
  const found = (await newEvents(before)).filter(([, events]) => events.length > 0);
  expect(found).toHaveLength(1);
  expect(found[0]?.[1].map(({ body }) => body as string)).toEqual([
    'by the service',
    'by the client',
  ]);
  expect(found[0]?.[1][0]?.partitionKey).toBe(key);
});

test('batches without a partition go round', async () => {
  const before = await ends();
  for (const body of partitions) await producer.sendBatch([{ body }]);
  for (const [, events] of await newEvents(before)) expect(events).toHaveLength(1);
});

test.each([
  ['a string', 'text'],
  ['an object', { airport: 'SEA', delays: [1, null, { deep: true }] }],
  ['null', null],
  ['bytes', Buffer.from([0, 255, 128, 1])],
  ['nothing much', ''],
])('the body comes back: %s', async (_name, body) => {
  const before = await ends();
  await producer.sendBatch([{ body }], { partitionId: '0' });
  const [[, [event] = []] = ['', []]] = await newEvents(before);
  expect(event?.body).toEqual(body);
});

test('all of an event comes back: properties, ids, content type, system properties', async () => {
  const before = await ends();
  const event = {
    body: 'all',
    contentType: 'text/plain',
    correlationId: 'correlation',
    messageId: 'message',
    properties: {
      text: 'ä',
      number: 7,
      fraction: 1.5,
      truth: true,
      time: new Date(1_764_000_000_000),
    },
  };
  await producer.sendBatch([event], { partitionId: '0' });
  const [[, [found] = []] = ['', []]] = await newEvents(before);
  expect(found).toMatchObject({
    ...event,
    properties: { ...event.properties, time: expect.anything() as unknown },
  });
  expect(Number(found?.offset)).toBeGreaterThan(0);
  expect(found?.enqueuedTimeUtc).toBeInstanceOf(Date);
});

test('an event of almost 1 MB passes, one above the limit does not', async () => {
  const before = await ends();
  const body = Buffer.alloc(1024 * 1024 - 1024, 7);
  await producer.sendBatch([{ body }], { partitionId: '1' });
  const found = new Map(await newEvents(before)).get('1');
  // Jest would compare a million elements one by one.
  expect(body.equals(found?.[0]?.body as Buffer)).toBe(true);
  const tooLarge = Buffer.alloc(1024 * 1024 + 1, 7);
  await expect(
    producer.sendBatch([{ body: tooLarge }], { partitionId: '1' }),
  ).rejects.toMatchObject({
    code: 'MessageTooLargeError',
  });
  const batch = await producer.createBatch();
  expect(batch.maxSizeInBytes).toBe(1024 * 1024);
  expect(batch.tryAdd({ body: tooLarge })).toBe(false);
});

test('thousands of small events keep their order', async () => {
  const before = await ends();
  const count = 5_000;
  let batch = await producer.createBatch({ partitionId: '2' });
  for (let number = 0; number < count; number += 1) {
    if (batch.tryAdd({ body: number })) continue;
    await producer.sendBatch(batch);
    batch = await producer.createBatch({ partitionId: '2' });
    batch.tryAdd({ body: number });
  }
  await producer.sendBatch(batch);
  const events = new Map(await newEvents(before)).get('2') ?? [];
  expect(events.map(({ body }) => body as number)).toEqual(
    Array.from({ length: count }, (_, number) => number),
  );
  const first = events[0]?.sequenceNumber ?? -1;
  expect(events.map(({ sequenceNumber }) => sequenceNumber - first)).toEqual(
    Array.from({ length: count }, (_, number) => number),
  );
});

describeEmulator('a hub that is new', () => {
  test('the properties of hub and partition', async () => {
    const own = new EventHubProducerClient(namespace.connectionString, 'properties');
    try {
      const facts = await own.getEventHubProperties();
      expect(facts).toMatchObject({ name: 'properties', partitionIds: partitions });
      expect(facts.createdOn).toBeInstanceOf(Date);
      await expect(own.getPartitionIds()).resolves.toEqual(partitions);
      expect(await own.getPartitionProperties('3')).toMatchObject({
        eventHubName: 'properties',
        partitionId: '3',
        isEmpty: true,
        beginningSequenceNumber: 0,
        lastEnqueuedSequenceNumber: -1,
      });
      await own.sendBatch([{ body: 1 }, { body: 2 }], { partitionId: '3' });
      const reader = new EventHubConsumerClient(
        '$Default',
        namespace.connectionString,
        'properties',
      );
      const [, last] = await receive(reader, {
        partition: '3',
        count: 2,
        startPosition: earliestEventPosition,
      });
      await reader.close();
      expect(await own.getPartitionProperties('3')).toMatchObject({
        isEmpty: false,
        lastEnqueuedSequenceNumber: 1,
        lastEnqueuedOffset: last?.offset,
        lastEnqueuedOnUtc: last?.enqueuedTimeUtc,
      });
    } finally {
      await own.close();
    }
  });
});
