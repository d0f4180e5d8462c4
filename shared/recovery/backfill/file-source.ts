import { gunzipSync } from 'node:zlib';
import { parquetReadObjects } from 'hyparquet';
import { StreamError } from '../../model/errors';
import type { HubMessage, HubReader, ObjectStore } from '../../model/ports';
import { readCaptureFile } from './capture-file';

/** Rows of one message: the engine reads packed messages faster than single ones. */
const rowsPerMessage = 100;
/** An event is not early by a clock that a file does not have. */
const noClock = Number.MAX_SAFE_INTEGER / 2;

export interface FilePartition {
  readonly partition: string;
  /** Names in the store, in the order in which they are read. */
  readonly files: readonly string[];
}

/**
 * Files as if they were a hub: NDJSON (also gzip) or Parquet, each row an event, or what Event Hubs
 * Capture kept, in order. A partition's files are read whole when they are first asked for.
 */
export class FileSource implements HubReader {
  readonly #objects: ObjectStore;
  readonly #partitions: readonly FilePartition[];
  readonly #loaded = new Map<string, Promise<readonly HubMessage[]>>();

  constructor(objects: ObjectStore, partitions: readonly FilePartition[]) {
    this.#objects = objects;
    this.#partitions = partitions;
  }

  async describe(): ReturnType<HubReader['describe']> {
    return { createdAtMs: 1, partitionIds: this.#partitions.map(({ partition }) => partition) };
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
    const files = this.#partitions.find((one) => one.partition === partition)?.files ?? [];
    const add = (body: Uint8Array, enqueuedTimeMs: number | null): void => {
      const sequenceNumber = messages.length;
      messages.push({ sequenceNumber, enqueuedTimeMs: enqueuedTimeMs ?? noClock, body });
    };
    for (const name of files) {
      const bytes = await this.#bytes(name);
      if (name.endsWith('.avro')) {
        // Whole messages of a hub, in whatever form their sender packed them.
        for (const message of await readCaptureFile(name, bytes)) {
          add(message.body, message.enqueuedTimeMs);
        }
        continue;
      }
      const lines = await linesOf(name, bytes);
      for (let start = 0; start < lines.length; start += rowsPerMessage) {
        add(Buffer.from(lines.slice(start, start + rowsPerMessage).join('\n')), null);
      }
    }
    return messages;
  }

  async #bytes(name: string): Promise<Uint8Array> {
    const bytes = await this.#objects.get(name);
    if (bytes !== undefined) return bytes;
    throw new StreamError(
      'STREAM_STORE_UNAVAILABLE',
      `${name}, which the backfill was planned with, is gone: cancel it and begin another`,
    );
  }
}

/** True for names of files that can be read. */
export function isSourceFile(name: string): boolean {
  return /\.(ndjson|jsonl|ndjson\.gz|jsonl\.gz|parquet|avro)$/.test(name);
}

async function linesOf(name: string, bytes: Uint8Array): Promise<string[]> {
  if (name.endsWith('.parquet')) {
    // A copy: the library wants a whole buffer.
    const rows = await parquetReadObjects({ file: bytes.slice().buffer });
    return rows.map((row) => JSON.stringify(row, plainValue));
  }
  const text = Buffer.from(name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  return text.split('\n').filter((line) => line.trim() !== '');
}

function plainValue(this: unknown, key: string, value: unknown): unknown {
  // A Date is text by the time it is seen here: its owner still has it.
  const own = (this as Record<string, unknown>)[key];
  if (own instanceof Date) return own.getTime();
  return typeof value === 'bigint' ? Number(value) : value;
}
