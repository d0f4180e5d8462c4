import type {
  Clock,
  HubDescription,
  HubMessage,
  HubPartitionBounds,
  HubReader,
  HubSender,
} from '../model/ports';

/** As long as a namespace takes, at least, to go on in another region. */
const promotionTakesMs = 1_000;

interface MemoryPartition {
  first: number;
  messages: HubMessage[];
  notBeforeMs: number;
}

/** A hub in memory, with the positions of the real one: for runs under a simulated clock. */
export class MemoryHub implements HubReader {
  createdAtMs: number;
  readonly #clock: Clock | null;
  readonly #partitions: MemoryPartition[];

  /** @param options.clock gives enqueued times; without it they follow from the numbers */
  constructor(options: { partitionCount: number; createdAtMs: number; clock?: Clock }) {
    this.createdAtMs = options.createdAtMs;
    this.#clock = options.clock ?? null;
    this.#partitions = Array.from({ length: options.partitionCount }, () => ({
      first: 0,
      messages: [],
      notBeforeMs: 0,
    }));
  }

  get partitionCount(): number {
    return this.#partitions.length;
  }

  append(partition: number, ...bodies: Uint8Array[]): void {
    const log = this.#partition(String(partition));
    for (const body of bodies) {
      const sequenceNumber = log.first + log.messages.length;
      const nowMs = this.#clock?.nowMs() ?? Date.UTC(2026, 5, 1) + sequenceNumber;
      log.messages.push({
        sequenceNumber,
        enqueuedTimeMs: Math.max(nowMs, this.createdAtMs, log.notBeforeMs),
        body,
      });
    }
  }

  /** A hub that gives other bytes for a message than before. */
  overwrite(partition: number, sequenceNumber: number, body: Uint8Array): void {
    const { first, messages } = this.#partition(String(partition));
    const message = messages[sequenceNumber - first];
    if (message !== undefined) messages[sequenceNumber - first] = { ...message, body };
  }

  /** Retention: messages before this one are gone. */
  truncate(partition: number, firstSequenceNumber: number): void {
    const log = this.#partition(String(partition));
    log.messages.splice(0, firstSequenceNumber - log.first);
    log.first = firstSequenceNumber;
  }

  /** Deleted and created again: empty, numbers from 0. Its messages are younger than all before. */
  recreate(createdAtMs: number): void {
    this.createdAtMs = createdAtMs;
    for (const log of this.#partitions) {
      log.first = 0;
      log.messages.length = 0;
    }
  }

  /**
   * What a forced promotion of a replica does: the last messages are gone, and what comes from now on has their
   * numbers and later times.
   * @returns how many were lost
   */
  loseLast(partition: number, count: number): number {
    const log = this.#partition(String(partition));
    const lastMs = log.messages.at(-1)?.enqueuedTimeMs ?? 0;
    log.notBeforeMs = Math.max(log.notBeforeMs, lastMs) + promotionTakesMs;
    return log.messages.splice(Math.max(0, log.messages.length - count)).length;
  }

  messages(partition: number): readonly HubMessage[] {
    return this.#partition(String(partition)).messages;
  }

  async describe(): Promise<HubDescription> {
    return {
      createdAtMs: this.createdAtMs,
      partitionIds: this.#partitions.map((_, index) => String(index)),
    };
  }

  async bounds(partitionId: string): Promise<HubPartitionBounds> {
    const { first, messages } = this.#partition(partitionId);
    return {
      firstSequenceNumber: first,
      lastSequenceNumber: first + messages.length - 1,
      isEmpty: messages.length === 0,
      lastEnqueuedAtMs: messages.at(-1)?.enqueuedTimeMs ?? 0,
    };
  }

  async read(request: Parameters<HubReader['read']>[0]): Promise<readonly HubMessage[]> {
    return this.#partition(request.partitionId)
      .messages.filter(
        ({ sequenceNumber }) =>
          sequenceNumber >= request.firstSequenceNumber &&
          sequenceNumber <= request.lastSequenceNumber,
      )
      .slice(0, request.messagesMax);
  }

  #partition(partitionId: string): MemoryPartition {
    const partition = this.#partitions[Number(partitionId)];
    if (partition === undefined) throw new Error(`no partition ${partitionId}`);
    return partition;
  }
}

/** Sends into memory hubs by name. */
export class MemorySender implements HubSender {
  readonly #hubs: ReadonlyMap<string, MemoryHub>;

  constructor(hubs: ReadonlyMap<string, MemoryHub>) {
    this.#hubs = hubs;
  }

  async partitionCount(hub: string): Promise<number> {
    return (await this.#hub(hub).describe()).partitionIds.length;
  }

  async send(request: Parameters<HubSender['send']>[0]): Promise<void> {
    this.#hub(request.hub).append(request.partition, ...request.bodies);
  }

  #hub(name: string): MemoryHub {
    const hub = this.#hubs.get(name);
    if (hub === undefined) throw new Error(`no hub ${name}`);
    return hub;
  }
}
