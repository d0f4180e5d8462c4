import {
  earliestEventPosition,
  EventHubConsumerClient,
  latestEventPosition,
  type EventPosition,
  type PartitionContext,
  type ReceivedEventData,
  type Subscription,
} from '@azure/event-hubs';
import { BlobCheckpointStore } from '@azure/eventhubs-checkpointstore-blob';
import { ContainerClient } from '@azure/storage-blob';
import type { LoadedApp, RegisteredFunction } from './app-loader';
import {
  invoke,
  triggerOf,
  type HostWorld,
  type InvocationRequest,
  type TypedData,
} from './invoke';
import { withRetry } from './retry';
import { resolveSettings, type HostSettings } from './settings';

/** Where the Event Hubs extension keeps ownership and checkpoints. */
const checkpointContainer = 'azure-webjobs-eventhub';

export interface LeaseTimes {
  readonly partitionOwnershipExpirationIntervalMs: number;
  readonly loadBalancingUpdateIntervalMs: number;
}

export interface TriggerOptions {
  readonly app: LoadedApp;
  readonly target: RegisteredFunction;
  readonly settings: Readonly<Record<string, string>>;
  readonly host: HostSettings;
  readonly leases: LeaseTimes;
  readonly world: HostWorld;
}

/**
 * The Event Hubs trigger. One batch in flight per partition; after an invocation with all its
 * retries, success or not, the batch's last event is checkpointed; not when the host is stopping
 * or the partition is lost.
 */
export class EventHubTrigger {
  readonly #options: TriggerOptions;
  readonly #client: EventHubConsumerClient;
  readonly #input: { readonly name: string; readonly isMany: boolean; readonly dataType: string };
  readonly #consumerGroup: string;
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #batchCounts = new Map<string, number>();
  readonly #lost = new Set<string>();
  readonly #caches = new Map<string, ReceivedEventData[]>();
  #subscription: Subscription | null = null;
  #isStopping = false;

  constructor(options: TriggerOptions) {
    this.#options = options;
    const { settings, target } = options;
    const trigger = triggerOf(target);
    if (trigger === null) throw new Error(`${target.name} has no trigger`);
    const setting = (name: string): string => {
      const value = trigger.options[name];
      return resolveSettings(typeof value === 'string' ? value : '', settings);
    };
    const connection = settings[setting('connection')];
    if (connection === undefined) {
      throw new Error(
        `${target.name}: the setting ${setting('connection')} (its connection) is missing`,
      );
    }
    const storage = settings['AzureWebJobsStorage'];
    if (storage === undefined) throw new Error('the setting AzureWebJobsStorage is missing');
    this.#consumerGroup = setting('consumerGroup') || '$Default';
    this.#input = {
      name: trigger.name,
      isMany: trigger.options['cardinality'] === 'many',
      dataType: typeof trigger.options['dataType'] === 'string' ? trigger.options['dataType'] : '',
    };
    const container = new ContainerClient(storage, checkpointContainer);
    const { leases } = options;
    this.#client = new EventHubConsumerClient(
      this.#consumerGroup,
      connection,
      setting('eventHubName'),
      new BlobCheckpointStore(container),
      {
        loadBalancingOptions: {
          strategy: 'greedy',
          updateIntervalInMs: leases.loadBalancingUpdateIntervalMs,
          partitionOwnershipExpirationIntervalInMs: leases.partitionOwnershipExpirationIntervalMs,
        },
        retryOptions: { maxRetries: 5, retryDelayInMs: 200, maxRetryDelayInMs: 2_000 },
      },
    );
    this.#ready = container.createIfNotExists();
  }

  readonly #ready: Promise<unknown>;

  async start(): Promise<void> {
    await this.#ready;
    const { host, target, world } = this.#options;
    const { maxEventBatchSize, prefetchCount } = host.eventHubs;
    this.#subscription = this.#client.subscribe(
      {
        processEvents: (events, context) => this.#take(events, context),
        processInitialize: async (context) => {
          this.#lost.delete(context.partitionId);
        },
        processClose: async (_reason, context) => {
          this.#lost.add(context.partitionId);
          this.#caches.delete(context.partitionId);
        },
        processError: async (error, context) => {
          world.log(
            'warning',
            `Function.${target.name}`,
            `partition ${context.partitionId}: ${error.message}`,
          );
        },
      },
      {
        maxBatchSize: this.#input.isMany ? maxEventBatchSize : 1,
        prefetchCount,
        maxWaitTimeInSeconds: 60,
        skipParsingBodyAsJson: true,
        startPosition: startPosition(host.eventHubs.initialOffset),
      },
    );
  }

  /** One at a time per partition: the SDK waits for the promise. Never rejects: that would end the pump. */
  async #take(events: ReceivedEventData[], context: PartitionContext): Promise<void> {
    const batch = this.#batched(events, context.partitionId);
    if (batch.length === 0 || this.#isStopping) return;
    const work = this.#run(batch, context);
    this.#inFlight.add(work);
    try {
      await work;
    } catch (error) {
      this.#options.world.log('error', `Function.${this.#options.target.name}`, String(error));
    } finally {
      this.#inFlight.delete(work);
    }
  }

  /** With a minimum batch size events wait, until there are enough or nothing came for a while. */
  #batched(events: ReceivedEventData[], partitionId: string): ReceivedEventData[] {
    const { minEventBatchSize } = this.#options.host.eventHubs;
    if (minEventBatchSize <= 1) return events;
    const cache = [...(this.#caches.get(partitionId) ?? []), ...events];
    const isEnough = cache.length >= minEventBatchSize || events.length === 0;
    this.#caches.set(partitionId, isEnough ? [] : cache);
    return isEnough ? cache : [];
  }

  async #run(batch: readonly ReceivedEventData[], context: PartitionContext): Promise<void> {
    const { app, target, world } = this.#options;
    const isLost = (): boolean => this.#isStopping || this.#lost.has(context.partitionId);
    const request = this.#request(batch, context);
    const [first, last] = [batch[0], batch.at(-1)];
    if (first === undefined || last === undefined) return;
    try {
      await withRetry(
        target,
        (retryContext) =>
          invoke(
            app,
            target,
            { ...request, ...(retryContext && { retryContext }) },
            world,
            `(null)', PartitionId='${context.partitionId}', SequenceNumber='${first.sequenceNumber}-${last.sequenceNumber}', Count='${batch.length}`,
          ),
        isLost,
      );
    } catch (error) {
      // Logged by the invocation. The checkpoint moves all the same: that is the trigger's rule.
      if (!(error instanceof Error)) throw error;
    }
    if (isLost()) return;
    const count = (this.#batchCounts.get(context.partitionId) ?? 0) + 1;
    this.#batchCounts.set(context.partitionId, count);
    if (count % this.#options.host.eventHubs.batchCheckpointFrequency === 0) {
      await context.updateCheckpoint(last);
    }
  }

  #request(batch: readonly ReceivedEventData[], context: PartitionContext): InvocationRequest {
    const data = batch.map(({ body }) => bytesOf(body));
    const metadata = {
      ...metadataOf(batch),
      PartitionContext: partitionContext(this.#client, this.#consumerGroup, context),
    };
    const triggerMetadata: Record<string, TypedData> = {};
    for (const [name, value] of Object.entries(metadata)) {
      triggerMetadata[name] = { json: JSON.stringify(value) };
    }
    return {
      inputData: [{ name: this.#input.name, data: this.#typed(data) }],
      triggerMetadata,
    };
  }

  #typed(bodies: readonly Buffer[]): TypedData {
    const { dataType, isMany } = this.#input;
    if (!isMany) {
      const [body = Buffer.alloc(0)] = bodies;
      return dataType === 'binary' ? { bytes: body } : { string: body.toString('utf8') };
    }
    if (dataType === 'binary') return { collectionBytes: { bytes: bodies } };
    const texts = bodies.map((body) => body.toString('utf8'));
    if (dataType === 'string') return { collectionString: { string: texts } };
    // Without a data type the host binds to objects: one body that is not JSON fails the batch.
    for (const text of texts) JSON.parse(text);
    return { json: `[${texts.join(',')}]` };
  }

  /** Lets the batches in flight end, without a checkpoint, and gives the partitions back. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.allSettled(this.#inFlight);
    await this.#subscription?.close();
    await this.#client.close();
  }
}

/** Metadata of a batch (cardinality many), the names as the host gives them. */
function metadataOf(batch: readonly ReceivedEventData[]): Record<string, unknown> {
  return {
    SequenceNumberArray: batch.map(({ sequenceNumber }) => sequenceNumber),
    OffsetArray: batch.map(({ offset }) => String(offset)),
    // .NET gives a time without a zone.
    EnqueuedTimeUtcArray: batch.map(({ enqueuedTimeUtc }) =>
      enqueuedTimeUtc.toISOString().slice(0, -1),
    ),
    // The worker drops what is null or empty.
    PartitionKeyArray: batch.flatMap(({ partitionKey }) => (partitionKey ? [partitionKey] : [])),
    PropertiesArray: batch.map(({ properties }) => properties ?? {}),
    SystemPropertiesArray: batch.map((event) => ({
      ...event.systemProperties,
      SequenceNumber: event.sequenceNumber,
      Offset: String(event.offset),
      PartitionKey: event.partitionKey,
      EnqueuedTimeUtc: event.enqueuedTimeUtc.toISOString(),
    })),
  };
}

function partitionContext(
  client: EventHubConsumerClient,
  consumerGroup: string,
  context: PartitionContext,
): Record<string, unknown> {
  return {
    FullyQualifiedNamespace: client.fullyQualifiedNamespace,
    EventHubName: client.eventHubName,
    ConsumerGroup: consumerGroup,
    PartitionId: context.partitionId,
    IsCheckpointingAfterInvocation: true,
  };
}

function startPosition(offset: HostSettings['eventHubs']['initialOffset']): EventPosition {
  if (offset === 'fromStart') return earliestEventPosition;
  return offset === 'fromEnd' ? latestEventPosition : { enqueuedOn: offset.enqueuedTimeUtc };
}

function bytesOf(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return Buffer.from(typeof body === 'string' ? body : (JSON.stringify(body) ?? ''));
}
