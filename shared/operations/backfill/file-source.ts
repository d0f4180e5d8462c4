import { StreamError } from '../../model/errors';
import type { HubMessage, HubReader, ObjectStore } from '../../model/ports';
import { readCaptureFile } from './capture-file';
import { fileLines, packLines, tableLines, type SourceTable } from './file-lines';

/** An event is not early by a clock that a file does not have. (Dead letters keep it: it is whole.) */
const noClock = 2 ** 52;

export interface FilePartition {
  readonly partition: string;
  /** Names in the store, in the order in which they are read. */
  readonly files: readonly string[];
  /** Where the files are those of a table. */
  readonly table?: SourceTable;
}

type FileMessage = Omit<HubMessage, 'sequenceNumber'>;

/** Messages of one file: their numbers begin at `first`. */
interface FileExtent {
  readonly name: string;
  readonly first: number;
  readonly count: number;
}

/**
 * Files as if they were a hub: NDJSON (also gzip) or Parquet, each row an event, or what Event Hubs
 * Capture kept, in order. One file is in memory at a time: all of a partition are read once to be
 * counted, and again when their turn comes.
 */
export class FileSource implements HubReader {
  readonly #objects: ObjectStore;
  readonly #partitions: readonly FilePartition[];
  readonly #beat: () => Promise<void>;
  readonly #extents = new Map<string, Promise<readonly FileExtent[]>>();
  #current: { readonly name: string; readonly messages: Promise<readonly FileMessage[]> } | null =
    null;

  /** @param beat awaited between files: renews a lease, or rejects to stop */
  constructor(
    objects: ObjectStore,
    partitions: readonly FilePartition[],
    beat: () => Promise<void>,
  ) {
    this.#objects = objects;
    this.#partitions = partitions;
    this.#beat = beat;
  }

  async describe(): ReturnType<HubReader['describe']> {
    return { createdAtMs: 1, partitionIds: this.#partitions.map(({ partition }) => partition) };
  }

  async bounds(partitionId: string): ReturnType<HubReader['bounds']> {
    const last = (await this.#extentsOf(partitionId)).at(-1);
    const length = last === undefined ? 0 : last.first + last.count;
    return { firstSequenceNumber: 0, lastSequenceNumber: length - 1, isEmpty: length === 0 };
  }

  async read(request: Parameters<HubReader['read']>[0]): Promise<readonly HubMessage[]> {
    const { firstSequenceNumber, lastSequenceNumber, messagesMax, partitionId } = request;
    const end = Math.min(lastSequenceNumber + 1, firstSequenceNumber + messagesMax);
    const messages: HubMessage[] = [];
    for (const { count, first, name } of await this.#extentsOf(partitionId)) {
      const from = Math.max(firstSequenceNumber, first);
      const to = Math.min(end, first + count);
      if (from >= to) continue;
      const slice = (await this.#messagesOf(name, partitionId)).slice(from - first, to - first);
      slice.forEach(({ body, enqueuedTimeMs }, index) => {
        messages.push({ sequenceNumber: from + index, enqueuedTimeMs, body });
      });
    }
    return messages;
  }

  #extentsOf(partition: string): Promise<readonly FileExtent[]> {
    let extents = this.#extents.get(partition);
    if (extents === undefined) this.#extents.set(partition, (extents = this.#count(partition)));
    return extents;
  }

  async #count(partition: string): Promise<readonly FileExtent[]> {
    const extents: FileExtent[] = [];
    let first = 0;
    for (const name of this.#find(partition)?.files ?? []) {
      const count = (await this.#messagesOf(name, partition)).length;
      extents.push({ name, first, count });
      first += count;
      await this.#beat();
    }
    return extents;
  }

  #find(partition: string): FilePartition | undefined {
    return this.#partitions.find((one) => one.partition === partition);
  }

  #messagesOf(name: string, partition: string): Promise<readonly FileMessage[]> {
    if (this.#current?.name !== name) {
      this.#current = { name, messages: this.#load(name, this.#find(partition)?.table) };
    }
    return this.#current.messages;
  }

  async #load(name: string, table: SourceTable | undefined): Promise<readonly FileMessage[]> {
    const bytes = await this.#bytes(name);
    if (name.endsWith('.avro')) {
      // Whole messages of a hub, in whatever form their sender packed them.
      return (await readCaptureFile(name, bytes)).map(({ body, enqueuedTimeMs }) => ({
        body,
        enqueuedTimeMs: enqueuedTimeMs ?? noClock,
      }));
    }
    const lines = table ? await tableLines(name, bytes, table) : await fileLines(name, bytes);
    return packLines(lines).map((body) => ({ body, enqueuedTimeMs: noClock }));
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
