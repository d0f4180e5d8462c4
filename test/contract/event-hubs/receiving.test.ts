// Goal: the SDK reads from every kind of position, sees the runtime metric, and keeps to owner levels.
// The hub may hold events of others already, as that of a real namespace does.
import type {
  EventHubConsumerClient,
  EventPosition,
  ReceivedEventData,
  Subscription,
} from '@azure/event-hubs';
import { openTestNamespace, type TestNamespace } from '../../support/event-hubs-namespace';

jest.setTimeout(60_000);

const partitionId = '1';
const run = `run-${process.pid}-${Date.now()}`;
const bodies = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => `${run}-${letter}`);

let namespace: TestNamespace;
let consumer: EventHubConsumerClient;
let stored: readonly ReceivedEventData[] = [];
/** The partition's next sequence number before anything was sent. */
let firstSequenceNumber = 0;

/** Reads from a position until it has seen so many events of this run, or for one wait. */
async function readFrom(position: EventPosition, count: number): Promise<ReceivedEventData[]> {
  const events: ReceivedEventData[] = [];
  let subscription: Subscription | undefined;
  await new Promise<void>((resolve, reject) => {
    subscription = consumer.subscribe(
      partitionId,
      {
        processEvents: async (batch) => {
          events.push(...batch.filter(({ body }) => String(body).startsWith(run)));
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
  namespace = await openTestNamespace();
  const producer = namespace.producer();
  consumer = namespace.consumer();
  const before = await producer.getPartitionProperties(partitionId);
  firstSequenceNumber = before.isEmpty ? 0 : before.lastEnqueuedSequenceNumber + 1;
  for (const body of bodies) await producer.sendBatch([{ body }], { partitionId });
  stored = await readFrom(
    { sequenceNumber: firstSequenceNumber, isInclusive: true },
    bodies.length,
  );
});

afterAll(() => namespace.close());

const at = (index: number): ReceivedEventData => {
  const event = stored[index];
  if (event === undefined) throw new Error(`no event ${index}`);
  return event;
};

test('sequence numbers count one by one, offsets and times never go back', () => {
  expect(stored.map(({ body }) => body as string)).toEqual(bodies);
  expect(stored.map(({ sequenceNumber }) => sequenceNumber)).toEqual(
    [0, 1, 2, 3, 4, 5].map((index) => firstSequenceNumber + index),
  );
  const offsets = stored.map(({ offset }) => Number(offset));
  expect(offsets).toEqual([...offsets].sort((left, right) => left - right));
});

test.each<[string, () => EventPosition, string[]]>([
  ['the start', () => ({ offset: '-1' }), bodies],
  [
    'a sequence number',
    () => ({ sequenceNumber: firstSequenceNumber + 2, isInclusive: true }),
    bodies.slice(2),
  ],
  ['after a sequence number', () => ({ sequenceNumber: firstSequenceNumber + 2 }), bodies.slice(3)],
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
  const sequenceNumber = firstSequenceNumber + 999;
  await expect(readFrom({ sequenceNumber, isInclusive: true }, 1)).rejects.toThrow(
    `The supplied sequence number '${sequenceNumber}' is invalid. The last sequence number in the system is '${firstSequenceNumber + 5}'`,
  );
});

test('an unknown hub and a wrong partition are refused', async () => {
  const strict = await openTestNamespace({ createOnTheFly: false });
  const nobody = strict.producer('nobody');
  await expect(nobody.getEventHubProperties()).rejects.toMatchObject({
    code: 'MessagingEntityNotFoundError',
  });
  await strict.close();
  await expect(namespace.producer().getPartitionProperties('77')).rejects.toThrow(/partition/i);
});

test('a higher owner level takes the partition over; without one nobody gets in beside it', async () => {
  const ends: string[] = [];
  const subscribe = (ownerLevel: number | undefined, name: string): Subscription => {
    // A client reads a partition once: each reader is a client of its own.
    return namespace.consumer().subscribe(
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
  expect(ends.filter((end) => end.startsWith('second'))).toEqual([]);
});
