import { EventHubProducerClient, type EventData } from '@azure/event-hubs';
import { DefaultAzureCredential } from '@azure/identity';
import { hubName } from './names';

export interface SentEvent {
  readonly json?: unknown;
  readonly text?: string;
  readonly base64?: string;
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
}

export interface SendRequest {
  readonly partition?: number;
  readonly partitionKey?: string;
  readonly events: readonly SentEvent[];
}

let producer: EventHubProducerClient | null = null;

/** Sends the events as one batch, to one partition or by one key. */
export async function sendEvents(request: SendRequest): Promise<{ readonly sent: number }> {
  producer ??= connect();
  const { events, partition, partitionKey } = request;
  const batch = await producer.createBatch({
    ...(partition !== undefined && { partitionId: String(partition) }),
    ...(partitionKey !== undefined && { partitionKey }),
  });
  for (const event of events) {
    if (!batch.tryAdd(dataOf(event))) throw new Error('the events are more than one batch holds');
  }
  await producer.sendBatch(batch);
  return { sent: batch.count };
}

function dataOf({ base64, json, properties, text }: SentEvent): EventData {
  const body = base64 === undefined ? Buffer.from(text ?? JSON.stringify(json)) : bytes(base64);
  return { body, ...(properties && { properties: { ...properties } }) };
}

const bytes = (base64: string): Buffer => Buffer.from(base64, 'base64');

function connect(): EventHubProducerClient {
  const { EventHubConnection: connection, EventHubConnection__fullyQualifiedNamespace: namespace } =
    process.env;
  if (connection) return new EventHubProducerClient(connection, hubName);
  if (namespace)
    return new EventHubProducerClient(namespace, hubName, new DefaultAzureCredential());
  throw new Error(
    'Event Hubs is not known: set EventHubConnection or EventHubConnection__fullyQualifiedNamespace',
  );
}
