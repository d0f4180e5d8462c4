/** Table `{hub}Instances`: one row per instance, what status queries read. */
import { odata, type TableClient } from '@azure/data-tables';
import { nothingWhen } from './history-store';
import { fromKey, toKey } from './names';
import type { RuntimeStatus } from './execution';
import type { LargePayloads } from './payloads';
import type { Columns } from './rows';

export interface Instance {
  readonly instanceId: string;
  readonly executionId: string;
  readonly name: string;
  readonly version: string | null;
  /** Null: a client started it. */
  readonly parentInstanceId: string | null;
  /** JSON text. */
  readonly input: string | null;
  /** JSON text when completed; plain text when failed or terminated. */
  readonly output: string | null;
  /** JSON text. */
  readonly customStatus: string | null;
  readonly runtimeStatus: RuntimeStatus;
  readonly createdTime: Date;
  readonly lastUpdatedTime: Date;
  readonly completedTime: Date | null;
}

/** A row as it was read or written. */
export interface InstanceRow extends Instance {
  readonly etag: string;
  /** Its long texts, and the blob that each is in. */
  readonly moved: ReadonlyMap<string, string>;
}

/** Entities are instances too: their ids begin with `@`. */
export interface InstanceFilter {
  readonly createdTimeFrom?: Date;
  readonly createdTimeTo?: Date;
  readonly lastUpdatedTimeFrom?: Date;
  readonly lastUpdatedTimeTo?: Date;
  readonly runtimeStatus?: readonly string[];
  readonly instanceIdPrefix?: string;
}

/** Of a row that is written again and again while it is read. */
const readAttemptsMax = 20;

export const finalStatuses: readonly string[] = ['Completed', 'Failed', 'Terminated', 'Canceled'];

export class InstanceStore {
  readonly #table: TableClient;
  readonly #payloads: LargePayloads;
  readonly #hubName: string;

  constructor(table: TableClient, payloads: LargePayloads, hubName: string) {
    this.#table = table;
    this.#payloads = payloads;
    this.#hubName = hubName;
  }

  async get(instanceId: string): Promise<InstanceRow | null> {
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#table.getEntity(toKey(instanceId), '').catch(nothingWhen(404));
      if (found === null) return null;
      // A blob that is gone: the row was written anew since it was read.
      const whole = await this.#payloads
        .bringIn(found)
        .catch(attempt < readAttemptsMax ? nothingWhen(404) : undefined);
      if (whole === null) continue;
      return { ...instanceOf(whole.row), etag: found.etag ?? '', moved: whole.moved };
    }
  }

  /**
   * Writes a row in the place of the one that was read or written before; null: there was none.
   * Resolves to null when that one has changed meanwhile: then nothing is written.
   */
  async put(instance: Instance, before: InstanceRow | null): Promise<InstanceRow | null> {
    const known = before?.moved ?? new Map<string, string>();
    const { row, moved } = await this.#rowOf(instance, known);
    const written = await (before === null
      ? this.#table.createEntity(row).catch(nothingWhen(409))
      : this.#table
          .updateEntity(row, 'Replace', { etag: before.etag })
          .catch(nothingWhen(404, 412)));
    // Nothing is removed then: the answer to a write that landed may be lost, and the row have the new blobs.
    if (written === null) return null;
    const kept = new Set(moved.values());
    await this.#payloads.remove([...known.values()].filter((blob) => !kept.has(blob)));
    return { ...instance, etag: written.etag ?? '', moved };
  }

  /** One page; the token continues where it ended. */
  async page(
    filter: InstanceFilter,
    options: { readonly size: number; readonly token: string | null },
  ): Promise<{ readonly instances: Instance[]; readonly token: string | null }> {
    const pages = this.#table.listEntities({ queryOptions: { filter: queryOf(filter) } }).byPage({
      maxPageSize: options.size,
      ...(options.token !== null && { continuationToken: options.token }),
    });
    for await (const page of pages) {
      const instances: Instance[] = [];
      for (const stored of page) {
        const instance = await this.#whole(stored);
        if (instance !== null) instances.push(instance);
      }
      const { continuationToken } = page as { continuationToken?: string };
      return { instances, token: continuationToken ?? null };
    }
    return { instances: [], token: null };
  }

  async *all(filter: InstanceFilter): AsyncGenerator<Instance> {
    for await (const stored of this.#table.listEntities({
      queryOptions: { filter: queryOf(filter) },
    })) {
      const instance = await this.#whole(stored);
      if (instance !== null) yield instance;
    }
  }

  /** A row of a listing; null: it is gone meanwhile. */
  async #whole(stored: Readonly<Record<string, unknown>>): Promise<Instance | null> {
    const whole = await this.#payloads.bringIn(stored).catch(nothingWhen(404));
    if (whole !== null) return instanceOf(whole.row);
    return this.get(fromKey(String(stored['partitionKey'])));
  }

  async remove(instanceId: string): Promise<void> {
    await this.#table.deleteEntity(toKey(instanceId), '').catch(nothingWhen(404));
  }

  async #rowOf(
    instance: Instance,
    known: ReadonlyMap<string, string>,
  ): Promise<{
    readonly row: Columns & { partitionKey: string; rowKey: string };
    readonly moved: ReadonlyMap<string, string>;
  }> {
    const partitionKey = toKey(instance.instanceId);
    const columns: Columns = {
      ExecutionId: instance.executionId,
      Name: instance.name,
      RuntimeStatus: instance.runtimeStatus,
      CreatedTime: instance.createdTime,
      LastUpdatedTime: instance.lastUpdatedTime,
      TaskHubName: this.#hubName,
      ...(instance.version !== null && { Version: instance.version }),
      ...(instance.parentInstanceId !== null && { ParentInstanceId: instance.parentInstanceId }),
      ...(instance.input !== null && { Input: instance.input }),
      ...(instance.output !== null && { Output: instance.output }),
      ...(instance.customStatus !== null && { CustomStatus: instance.customStatus }),
      ...(instance.completedTime !== null && { CompletedTime: instance.completedTime }),
    };
    const { columns: packed, moved } = await this.#payloads.moveOut(partitionKey, columns, known);
    return { row: { ...packed, partitionKey, rowKey: '' }, moved };
  }
}

function instanceOf(row: Readonly<Record<string, unknown>>): Instance {
  const text = (name: string): string | null => (row[name] as string | undefined) ?? null;
  return {
    instanceId: fromKey(String(row['partitionKey'])),
    executionId: text('ExecutionId') ?? '',
    name: text('Name') ?? '',
    version: text('Version'),
    parentInstanceId: text('ParentInstanceId'),
    input: text('Input'),
    output: text('Output'),
    customStatus: text('CustomStatus'),
    runtimeStatus: text('RuntimeStatus') as RuntimeStatus,
    createdTime: row['CreatedTime'] as Date,
    lastUpdatedTime: row['LastUpdatedTime'] as Date,
    completedTime: (row['CompletedTime'] as Date | undefined) ?? null,
  };
}

/** Whether the table's client would take a text for the place where a page ended. */
export function isPageToken(text: string): boolean {
  try {
    const place: unknown = JSON.parse(Buffer.from(text, 'base64').toString());
    if (typeof place !== 'object' || place === null) return false;
    const { nextPartitionKey, nextRowKey = '' } = place as Readonly<Record<string, unknown>>;
    return typeof nextPartitionKey === 'string' && typeof nextRowKey === 'string';
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** Empty: all. */
function queryOf(filter: InstanceFilter): string {
  const { createdTimeFrom, createdTimeTo, lastUpdatedTimeFrom, lastUpdatedTimeTo } = filter;
  const parts: string[] = [];
  if (createdTimeFrom) parts.push(odata`CreatedTime ge ${createdTimeFrom}`);
  if (createdTimeTo) parts.push(odata`CreatedTime le ${createdTimeTo}`);
  if (lastUpdatedTimeFrom) parts.push(odata`LastUpdatedTime ge ${lastUpdatedTimeFrom}`);
  if (lastUpdatedTimeTo) parts.push(odata`LastUpdatedTime le ${lastUpdatedTimeTo}`);
  if (filter.runtimeStatus && filter.runtimeStatus.length > 0) {
    const statuses = filter.runtimeStatus.map((status) => odata`RuntimeStatus eq ${status}`);
    parts.push(`(${statuses.join(' or ')})`);
  }
  if (filter.instanceIdPrefix) {
    const prefix = toKey(filter.instanceIdPrefix);
    parts.push(odata`PartitionKey ge ${prefix} and PartitionKey lt ${afterAll(prefix)}`);
  }
  return parts.join(' and ');
}

/** The first text, in the order of UTF-16, behind all that begin with this one. */
function afterAll(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
