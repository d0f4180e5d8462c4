import { randomUUID } from 'node:crypto';
import type { Checkpoint, CheckpointStore, PartitionOwnership } from '@azure/event-hubs';
import { balance } from './balancing';
import { HubConnections } from './hub-connection';
import type { HubEvent, ReadPosition, StartPosition } from './hub-event';
import { hubPlace, type HubPlace } from './hub-place';
import { paused, PartitionReader, type EndReason, type ReadingOptions } from './partition-reader';

export interface EventProcessorOptions {
  readonly connectionString: string;
  readonly eventHubName: string;
  readonly consumerGroup: string;
  readonly checkpointStore: CheckpointStore;
  /** Owner of the partitions; must be new for every processor. */
  readonly identifier?: string;
  readonly maxBatchSize: number;
  readonly prefetchCount: number;
  readonly startPosition: StartPosition;
  readonly loadBalancingUpdateIntervalMs: number;
  readonly partitionOwnershipExpirationIntervalMs: number;
  readonly retry: ReadingOptions['retry'];
  /** An attempt to connect, attach or ask is given up after this. */
  readonly timeoutMs: number;
}

/** A partition that is being read; what the SDK's PartitionContext has of the same names. */
export interface PartitionPlace {
  readonly fullyQualifiedNamespace: string;
  readonly eventHubName: string;
  readonly consumerGroup: string;
  readonly partitionId: string;
  updateCheckpoint(event: HubEvent): Promise<void>;
}

export interface EventProcessorHandlers {
  /** Before a partition's first events; a claim for which it rejects is tried again. */
  processInitialize(place: PartitionPlace): Promise<void>;
  /** A batch of one partition; the next one comes when this one is done. A rejection ends the reading. */
  processEvents(events: readonly HubEvent[], place: PartitionPlace): Promise<void>;
  /** Reading is over, at once when ownership is lost: a batch may be in the works still. */
  processClose(reason: EndReason, place: PartitionPlace): void;
  /** What went wrong and is being tried again; `partitionId` is empty when it concerns all. */
  processError(error: Error, place: { readonly partitionId: string }): void;
}

/**
 * Reads a hub together with other processors that share a checkpoint store: EventHubConsumerClient of
 * the JS SDK and .NET's processor among them. Claims a fair share of the partitions, keeps the claims
 * alive, reads each from its checkpoint, and gives them back when it is closed.
 *
 * Delivery: at least once, in order within a partition; again from the checkpoint after a partition
 * changes hands.
 */
export class EventProcessor {
  readonly place: HubPlace;
  readonly #options: EventProcessorOptions;
  readonly #handlers: EventProcessorHandlers;
  readonly #identifier: string;
  readonly #connections: HubConnections;
  readonly #readers = new Map<string, PartitionReader>();
  readonly #closing = new AbortController();
  readonly #closed = aborted(this.#closing.signal);
  #partitionIds: readonly string[] = [];
  #balancing: Promise<void> | null = null;

  constructor(options: EventProcessorOptions, handlers: EventProcessorHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#identifier = options.identifier ?? randomUUID();
    this.place = hubPlace(options.connectionString, options.eventHubName);
    this.#connections = new HubConnections(this.place, options.timeoutMs);
  }

  /** Begins; what goes wrong from here on goes to `processError` and is tried again. */
  start(): void {
    this.#balancing ??= this.#balanceUntilClosed();
  }

  /** Ends the batches in flight, gives the partitions back and disconnects. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#balancing;
    for (const reader of this.#readers.values()) reader.stop('shutdown');
    await Promise.all(Array.from(this.#readers.values(), ({ done }) => done));
    await this.#trying(() => this.#giveBack());
    await this.#connections.close();
  }

  async #balanceUntilClosed(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      // Without an answer the partitions are those of before: claims must be kept alive.
      await this.#trying(() => this.#askForPartitions());
      await this.#trying(async () => {
        // Greedy: the next step at once, as long as a step claims something.
        while (!signal.aborted && (await this.#step()));
      });
      await paused(this.#options.loadBalancingUpdateIntervalMs, signal);
    }
  }

  async #askForPartitions(): Promise<void> {
    const asked = this.#connections.get().then((connection) => connection.partitionIds());
    const ids = await Promise.race([asked, this.#closed]);
    if (ids !== null) this.#partitionIds = ids;
  }

  /** Renews what is ours, claims one more partition if that is fair; true when it did. */
  async #step(): Promise<boolean> {
    const { checkpointStore } = this.#options;
    const holdings = await this.#holdings();
    const { claim, ours } = balance({
      partitionIds: this.#partitionIds,
      holdings,
      ownerId: this.#identifier,
      expirationMs: this.#options.partitionOwnershipExpirationIntervalMs,
      nowMs: Date.now(),
      random: Math.random,
    });
    const kept = await checkpointStore.claimOwnership([...ours]);
    const keptIds = new Set(kept.map(({ partitionId }) => partitionId));
    for (const [partitionId, reader] of this.#readers) {
      if (!keptIds.has(partitionId)) reader.stop('ownershipLost');
    }
    for (const partitionId of keptIds) this.#readUnlessRead(partitionId);
    if (claim === null) return false;
    const before = holdings.find(({ partitionId }) => partitionId === claim);
    const [claimed] = await checkpointStore.claimOwnership([this.#claimOf(claim, before)]);
    if (claimed !== undefined) this.#readUnlessRead(claim);
    return claimed !== undefined;
  }

  #holdings(): Promise<PartitionOwnership[]> {
    const { eventHubName, fullyQualifiedNamespace } = this.place;
    const { checkpointStore, consumerGroup } = this.#options;
    return checkpointStore.listOwnership(fullyQualifiedNamespace, eventHubName, consumerGroup);
  }

  #claimOf(partitionId: string, before: PartitionOwnership | undefined): PartitionOwnership {
    const { eventHubName, fullyQualifiedNamespace } = this.place;
    const { consumerGroup } = this.#options;
    return {
      fullyQualifiedNamespace,
      eventHubName,
      consumerGroup,
      partitionId,
      ownerId: this.#identifier,
      ...(before?.etag !== undefined && { etag: before.etag }),
    };
  }

  #readUnlessRead(partitionId: string): void {
    const before = this.#readers.get(partitionId);
    if (this.#closing.signal.aborted || before?.isOver === false) return;
    const place = this.#placeOf(partitionId);
    const reader = new PartitionReader({
      ...this.#options,
      eventHubName: this.place.eventHubName,
      identifier: this.#identifier,
      connections: this.#connections,
      partitionId,
      begin: async () => {
        // One batch of a partition at a time, an earlier claim's among them.
        await before?.done;
        const position = await this.#positionOf(partitionId);
        await this.#handlers.processInitialize(place);
        return position;
      },
      onEvents: (events) => this.#handlers.processEvents(events, place),
      onError: (error) => this.#handlers.processError(error, place),
      onEnd: (reason) => this.#handlers.processClose(reason, place),
    });
    this.#readers.set(partitionId, reader);
  }

  async #positionOf(partitionId: string): Promise<ReadPosition> {
    const { checkpointStore, consumerGroup, startPosition } = this.#options;
    const { eventHubName, fullyQualifiedNamespace } = this.place;
    const checkpoints = await checkpointStore.listCheckpoints(
      fullyQualifiedNamespace,
      eventHubName,
      consumerGroup,
    );
    const checkpoint = checkpoints.find((one) => one.partitionId === partitionId);
    return checkpoint === undefined ? startPosition : afterCheckpoint(checkpoint);
  }

  #placeOf(partitionId: string): PartitionPlace {
    const { eventHubName, fullyQualifiedNamespace } = this.place;
    const { checkpointStore, consumerGroup } = this.#options;
    const at = { fullyQualifiedNamespace, eventHubName, consumerGroup, partitionId };
    return {
      ...at,
      updateCheckpoint: ({ offset, sequenceNumber }) =>
        checkpointStore.updateCheckpoint({ ...at, offset, sequenceNumber }),
    };
  }

  /** Without an owner: others claim them at their next step, not when they expire. */
  async #giveBack(): Promise<void> {
    const ours = (await this.#holdings()).filter(({ ownerId }) => ownerId === this.#identifier);
    await this.#options.checkpointStore.claimOwnership(
      ours.map((holding) => ({ ...holding, ownerId: '' })),
    );
  }

  async #trying(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const reason = error instanceof Error ? error : new Error(String(error));
      this.#handlers.processError(reason, { partitionId: '' });
    }
  }
}

function afterCheckpoint({ offset, sequenceNumber }: Checkpoint): ReadPosition {
  // Other processors may know one of the two alone.
  return offset === '' ? { afterSequenceNumber: sequenceNumber } : { afterOffset: String(offset) };
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}
