import { randomUUID } from 'node:crypto';
import { ContainerClient } from '@azure/storage-blob';
import type { LoadedApp, RegisteredFunction } from './app-loader';
import { connectionOf, settingsOf } from './bindings';
import { HostCheckpointStore } from './checkpoint-store';
import { eventHubRequest, type HubInput } from './event-hub-request';
import type { EventHubsSettings, HostSettings } from './host-settings';
import { EventProcessor, type PartitionPlace } from './hub-reading/event-processor';
import type { HubEvent, StartPosition } from './hub-reading/hub-event';
import { hubPlace, type HubPlace } from './hub-reading/hub-place';
import { invoke, triggerOf, type HostWorld } from './invoke';
import { OwnedPartition } from './owned-partition';
import { withRetry } from './retry';

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

/** The Event Hubs trigger: claims partitions and hands their events to the function. */
export class EventHubTrigger {
  readonly #options: TriggerOptions;
  readonly #connectionString: string;
  readonly #consumerGroup: string;
  readonly #identifier = randomUUID();
  readonly #place: HubPlace;
  readonly #container: ContainerClient;
  readonly #checkpoints: HostCheckpointStore;
  readonly #input: HubInput;
  readonly #partitions = new Map<string, OwnedPartition>();
  #processor: EventProcessor | null = null;
  #isDraining = false;

  constructor(options: TriggerOptions) {
    this.#options = options;
    const { host, settings, target } = options;
    const trigger = triggerOf(target);
    if (trigger === null) throw new Error(`${target.name} has no trigger`);
    const { setting } = settingsOf(target, trigger.options, settings);
    const { dataType } = trigger.options;
    this.#consumerGroup = setting('consumerGroup') || '$Default';
    this.#container = new ContainerClient(
      connectionOf(target, { connection: 'AzureWebJobsStorage' }, settings),
      checkpointContainer,
    );
    this.#checkpoints = new HostCheckpointStore(this.#container, this.#identifier);
    this.#connectionString = connectionOf(target, trigger.options, settings);
    this.#place = placeOf(target, this.#connectionString, setting('eventHubName'));
    this.#input = {
      name: trigger.name,
      isMany: trigger.options['cardinality'] === 'many',
      dataType: typeof dataType === 'string' ? dataType.toLowerCase() : '',
      isRetried: target.retryOptions !== undefined,
      sequenceNumberForm: host.eventHubs.sequenceNumberForm,
      source: {
        FullyQualifiedNamespace: this.#place.fullyQualifiedNamespace,
        EventHubName: this.#place.eventHubName,
        ConsumerGroup: this.#consumerGroup,
      },
    };
  }

  /** Begins to claim partitions, also again after a drain. */
  async start(): Promise<void> {
    if (this.#processor !== null) return;
    this.#isDraining = false;
    await this.#container.createIfNotExists();
    const { host, leases, target, world } = this.#options;
    const { clientRetryOptions: retry, maxEventBatchSize, prefetchCount } = host.eventHubs;
    this.#processor = new EventProcessor(
      {
        connectionString: this.#connectionString,
        eventHubName: this.#place.eventHubName,
        consumerGroup: this.#consumerGroup,
        checkpointStore: this.#checkpoints,
        identifier: this.#identifier,
        maxBatchSize: maxEventBatchSize,
        prefetchCount,
        startPosition: startPosition(host.eventHubs.initialOffset),
        ...leases,
        retry: {
          isFixed: retry.mode === 1,
          maxRetries: retry.maxRetries,
          delayMs: retry.retryDelayInMs,
          maxDelayMs: retry.maxRetryDelayInMs,
        },
        timeoutMs: retry.timeoutInMs,
      },
      {
        processInitialize: async ({ partitionId }) => this.#claimed(partitionId),
        processEvents: (events, place) =>
          this.#partitions.get(place.partitionId)?.take(events, place) ?? Promise.resolve(),
        processClose: (_reason, { partitionId }) => {
          void this.#partitions.get(partitionId)?.abandon();
        },
        processError: (error, { partitionId }) =>
          world.log(
            'warning',
            `Function.${target.name}`,
            partitionId === '' ? error.message : `partition ${partitionId}: ${error.message}`,
          ),
      },
    );
    this.#processor.start();
  }

  #claimed(partitionId: string): void {
    const before = this.#partitions.get(partitionId);
    void before?.abandon();
    const { host, target, world } = this.#options;
    const partition = new OwnedPartition({
      ...host.eventHubs,
      isMany: this.#input.isMany,
      checkpointedAtMs: this.#checkpoints.madeAtMs(partitionId),
      after: before?.settled ?? Promise.resolve(),
      run: (batch, context, invocation) => this.#run(batch, context, invocation),
      onError: (error) =>
        world.log(
          'error',
          `Function.${target.name}`,
          `partition ${partitionId}: the checkpoint was not written: ${String(error)}`,
        ),
    });
    this.#partitions.set(partitionId, partition);
    // Claimed while the others finish: it is given back with them, and begins nothing.
    if (this.#isDraining) void partition.drain();
  }

  async #run(
    batch: readonly HubEvent[],
    context: PartitionPlace,
    invocation: { readonly signal: AbortSignal; readonly isCheckpointing: boolean },
  ): Promise<void> {
    const { app, target, world } = this.#options;
    const details = triggerDetails(batch, context.partitionId);
    try {
      await withRetry(
        target,
        (retryContext) =>
          invoke(
            app,
            target,
            () => ({
              ...eventHubRequest(batch, this.#input, {
                partitionId: context.partitionId,
                isCheckpointing: invocation.isCheckpointing,
              }),
              ...(retryContext && { retryContext }),
            }),
            world,
            '(null)',
            { details },
          ),
        invocation.signal,
      );
    } catch (error) {
      // Logged by the invocation. The checkpoint moves all the same: that is the trigger's rule.
      if (!(error instanceof Error)) throw error;
    }
  }

  /** Scale-in and drain mode: batches in flight end with their checkpoint; partitions are given back. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await Promise.all(Array.from(this.#partitions.values(), (partition) => partition.drain()));
    await this.#endReading();
  }

  /** Ctrl-C: batches in flight end, but are not checkpointed: they are delivered again. */
  async stop(): Promise<void> {
    await Promise.all(Array.from(this.#partitions.values(), (partition) => partition.abandon()));
    await this.#endReading();
  }

  async #endReading(): Promise<void> {
    const processor = this.#processor;
    this.#processor = null;
    await processor?.close();
    this.#partitions.clear();
  }
}

/** What the host logs of a batch, misspelt name included. */
function triggerDetails(batch: readonly HubEvent[], partitionId: string): string {
  const [first, last] = [batch[0], batch.at(-1)];
  if (first === undefined || last === undefined) return '';
  const offsets = `${first.offset}-${last.offset}`;
  const times = `${first.enqueuedTimeUtc.toISOString()}-${last.enqueuedTimeUtc.toISOString()}`;
  const sequenceNumbers = `${first.sequenceNumber}-${last.sequenceNumber}`;
  return `PartitionId: ${partitionId}, OffsetString: ${offsets}, EnqueueTimeUtc: ${times}, SequenceNumber: ${sequenceNumbers}, Count: ${batch.length}, Offset: ${offsets}, PartionId: ${partitionId}`;
}

function placeOf(target: RegisteredFunction, connectionString: string, hub: string): HubPlace {
  try {
    return hubPlace(connectionString, hub);
  } catch (error) {
    throw new Error(`${target.name}: ${(error as Error).message}`, { cause: error });
  }
}

function startPosition(offset: EventHubsSettings['initialOffset']): StartPosition {
  if (offset === 'fromStart') return 'start';
  return offset === 'fromEnd' ? 'end' : { enqueuedAfter: new Date(offset.enqueuedTimeUtc) };
}
