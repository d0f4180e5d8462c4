import type { HostCheckpoint, HostCheckpoints } from '../model/ports';
import type { BlobContainer } from './blob-container';
import { statusOf } from './blob-failure';

/** Where the Event Hubs extension of the Functions host keeps its checkpoints. */
export const hostCheckpointContainer = 'azure-webjobs-eventhub';

/**
 * Empty blobs `{namespace}/{hub}/{group}/checkpoint/{partition}`, all lower-case, with the position as
 * metadata, as the extension and the SDKs' blob checkpoint stores write them.
 */
export class BlobHostCheckpoints implements HostCheckpoints {
  readonly #container: BlobContainer;
  readonly #folder: string;

  /** @param place `namespace` is the host name without a port */
  constructor(
    container: BlobContainer,
    place: { readonly namespace: string; readonly hub: string; readonly consumerGroup: string },
  ) {
    this.#container = container;
    this.#folder =
      `${place.namespace}/${place.hub}/${place.consumerGroup}/checkpoint`.toLowerCase();
  }

  read(partitionId: string): Promise<HostCheckpoint | undefined> {
    const blob = this.#blob(partitionId);
    return this.#container.run({ operation: 'read', blob }, async (abortSignal) => {
      try {
        const found = await this.#container.client
          .getBlobClient(blob)
          .getProperties({ abortSignal });
        const sequenceNumber = Number(found.metadata?.['sequencenumber'] || NaN);
        if (!Number.isSafeInteger(sequenceNumber) || found.etag === undefined) return undefined;
        return { sequenceNumber, tag: found.etag };
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw error;
      }
    });
  }

  forget(partitionId: string, { tag }: HostCheckpoint): Promise<'forgotten' | 'changed'> {
    const blob = this.#blob(partitionId);
    return this.#container.run({ operation: 'forget', blob }, async (abortSignal) => {
      const conditions = { ifMatch: tag };
      try {
        await this.#container.client.getBlobClient(blob).delete({ abortSignal, conditions });
      } catch (error) {
        // Gone already: another worker has seen the same. (Some stores say 412 to that.)
        if (statusOf(error) === 404) return 'forgotten';
        if (statusOf(error) === 412) return 'changed';
        throw error;
      }
      return 'forgotten';
    });
  }

  #blob(partitionId: string): string {
    return `${this.#folder}/${partitionId}`;
  }
}
