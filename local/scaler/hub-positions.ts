import { EventHubConsumerClient } from '@azure/event-hubs';
import { BlobCheckpointStore } from '@azure/eventhubs-checkpointstore-blob';
import { ContainerClient } from '@azure/storage-blob';
import type { PartitionPosition } from './target';

/** Where the Event Hubs extension keeps ownership and checkpoints. */
const checkpointContainer = 'azure-webjobs-eventhub';

/** What a function reads: as the Functions host names it. */
export interface ScaledTrigger {
  readonly functionName: string;
  /** Name of the setting that holds the connection string. */
  readonly connection: string;
  readonly eventHubName: string;
  readonly consumerGroup: string;
}

/** Reads what target-based scaling is counted from: the ends of hubs, and checkpoints. */
export class HubPositions {
  readonly #settings: Readonly<Record<string, string>>;
  readonly #clients = new Map<string, EventHubConsumerClient>();
  #checkpoints: BlobCheckpointStore | null = null;

  constructor(settings: Readonly<Record<string, string>>) {
    this.#settings = settings;
  }

  async read(trigger: ScaledTrigger): Promise<PartitionPosition[]> {
    const client = this.#client(trigger);
    const store = await this.#checkpointStore();
    const [partitionIds, checkpoints] = await Promise.all([
      client.getPartitionIds(),
      store.listCheckpoints(
        client.fullyQualifiedNamespace,
        client.eventHubName,
        trigger.consumerGroup,
      ),
    ]);
    const checkpointed = new Map(
      checkpoints.map(({ partitionId, sequenceNumber }) => [partitionId, sequenceNumber]),
    );
    return Promise.all(
      partitionIds.map(async (partitionId) => {
        const properties = await client.getPartitionProperties(partitionId);
        return {
          isEmpty: properties.isEmpty,
          beginningSequenceNumber: properties.beginningSequenceNumber,
          lastSequenceNumber: properties.lastEnqueuedSequenceNumber,
          checkpointSequenceNumber: checkpointed.get(partitionId) ?? null,
        };
      }),
    );
  }

  async close(): Promise<void> {
    const clients = Array.from(this.#clients.values());
    this.#clients.clear();
    await Promise.all(clients.map((client) => client.close()));
  }

  #client({ connection, consumerGroup, eventHubName }: ScaledTrigger): EventHubConsumerClient {
    const name = `${connection}/${eventHubName}/${consumerGroup}`;
    let client = this.#clients.get(name);
    if (client === undefined) {
      client = new EventHubConsumerClient(consumerGroup, this.#setting(connection), eventHubName, {
        retryOptions: { maxRetries: 2, retryDelayInMs: 200, maxRetryDelayInMs: 1_000 },
      });
      this.#clients.set(name, client);
    }
    return client;
  }

  async #checkpointStore(): Promise<BlobCheckpointStore> {
    if (this.#checkpoints === null) {
      const container = new ContainerClient(
        this.#setting('AzureWebJobsStorage'),
        checkpointContainer,
      );
      // The first trigger creates it; the scaler may be there before.
      await container.createIfNotExists();
      this.#checkpoints = new BlobCheckpointStore(container);
    }
    return this.#checkpoints;
  }

  #setting(name: string): string {
    const value = this.#settings[name];
    if (value !== undefined && value !== '') return value;
    throw new Error(`the scaler cannot read positions: the app setting ${name} is missing`);
  }
}
