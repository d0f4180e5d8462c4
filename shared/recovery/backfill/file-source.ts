import { gunzipSync } from 'node:zlib';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { readFileRows } from '../../lake/read-file';
import { StreamError } from '../../model/errors';
import type { HubMessage, HubReader, ObjectStore } from '../../model/ports';
import type { Column, TablePlan } from '../../model/table';
import { readCaptureFile } from './capture-file';

/** Rows of one message: the engine reads packed messages faster than single ones. */
const rowsPerMessage = 100;
const isoDayLength = '2026-01-31'.length;
/** An event is not early by a clock that a file does not have. (Dead letters keep it: it is whole.) */
const noClock = 2 ** 52;

export interface FilePartition {
  readonly partition: string;
  /** Names in the store, in the order in which they are read. */
  readonly files: readonly string[];
  /** Where the files are those of a table. */
  readonly table?: SourceTable;
}

/** What of a table's rows is not in its files: types, and the values in folder names. */
export interface SourceTable {
  readonly columns: readonly Column[];
  readonly format: TablePlan['format'];
  readonly partitionBy: readonly string[];
  /** By file. */
  readonly partitionValues: Readonly<Record<string, Readonly<Record<string, string | null>>>>;
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
    const lines = table ? await rowsOf(name, bytes, table) : await linesOf(name, bytes);
    const messages: FileMessage[] = [];
    for (let start = 0; start < lines.length; start += rowsPerMessage) {
      const body = Buffer.from(lines.slice(start, start + rowsPerMessage).join('\n'));
      messages.push({ body, enqueuedTimeMs: noClock });
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

async function rowsOf(name: string, bytes: Uint8Array, table: SourceTable): Promise<string[]> {
  const partitionValues = table.partitionValues[name] ?? {};
  const rows = await readFileRows(table, { bytes, partitionValues });
  return rows.map((row) =>
    JSON.stringify(
      Object.fromEntries(table.columns.map((column, place) => [column.name, row[place] ?? null])),
    ),
  );
}

async function linesOf(name: string, bytes: Uint8Array): Promise<string[]> {
  if (name.endsWith('.parquet')) {
    // A copy: the library wants a whole buffer.
    const file = bytes.slice().buffer;
    const days = dateColumns(file);
    return (await parquetReadObjects({ file })).map((row) => JSON.stringify(row, plainValue(days)));
  }
  const text = Buffer.from(name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  return text.split('\n').filter((line) => line.trim() !== '');
}

/** Columns of days, which the library gives as points in time, as it does those. */
function dateColumns(file: ArrayBuffer): ReadonlySet<string> {
  const days = parquetMetadata(file).schema.filter(
    (element) => element.converted_type === 'DATE' || element.logical_type?.type === 'DATE',
  );
  return new Set(days.map(({ name }) => name));
}

function plainValue(days: ReadonlySet<string>): (key: string, value: unknown) => unknown {
  return function (this: unknown, key, value) {
    // A Date is text by the time it is seen here: its owner still has it.
    const own = (this as Record<string, unknown>)[key];
    if (own instanceof Date) {
      return days.has(key) ? own.toISOString().slice(0, isoDayLength) : own.getTime();
    }
    return typeof value === 'bigint' ? Number(value) : value;
  };
}
