/** The emulator, Azurite, and processors of the local host's own that write down what they see. */
import { EventHubProducerClient, type EventData } from '@azure/event-hubs';
import { BlobCheckpointStore } from '@azure/eventhubs-checkpointstore-blob';
import { ContainerClient } from '@azure/storage-blob';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../local/event-hubs';
import {
  EventProcessor,
  type EventProcessorOptions,
  type PartitionPlace,
} from '../../local/functions-host/hub-reading/event-processor';
import type { HubEvent } from '../../local/functions-host/hub-reading/hub-event';
import type { Azurite } from '../../local/storage';
import { startAzurite } from './built';
import { eventually } from './outcome';

export const hubName = 'readings';
export const expirationMs = 3_000;
const updateIntervalMs = 200;
const untilTimeoutMs = 30_000;

export class HubWorld {
  readonly emulator: EventHubsEmulator;
  readonly azurite: Azurite;
  readonly partitionCount: number;
  readonly #producer: EventHubProducerClient;
  readonly #readers: RecordingReader[] = [];

  private constructor(emulator: EventHubsEmulator, azurite: Azurite, partitionCount: number) {
    this.emulator = emulator;
    this.azurite = azurite;
    this.partitionCount = partitionCount;
    this.#producer = new EventHubProducerClient(emulator.connectionString, hubName);
  }

  static async start(partitionCount = 4): Promise<HubWorld> {
    const emulator = await startEventHubsEmulator({
      port: 0,
      controlPort: 0,
      createOnTheFly: { partitionCount },
    });
    return new HubWorld(emulator, await startAzurite(), partitionCount);
  }

  /** A container of checkpoints; the name begins a fresh one. */
  async checkpoints(name: string): Promise<BlobCheckpointStore> {
    const container = new ContainerClient(this.azurite.connectionString, name);
    await container.createIfNotExists();
    return new BlobCheckpointStore(container);
  }

  /** Sends whole numbers, an event each, their text as the body. */
  async send(partition: number, from: number, count: number): Promise<void> {
    await this.sendEvents(
      partition,
      Array.from({ length: count }, (_, index) => ({ body: Buffer.from(String(from + index)) })),
    );
  }

  async sendEvents(partition: number, events: readonly EventData[]): Promise<void> {
    const options = { partitionId: String(partition) };
    let batch = await this.#producer.createBatch(options);
    for (const event of events) {
      if (batch.tryAdd(event)) continue;
      await this.#producer.sendBatch(batch);
      batch = await this.#producer.createBatch(options);
      if (!batch.tryAdd(event)) throw new Error('the event is too large');
    }
    await this.#producer.sendBatch(batch);
  }

  async sendEverywhere(from: number, count: number): Promise<void> {
    for (let partition = 0; partition < this.partitionCount; partition += 1) {
      await this.send(partition, from, count);
    }
  }

  async fault(body: Readonly<Record<string, unknown>>): Promise<void> {
    await this.control('POST', '/faults', body);
  }

  async control(method: string, path: string, body?: unknown): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.emulator.controlPort}${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`refused: ${await response.text()}`);
  }

  async read(
    container: string,
    options: Partial<EventProcessorOptions> & ReaderBehaviour = {},
  ): Promise<RecordingReader> {
    const reader = new RecordingReader(
      {
        connectionString: this.emulator.connectionString,
        eventHubName: hubName,
        consumerGroup: '$Default',
        checkpointStore: await this.checkpoints(container),
        maxBatchSize: 100,
        prefetchCount: 300,
        startPosition: 'start',
        loadBalancingUpdateIntervalMs: updateIntervalMs,
        partitionOwnershipExpirationIntervalMs: expirationMs,
        retry: { isFixed: false, maxRetries: 5, delayMs: 20, maxDelayMs: 200 },
        timeoutMs: 10_000,
        ...options,
      },
      options,
    );
    this.#readers.push(reader);
    reader.processor.start();
    return reader;
  }

  async close(): Promise<void> {
    await Promise.all(this.#readers.map((reader) => reader.processor.close()));
    await this.#producer.close();
    await this.emulator.close();
    await this.azurite.close();
  }
}

export interface ReaderBehaviour {
  /** Is awaited within every batch, before it is checkpointed. */
  readonly onBatch?: (events: readonly HubEvent[], place: PartitionPlace) => Promise<void> | void;
  readonly isCheckpointing?: boolean;
}

export class RecordingReader {
  readonly processor: EventProcessor;
  readonly events: { readonly partitionId: string; readonly event: HubEvent }[] = [];
  readonly batches: { readonly partitionId: string; readonly size: number }[] = [];
  readonly errors: string[] = [];
  readonly closed: { readonly partitionId: string; readonly reason: string }[] = [];
  readonly held = new Set<string>();
  /** The most batches of one partition that were ever in the works together. */
  inFlightMax = 0;

  constructor(options: EventProcessorOptions, behaviour: ReaderBehaviour) {
    const inFlight = new Map<string, number>();
    this.processor = new EventProcessor(options, {
      processInitialize: async ({ partitionId }) => void this.held.add(partitionId),
      processClose: (reason, { partitionId }) => {
        this.held.delete(partitionId);
        this.closed.push({ partitionId, reason });
      },
      processError: (error) => void this.errors.push(error.message),
      processEvents: async (events, place) => {
        const { partitionId } = place;
        const together = (inFlight.get(partitionId) ?? 0) + 1;
        inFlight.set(partitionId, together);
        this.inFlightMax = Math.max(this.inFlightMax, together);
        this.batches.push({ partitionId, size: events.length });
        for (const event of events) this.events.push({ partitionId, event });
        await behaviour.onBatch?.(events, place);
        const last = events.at(-1);
        if (behaviour.isCheckpointing === true && last !== undefined) {
          await place.updateCheckpoint(last);
        }
        inFlight.set(partitionId, together - 1);
      },
    });
  }

  /** The numbers that were read of a partition, in the order in which they came. */
  numbers(partition: number): number[] {
    return this.events
      .filter(({ partitionId }) => partitionId === String(partition))
      .map(({ event }) => Number(String(event.body)));
  }

  async until(isSo: (reader: RecordingReader) => boolean): Promise<void> {
    await eventually(
      async () => ({ isSo: isSo(this), held: [...this.held], errors: this.errors.slice(-3) }),
      (look) => look.isSo,
      untilTimeoutMs,
    );
  }

  async untilRead(count: number): Promise<void> {
    await this.until(({ events }) => events.length >= count);
  }
}

export function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}
