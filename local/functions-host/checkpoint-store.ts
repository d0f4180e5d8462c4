import type { Checkpoint, OperationOptions } from '@azure/event-hubs';
import { BlobCheckpointStore } from '@azure/eventhubs-checkpointstore-blob';
import type { ContainerClient } from '@azure/storage-blob';

/**
 * Ownership and checkpoints where the Event Hubs extension keeps them: empty blobs
 * `{namespace}/{hub}/{group}/ownership|checkpoint/{partition}`, all lower-case, with metadata. Beyond
 * the SDK's store it writes the client identifier, remembers when a checkpoint was made, and reads
 * checkpoints of old extensions (`{namespace}/{hub}/{group}/{partition}`, a JSON text) where there is
 * no new one.
 */
export class HostCheckpointStore extends BlobCheckpointStore {
  readonly #container: ContainerClient;
  readonly #clientIdentifier: string;
  readonly #madeAtMs = new Map<string, number>();
  #legacy: Promise<Checkpoint[]> | null = null;

  constructor(container: ContainerClient, clientIdentifier: string) {
    super(container);
    this.#container = container;
    this.#clientIdentifier = clientIdentifier;
  }

  /** When the partition's checkpoint was made, as the store says; null: there is none. */
  madeAtMs(partitionId: string): number | null {
    return this.#madeAtMs.get(partitionId) ?? null;
  }

  override async listCheckpoints(
    namespace: string,
    hub: string,
    consumerGroup: string,
    _options?: OperationOptions,
  ): Promise<Checkpoint[]> {
    const place = { fullyQualifiedNamespace: namespace, eventHubName: hub, consumerGroup };
    const prefix = `${folderOf(place).toLowerCase()}/checkpoint/`;
    const checkpoints: Checkpoint[] = [];
    for await (const blob of this.#container.listBlobsFlat({ prefix, includeMetadata: true })) {
      const partitionId = blob.name.slice(prefix.length);
      const { offset = '', sequencenumber = '' } = blob.metadata ?? {};
      this.#madeAtMs.set(partitionId, blob.properties.lastModified.getTime());
      checkpoints.push({ ...place, partitionId, offset, sequenceNumber: Number(sequencenumber) });
    }
    this.#legacy ??= this.#listLegacy(place);
    const isNew = new Set(checkpoints.map(({ partitionId }) => partitionId));
    const legacy = (await this.#legacy).filter(({ partitionId }) => !isNew.has(partitionId));
    return [...checkpoints, ...legacy];
  }

  override async updateCheckpoint(
    checkpoint: Checkpoint,
    _options?: OperationOptions,
  ): Promise<void> {
    const path = `${folderOf(checkpoint)}/checkpoint/${checkpoint.partitionId}`.toLowerCase();
    const metadata = {
      offset: String(checkpoint.offset),
      sequencenumber: String(checkpoint.sequenceNumber),
      clientidentifier: this.#clientIdentifier,
    };
    const blob = this.#container.getBlockBlobClient(path);
    try {
      await blob.setMetadata(metadata);
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode !== 404) throw error;
      await blob.upload('', 0, { metadata });
    }
    this.#madeAtMs.set(checkpoint.partitionId, Date.now());
  }

  async #listLegacy(place: Omit<Checkpoint, 'partitionId' | 'offset' | 'sequenceNumber'>) {
    const prefix = `${folderOf(place)}/`;
    const checkpoints: Checkpoint[] = [];
    for await (const item of this.#container.listBlobsByHierarchy('/', { prefix })) {
      if (item.kind === 'prefix') continue;
      const text = (await this.#container.getBlobClient(item.name).downloadToBuffer()).toString();
      const { Offset, SequenceNumber } = legacyFields(text);
      if (Offset === undefined || Offset === null || Offset === '') continue;
      this.#madeAtMs.set(item.name.slice(prefix.length), item.properties.lastModified.getTime());
      checkpoints.push({
        ...place,
        partitionId: item.name.slice(prefix.length),
        offset: String(Offset),
        sequenceNumber: Number(SequenceNumber ?? 0),
      });
    }
    return checkpoints;
  }
}

function folderOf(place: {
  readonly fullyQualifiedNamespace: string;
  readonly eventHubName: string;
  readonly consumerGroup: string;
}): string {
  return `${place.fullyQualifiedNamespace}/${place.eventHubName}/${place.consumerGroup}`;
}

interface LegacyCheckpoint {
  readonly Offset?: string | number | null;
  readonly SequenceNumber?: number;
}

/** A legacy blob is empty while its partition has an owner and no checkpoint yet. */
function legacyFields(text: string): LegacyCheckpoint {
  return text.trim() === '' ? {} : (JSON.parse(text) as LegacyCheckpoint);
}
