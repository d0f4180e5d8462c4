// Goal: what the service refuses reaches the SDK's caller as the same error, to be tried again or not.
import {
  EventHubConsumerClient,
  EventHubProducerClient,
  type EventPosition,
} from '@azure/event-hubs';
import {
  describeEmulator,
  openTestNamespace,
  type TestNamespace,
} from '../../support/event-hubs-namespace';

jest.setTimeout(60_000);

let namespace: TestNamespace;
let producer: EventHubProducerClient;

beforeAll(async () => {
  namespace = await openTestNamespace();
  producer = namespace.producer();
  await producer.sendBatch([{ body: 'first' }], { partitionId: '0' });
});

afterAll(async () => {
  await namespace.close();
});

interface Seen {
  readonly code: string | undefined;
  readonly isRetryable: boolean | undefined;
  readonly message: string;
}

const seen = (error: unknown): Seen => {
  const { code, message, retryable } = error as Error & { code?: string; retryable?: boolean };
  return { code, message, isRetryable: retryable };
};

async function failureOf(work: Promise<unknown>): Promise<Seen> {
  try {
    await work;
  } catch (error) {
    return seen(error);
  }
  throw new Error('nothing was refused');
}

/** The first error of a subscription. */
async function failureOfReading(
  consumer: EventHubConsumerClient,
  options: { readonly partition?: string; readonly startPosition: EventPosition },
): Promise<Seen> {
  const { partition = '0', startPosition } = options;
  const error = await new Promise<Error>((resolve) => {
    consumer.subscribe(
      partition,
      { processEvents: async () => undefined, processError: async (reason) => resolve(reason) },
      { startPosition },
    );
  });
  await consumer.close();
  return seen(error);
}

const first = { offset: '-1' };

/** Condition, the SDK's code for it, whether it tries again. */
const table: readonly [string, string, boolean][] = [
  ['com.microsoft:server-busy', 'ServerBusyError', true],
  ['com.microsoft:timeout', 'ServiceUnavailableError', true],
  ['amqp:internal-error', 'InternalServerError', true],
  ['com.microsoft:operation-cancelled', 'OperationCancelledError', true],
  ['amqp:unauthorized-access', 'UnauthorizedError', true],
  ['amqp:link:detach-forced', 'DetachForcedError', true],
  ['amqp:connection:forced', 'ConnectionForcedError', true],
  ['amqp:link:transfer-limit-exceeded', 'TransferLimitExceededError', true],
  ['amqp:not-found', 'ServiceCommunicationError', false],
  ['com.microsoft:argument-out-of-range', 'ArgumentOutOfRangeError', false],
  ['com.microsoft:argument-error', 'ArgumentError', false],
  ['amqp:link:message-size-exceeded', 'MessageTooLargeError', false],
  ['amqp:resource-limit-exceeded', 'QuotaExceededError', false],
  ['amqp:link:stolen', 'ReceiverDisconnectedError', false],
  ['com.microsoft:entity-disabled', 'MessagingEntityDisabledError', false],
  ['amqp:not-allowed', 'InvalidOperationError', false],
  ['amqp:not-implemented', 'NotImplementedError', false],
  ['amqp:decode-error', 'DecodeError', false],
];

describeEmulator('the error table', () => {
  test.each(table)('%s refuses a batch: %s, retryable %s', async (condition, code, isRetryable) => {
    await namespace.fault({ kind: 'refuse', condition, description: 'by the table' });
    const failure = await failureOf(producer.sendBatch([{ body: 1 }], { partitionId: '0' }));
    expect(failure).toEqual({ code, isRetryable, message: 'by the table' });
  });

  test.each(table)('%s ends a receiver: %s, retryable %s', async (condition, code, isRetryable) => {
    await namespace.fault({
      ...{ kind: 'refuse', direction: 'receive', condition, description: 'by the table' },
      partition: '0',
    });
    const failure = await failureOfReading(namespace.consumer(), { startPosition: first });
    expect(failure).toEqual({ code, isRetryable, message: 'by the table' });
  });

  test('a batch that was refused is not there', async () => {
    const before = await producer.getPartitionProperties('1');
    await namespace.fault({ kind: 'refuse', condition: 'amqp:internal-error' });
    await failureOf(producer.sendBatch([{ body: 1 }], { partitionId: '1' }));
    await producer.sendBatch([{ body: 2 }], { partitionId: '1' });
    const after = await producer.getPartitionProperties('1');
    expect(after.lastEnqueuedSequenceNumber).toBe(before.lastEnqueuedSequenceNumber + 1);
  });
});

describe('what clients ask for wrongly', () => {
  test.each<[string, EventPosition, RegExp]>([
    [
      'a sequence number beyond the end',
      { sequenceNumber: 999_999_999, isInclusive: true },
      /The supplied sequence number '999999999' is invalid. The last sequence number in the system is '\d+'/,
    ],
    [
      'an offset beyond the end',
      { offset: '99999999999', isInclusive: true },
      /The supplied offset '99999999999' is invalid. The last offset in the system is '\d+'/,
    ],
  ])('%s is an ArgumentError', async (_name, startPosition, words) => {
    const failure = await failureOfReading(namespace.consumer(), { startPosition });
    expect(failure).toMatchObject({ code: 'ArgumentError', isRetryable: false });
    expect(failure.message).toMatch(words);
  });

  test('an offset that is none is told apart from one that is gone', async () => {
    const failure = await failureOfReading(namespace.consumer(), {
      startPosition: { offset: 'no-offset' },
    });
    expect(failure.message).toMatch(/offset/);
    // The JavaScript SDK does not know the condition: it goes on trying.
    expect(failure).toMatchObject({ code: undefined, isRetryable: true });
  });

  test('a partition that is not there is out of range, to read, to send and to ask', async () => {
    const partition = '77';
    const failures = [
      await failureOfReading(namespace.consumer(), { partition, startPosition: first }),
      await failureOf(producer.sendBatch([{ body: 1 }], { partitionId: partition })),
      await failureOf(producer.getPartitionProperties(partition)),
    ];
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: 'ArgumentOutOfRangeError', isRetryable: false });
      expect(failure.message).toMatch(/between 0 and 3. Found: 77/);
    }
  });
});

describeEmulator('entities that are not there', () => {
  let strict: TestNamespace;

  beforeAll(async () => {
    const entities = [
      { Name: 'contract', PartitionCount: '4', ConsumerGroups: [{ Name: 'Known' }] },
    ];
    strict = await openTestNamespace({
      createOnTheFly: false,
      config: { UserConfig: { NamespaceConfig: [{ Entities: entities }] } },
    });
  });

  afterAll(async () => {
    await strict.close();
  });

  test('a consumer group: MessagingEntityNotFoundError', async () => {
    const failure = await failureOfReading(strict.consumer('nobody'), { startPosition: first });
    expect(failure).toMatchObject({ code: 'MessagingEntityNotFoundError', isRetryable: false });
  });

  test('a hub: MessagingEntityNotFoundError, to send and to ask', async () => {
    const nobody = new EventHubProducerClient(strict.connectionString, 'nobody', {
      retryOptions: { maxRetries: 0 },
    });
    const failures = [
      await failureOf(nobody.sendBatch([{ body: 1 }])),
      await failureOf(nobody.getEventHubProperties()),
    ];
    await nobody.close();
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: 'MessagingEntityNotFoundError', isRetryable: false });
    }
  });

  test('names are found in any case, and hubs have as many partitions as the string says', async () => {
    const facts = await strict.producer().getEventHubProperties();
    expect(facts.partitionIds).toHaveLength(4);
    const shouting = new EventHubConsumerClient('KNOWN', strict.connectionString, 'CONTRACT');
    await strict.producer().sendBatch([{ body: 'heard' }], { partitionId: '2' });
    const body = await new Promise((resolve, reject) => {
      shouting.subscribe(
        '2',
        {
          processEvents: async ([event]) => event && resolve(event.body),
          processError: async (error) => reject(error),
        },
        { startPosition: first },
      );
    });
    await shouting.close();
    expect(body).toBe('heard');
  });
});
