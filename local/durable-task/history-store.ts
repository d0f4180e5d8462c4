/**
 * Table `{hub}History`: per instance its events as numbered rows, and the row `sentinel`. Which rows
 * count is written in the sentinel, whose ETag every commit demands: of two writers one lands, the
 * other is refused whole. Rows outside the sentinel's range are leftovers of commits that never landed.
 */
import type { TableClient, TransactionAction } from '@azure/data-tables';
import type { HistoryEvent, Message } from './history-event';
import { toKey } from './names';
import type { LargePayloads } from './payloads';
import { columnsOf, eventOf, rowKeyOf } from './rows';

/** One entity-group transaction: 100 rows with the sentinel, 4 MB. */
const rowsPerTransaction = 99;
const charactersPerTransaction = 1_000_000;

export interface Written {
  readonly instanceId: string;
  readonly etag: string;
  readonly executionId: string;
  readonly events: readonly HistoryEvent[];
  /** The rows that count: from `firstRow` up to, not including, `nextRow`. */
  readonly firstRow: number;
  readonly nextRow: number;
  /** Messages of this commit that are not known to be delivered. */
  readonly outbox: readonly Message[];
  /** Messages applied by earlier executions: id to time. */
  readonly applied: Readonly<Record<string, number>>;
  /** JSON text: what the instance's row shows. */
  readonly customStatus: string | null;
  /** Large payloads of the rows that count. */
  readonly blobs: readonly string[];
}

export interface Commit {
  readonly isReplacing: boolean;
  readonly executionId: string;
  readonly events: readonly HistoryEvent[];
  readonly history: readonly HistoryEvent[];
  readonly outgoing: readonly Message[];
  readonly applied: Readonly<Record<string, number>>;
  readonly customStatus: string | null;
}

/** Somebody else wrote the instance's history since it was read. */
export class HistoryConflict extends Error {}

export class HistoryStore {
  readonly #table: TableClient;
  readonly #payloads: LargePayloads;

  constructor(table: TableClient, payloads: LargePayloads) {
    this.#table = table;
    this.#payloads = payloads;
  }

  /** The sentinel is read first: whoever commits after that makes a commit on this reading fail. */
  async load(instanceId: string): Promise<Written | null> {
    const partitionKey = toKey(instanceId);
    const found = await this.#table.getEntity(partitionKey, 'sentinel').catch(nothingWhen(404));
    if (found === null) return null;
    const bringIn = (
      row: Readonly<Record<string, unknown>>,
    ): ReturnType<LargePayloads['bringIn']> =>
      this.#payloads.bringIn(row).catch((error: unknown) => {
        // What a commit replaces loses its rows first, then its blobs.
        if (httpStatusOf(error) !== 404) throw error;
        throw new HistoryConflict(`${instanceId}: its history is being replaced`, { cause: error });
      });
    const { row: sentinel, blobs: sentinelBlobs } = await bringIn(found);
    const firstRow = Number(sentinel['FirstRow']);
    const nextRow = Number(sentinel['NextRow']);
    const events: HistoryEvent[] = [];
    const blobs: string[] = [...sentinelBlobs];
    const leftovers: string[] = [];
    const rows = this.#table.listEntities({
      queryOptions: { filter: `PartitionKey eq '${partitionKey.replaceAll("'", "''")}'` },
    });
    for await (const stored of rows) {
      const key = stored.rowKey ?? '';
      if (key === 'sentinel' || key >= rowKeyOf(nextRow)) continue;
      if (key < rowKeyOf(firstRow)) {
        leftovers.push(key);
        continue;
      }
      const { row, blobs: more } = await bringIn(stored);
      events.push(eventOf(row));
      blobs.push(...more);
    }
    if (events.length !== nextRow - firstRow) {
      throw new HistoryConflict(`${instanceId}: its history is being replaced`);
    }
    await this.#removeRows(partitionKey, leftovers);
    return {
      instanceId,
      etag: found.etag ?? '',
      executionId: String(sentinel['ExecutionId']),
      events,
      firstRow,
      nextRow,
      outbox: JSON.parse((sentinel['Outbox'] as string | undefined) ?? '[]') as Message[],
      applied: JSON.parse((sentinel['AppliedMessages'] as string | undefined) ?? '{}') as Record<
        string,
        number
      >,
      customStatus: (sentinel['CustomStatus'] as string | undefined) ?? null,
      blobs,
    };
  }

  /** Writes all of it or, for whoever reads, nothing. Rejects with HistoryConflict when outrun. */
  async commit(instanceId: string, before: Written | null, commit: Commit): Promise<Written> {
    const partitionKey = toKey(instanceId);
    const firstNew = before?.nextRow ?? 0;
    const firstRow = commit.isReplacing ? firstNew : (before?.firstRow ?? 0);
    const nextRow = firstNew + commit.events.length;
    const newBlobs: string[] = [];
    const rows: Record<string, unknown>[] = [];
    for (const [index, event] of commit.events.entries()) {
      const { columns, blobs } = await this.#payloads.moveOut(partitionKey, columnsOf(event));
      newBlobs.push(...blobs);
      rows.push({
        ...columns,
        partitionKey,
        rowKey: rowKeyOf(firstNew + index),
        ExecutionId: commit.executionId,
      });
    }
    let etag = before?.etag ?? null;
    const chunks = chunked(rows);
    for (const [index, chunk] of chunks.entries()) {
      const isLast = index === chunks.length - 1;
      // Before the last transaction the sentinel changes only its ETag: it still names the old rows.
      const sentinel = isLast
        ? sentinelOf({ ...commit, firstRow, nextRow })
        : before === null
          ? sentinelOf({ ...emptyCommit, executionId: commit.executionId, firstRow: 0, nextRow: 0 })
          : sentinelOf({
              executionId: before.executionId,
              outgoing: before.outbox,
              applied: before.applied,
              customStatus: before.customStatus,
              firstRow: before.firstRow,
              nextRow: before.nextRow,
            });
      const packed = await this.#payloads.moveOut(partitionKey, sentinel);
      newBlobs.push(...packed.blobs);
      etag = await this.#transact(partitionKey, chunk, packed.columns, etag);
    }
    if (commit.isReplacing && before !== null) {
      await this.#removeRows(partitionKey, rowKeys(before.firstRow, before.nextRow));
      await this.#payloads.remove(before.blobs);
    }
    return {
      instanceId,
      etag: etag ?? '',
      executionId: commit.executionId,
      events: commit.history,
      firstRow,
      nextRow,
      outbox: commit.outgoing,
      applied: commit.applied,
      customStatus: commit.customStatus,
      blobs: commit.isReplacing ? newBlobs : [...(before?.blobs ?? []), ...newBlobs],
    };
  }

  /** Notes that the outbox is delivered. */
  async markDelivered(written: Written): Promise<Written> {
    const partitionKey = toKey(written.instanceId);
    const { columns, blobs } = await this.#payloads.moveOut(
      partitionKey,
      sentinelOf({ ...written, outgoing: [] }),
    );
    const etag = await this.#transact(partitionKey, [], columns, written.etag);
    return { ...written, etag, outbox: [], blobs: [...written.blobs, ...blobs] };
  }

  async remove(instanceId: string): Promise<void> {
    const partitionKey = toKey(instanceId);
    const keys: string[] = [];
    for await (const { rowKey } of this.#table.listEntities({
      queryOptions: {
        filter: `PartitionKey eq '${partitionKey.replaceAll("'", "''")}'`,
        select: ['RowKey'],
      },
    })) {
      keys.push(rowKey ?? '');
    }
    // The sentinel goes first: without it there is no history.
    await this.#removeRows(partitionKey, ['sentinel', ...keys.filter((key) => key !== 'sentinel')]);
    await this.#payloads.removeFolder(partitionKey);
  }

  async #transact(
    partitionKey: string,
    rows: readonly Record<string, unknown>[],
    sentinel: Record<string, unknown>,
    etag: string | null,
  ): Promise<string> {
    const entity = { ...sentinel, partitionKey, rowKey: 'sentinel' };
    const actions: TransactionAction[] = [
      ...rows.map((row): TransactionAction => ['upsert', row as never, 'Replace']),
      etag === null ? ['create', entity] : ['update', entity, 'Replace', { etag }],
    ];
    try {
      const result = await this.#table.submitTransaction(actions);
      return result.subResponses.at(-1)?.etag ?? '';
    } catch (error) {
      if (![409, 412, 404].includes(httpStatusOf(error))) throw error;
      throw new HistoryConflict(`somebody else wrote ${partitionKey}`, { cause: error });
    }
  }

  async #removeRows(partitionKey: string, keys: readonly string[]): Promise<void> {
    for (let start = 0; start < keys.length; start += rowsPerTransaction) {
      const chunk = keys.slice(start, start + rowsPerTransaction);
      await this.#table
        .submitTransaction(chunk.map((rowKey) => ['delete', { partitionKey, rowKey }]))
        .catch(nothingWhen(404));
    }
  }
}

const emptyCommit = { outgoing: [], applied: {}, customStatus: null };

function sentinelOf(written: {
  readonly executionId: string;
  readonly outgoing: readonly Message[];
  readonly applied: Readonly<Record<string, number>>;
  readonly customStatus: string | null;
  readonly firstRow: number;
  readonly nextRow: number;
}): Record<string, string | number | boolean | Date> {
  return {
    ExecutionId: written.executionId,
    FirstRow: written.firstRow,
    NextRow: written.nextRow,
    IsCheckpointComplete: true,
    CheckpointCompletedTimestamp: new Date(),
    ...(written.customStatus !== null && { CustomStatus: written.customStatus }),
    ...(written.outgoing.length > 0 && { Outbox: JSON.stringify(written.outgoing) }),
    ...(Object.keys(written.applied).length > 0 && {
      AppliedMessages: JSON.stringify(written.applied),
    }),
  };
}

function rowKeys(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_unused, index) => rowKeyOf(from + index));
}

/** At least one chunk, so that a commit without events still writes the sentinel. */
function chunked(rows: readonly Record<string, unknown>[]): Record<string, unknown>[][] {
  const chunks: Record<string, unknown>[][] = [[]];
  let characters = 0;
  for (const row of rows) {
    const size = JSON.stringify(row).length;
    const last = chunks.at(-1) ?? [];
    if (last.length >= rowsPerTransaction || characters + size > charactersPerTransaction) {
      chunks.push([row]);
      characters = size;
    } else {
      last.push(row);
      characters += size;
    }
  }
  return chunks;
}

function httpStatusOf(error: unknown): number {
  return (error as { statusCode?: number }).statusCode ?? 0;
}

/** Null when the service answers with one of these; other errors are thrown on. */
export function nothingWhen(...statuses: number[]): (error: unknown) => null {
  return (error) => {
    if (statuses.includes(httpStatusOf(error))) return null;
    throw error;
  };
}
