import type { AppendStore, HubMessage, HubReader, HubSender, ObjectStore } from '../../model/ports';

/** Everything under one prefix, as if it were the whole store: a backfill has a world of its own. */
export function scratchAppends(appends: AppendStore, prefix: string): AppendStore {
  return {
    create: (name) => appends.create(prefix + name),
    append: (request) => appends.append({ ...request, name: prefix + request.name }),
    readFrom: (name, position) => appends.readFrom(prefix + name, position),
    stat: (name) => appends.stat(prefix + name),
    list: async (under) =>
      (await appends.list(prefix + under)).map((name) => name.slice(prefix.length)),
    delete: (name) => appends.delete(prefix + name),
  };
}

export function scratchObjects(objects: ObjectStore, prefix: string): ObjectStore {
  return {
    put: (name, bytes) => objects.put(prefix + name, bytes),
    putIfAbsent: (name, bytes) => objects.putIfAbsent(prefix + name, bytes),
    get: (name) => objects.get(prefix + name),
    list: async (under) =>
      (await objects.list(prefix + under)).map(({ bytes, name }) => ({
        name: name.slice(prefix.length),
        bytes,
      })),
    delete: (name) => objects.delete(prefix + name),
  };
}

/** Length of a message in an exchange's blob: four bytes, big-endian. */
const lengthBytes = 4;
/** What the service appends at once. */
const blockBytesMax = 4 * 1024 * 1024;

function exchangeName(hub: string, partition: number | string, producer: string): string {
  return `exchange/${hub}/${partition}/${producer}`;
}

/**
 * An exchange that is a blob per producer and partition instead of a hub: what a backfill sends stays
 * where the next phase reads it.
 *
 * Delivery: at least once and in order, as hubs deliver: consumers admit by ordinal.
 */
export class ScratchSender implements HubSender {
  readonly #appends: AppendStore;
  readonly #partitionCount: number;
  readonly #producer: string;
  readonly #positions = new Map<string, number>();

  /** @param producer the task that sends: nobody else writes to its blobs, but a second try of it */
  constructor(appends: AppendStore, options: { partitionCount: number; producer: string }) {
    this.#appends = appends;
    this.#partitionCount = options.partitionCount;
    this.#producer = options.producer;
  }

  async partitionCount(): Promise<number> {
    return this.#partitionCount;
  }

  async send(request: Parameters<HubSender['send']>[0]): Promise<void> {
    const name = exchangeName(request.hub, request.partition, this.#producer);
    let block: Buffer[] = [];
    let bytes = 0;
    for (const body of request.bodies) {
      if (bytes + lengthBytes + body.byteLength > blockBytesMax && block.length > 0) {
        await this.#append(name, Buffer.concat(block));
        [block, bytes] = [[], 0];
      }
      const length = Buffer.alloc(lengthBytes);
      length.writeUInt32BE(body.byteLength);
      block.push(length, Buffer.from(body));
      bytes += lengthBytes + body.byteLength;
    }
    if (block.length > 0) await this.#append(name, Buffer.concat(block));
  }

  async #append(name: string, block: Buffer): Promise<void> {
    for (;;) {
      const expectedPosition = this.#positions.get(name) ?? (await this.#end(name));
      const outcome = await this.#appends.append({ name, block, expectedPosition });
      this.#positions.set(name, expectedPosition + block.byteLength);
      if (outcome === 'appended') return;
      // Somebody was first with this task, or our own answer was lost: once more is no harm.
      this.#positions.delete(name);
      if (outcome === 'missing') await this.#appends.create(name);
    }
  }

  async #end(name: string): Promise<number> {
    return (await this.#appends.stat(name))?.bytes ?? 0;
  }
}

/** Reads such an exchange: producer after producer, numbered from 0. Its producers must be done. */
export class ScratchExchange implements HubReader {
  readonly #appends: AppendStore;
  readonly #hub: string;
  readonly #partitionCount: number;
  readonly #loaded = new Map<string, Promise<readonly HubMessage[]>>();

  constructor(appends: AppendStore, options: { hub: string; partitionCount: number }) {
    this.#appends = appends;
    this.#hub = options.hub;
    this.#partitionCount = options.partitionCount;
  }

  async describe(): ReturnType<HubReader['describe']> {
    const partitionIds = Array.from({ length: this.#partitionCount }, (_, index) => String(index));
    return { createdAtMs: 1, partitionIds };
  }

  async bounds(partitionId: string): ReturnType<HubReader['bounds']> {
    const { length } = await this.#messages(partitionId);
    return { firstSequenceNumber: 0, lastSequenceNumber: length - 1, isEmpty: length === 0 };
  }

  async read(request: Parameters<HubReader['read']>[0]): Promise<readonly HubMessage[]> {
    const { firstSequenceNumber: first, lastSequenceNumber: last, messagesMax } = request;
    const messages = await this.#messages(request.partitionId);
    return messages.slice(first, Math.min(last + 1, first + messagesMax));
  }

  #messages(partition: string): Promise<readonly HubMessage[]> {
    let loaded = this.#loaded.get(partition);
    if (loaded === undefined) this.#loaded.set(partition, (loaded = this.#load(partition)));
    return loaded;
  }

  async #load(partition: string): Promise<readonly HubMessage[]> {
    const messages: HubMessage[] = [];
    for (const name of await this.#appends.list(exchangeName(this.#hub, partition, ''))) {
      const bytes = Buffer.from((await this.#appends.readFrom(name, 0)) ?? []);
      for (let at = 0; at < bytes.length;) {
        const end = at + lengthBytes + bytes.readUInt32BE(at);
        const body = bytes.subarray(at + lengthBytes, end);
        messages.push({ sequenceNumber: messages.length, enqueuedTimeMs: 0, body });
        at = end;
      }
    }
    return messages;
  }
}
