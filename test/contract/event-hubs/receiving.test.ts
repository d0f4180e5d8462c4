// Goal: the SDK reads from every kind of position, sees the runtime metric, and keeps to owner levels.
import {
  EventHubConsumerClient,
  EventHubProducerClient,
  type EventPosition,
  type ReceivedEventData,
  type Subscription,
} from '@azure/event-hubs';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../../local/event-hubs';

jest.setTimeout(60_000);

const hub = 'positions';
const partitionId = '1';
const bodies = ['a', 'b', 'c', 'd', 'e', 'f'];

let emulator: EventHubsEmulator;
let producer: EventHubProducerClient;
let consumer: EventHubConsumerClient;
let stored: readonly ReceivedEventData[] = [];

/** Reads from a position until the partition's present end, or for one wait. */
async function readFrom(position: EventPosition, count: number): Promise<ReceivedEventData[]> {
  const events: ReceivedEventData[] = [];
  let subscription: Subscription | undefined;
  await new Promise<void>((resolve, reject) => {
    subscription = consumer.subscribe(
      partitionId,
      {
        processEvents: async (batch) => {
          events.push(...batch);
          if (events.length >= count || batch.length === 0) resolve();
        },
        processError: async (error) => reject(error),
      },
      { startPosition: position, maxWaitTimeInSeconds: 1, trackLastEnqueuedEventProperties: true },
    );
  });
  await subscription?.close();
  return events;
}

beforeAll(async () => {
  emulator = await startEventHubsEmulator({ port: 0, controlPort: 0, createOnTheFly: true });
  const retryOptions = { maxRetries: 0 };
  producer = new EventHubProducerClient(emulator.connectionString, hub, { retryOptions });
  consumer = new EventHubConsumerClient('$Default', emulator.connectionString, hub, {
    retryOptions,
  });
  for (const body of bodies) await producer.sendBatch([{ body }], { partitionId });
  stored = await readFrom({ sequenceNumber: 0, isInclusive: true }, bodies.length);
});

afterAll(async () => {
  await consumer.close();
  await producer.close();
  await emulator.close();
});

const at = (index: number): ReceivedEventData => {
  const event = stored[index];
  if (event === undefined) throw new Error(`no event ${index}`);
  return event;
};

test('sequence numbers count from 0, offsets and times never go back', () => {
  expect(stored.map(({ body }) => body as string)).toEqual(bodies);
  expect(stored.map(({ sequenceNumber }) => sequenceNumber)).toEqual([0, 1, 2, 3, 4, 5]);
  const offsets = stored.map(({ offset }) => Number(offset));
  expect(offsets).toEqual([...offsets].sort((left, right) => left - right));
});

test.each<[string, () => EventPosition, string[]]>([
  ['the start', () => ({ offset: '-1' }), bodies],
  ['a sequence number', () => ({ sequenceNumber: 2, isInclusive: true }), bodies.slice(2)],
  ['after a sequence number', () => ({ sequenceNumber: 2 }), bodies.slice(3)],
  ['an offset', () => ({ offset: at(3).offset, isInclusive: true }), bodies.slice(3)],
  ['after an offset', () => ({ offset: at(3).offset }), bodies.slice(4)],
  [
    'a time before all',
    () => ({ enqueuedOn: new Date(at(0).enqueuedTimeUtc.getTime() - 1_000) }),
    bodies,
  ],
  ['a time after all', () => ({ enqueuedOn: new Date(Date.now() + 60_000) }), []],
  ['the end', () => ({ offset: '@latest' }), []],
])('reads from %s', async (_name, position, expected) => {
  const events = await readFrom(position(), Math.max(1, expected.length));
  expect(events.map(({ body }) => body as string)).toEqual(expected);
});

test('a position beyond the end is refused in the words of the service', async () => {
  await expect(readFrom({ sequenceNumber: 999, isInclusive: true }, 1)).rejects.toThrow(
    /The supplied sequence number '999' is invalid. The last sequence number in the system is '5'/,
  );
});

test('an unknown hub and a wrong partition are refused', async () => {
  const strict = await startEventHubsEmulator({ port: 0, controlPort: 0 });
  const options = { retryOptions: { maxRetries: 0 } };
  const nobody = new EventHubProducerClient(strict.connectionString, 'nobody', options);
  await expect(nobody.getEventHubProperties()).rejects.toMatchObject({
    code: 'MessagingEntityNotFoundError',
  });
  await expect(producer.getPartitionProperties('77')).rejects.toThrow(/partition/i);
  await nobody.close();
  await strict.close();
});

test('a higher owner level takes the partition over; without one nobody gets in beside it', async () => {
  const ends: string[] = [];
  const clients: EventHubConsumerClient[] = [];
  const subscribe = (ownerLevel: number | undefined, name: string): Subscription => {
    // A client reads a partition once: each reader is a client of its own.
    const client = new EventHubConsumerClient('$Default', emulator.connectionString, hub);
    clients.push(client);
    return client.subscribe(
      partitionId,
      {
        processEvents: async () => undefined,
        processError: async (error) => {
          ends.push(`${name}: ${(error as { code?: string }).code ?? error.message}`);
        },
      },
      {
        startPosition: { offset: '-1' },
        maxWaitTimeInSeconds: 1,
        ...(ownerLevel !== undefined && { ownerLevel }),
      },
    );
  };
  const until = async (wanted: string): Promise<void> => {
    while (!ends.includes(wanted)) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  const first = subscribe(1, 'first');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const second = subscribe(2, 'second');
  await until('first: ReceiverDisconnectedError');
  const third = subscribe(undefined, 'third');
  await until('third: ReceiverDisconnectedError');
  await Promise.all([first.close(), second.close(), third.close()]);
  await Promise.all(clients.map((client) => client.close()));
  expect(ends.filter((end) => end.startsWith('second'))).toEqual([]);
});
