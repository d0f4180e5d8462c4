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

export interface InstanceFilter {
  readonly createdTimeFrom?: Date;
  readonly createdTimeTo?: Date;
  readonly runtimeStatus?: readonly string[];
  readonly instanceIdPrefix?: string;
  readonly kind: 'orchestrations' | 'entities';
}

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

  async get(instanceId: string): Promise<(Instance & { readonly etag: string }) | null> {
    const found = await this.#table.getEntity(toKey(instanceId), '').catch(nothingWhen(404));
    if (found === null) return null;
    const { row } = await this.#payloads.bringIn(found);
    return { ...instanceOf(row), etag: found.etag ?? '' };
  }

  /** False: there is such an instance already, or the one to replace has changed. */
  async create(instance: Instance, replacing: { readonly etag: string } | null): Promise<boolean> {
    const row = await this.#rowOf(instance);
    const written =
      replacing === null
        ? this.#table.createEntity(row)
        : this.#table.updateEntity(row, 'Replace', { etag: replacing.etag });
    return (await written.catch(nothingWhen(409, 412, 404))) !== null;
  }

  async put(instance: Instance): Promise<void> {
    await this.#table.upsertEntity(await this.#rowOf(instance), 'Replace');
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
        const { row } = await this.#payloads.bringIn(stored);
        instances.push(instanceOf(row));
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
      const { row } = await this.#payloads.bringIn(stored);
      yield instanceOf(row);
    }
  }

  async remove(instanceId: string): Promise<void> {
    await this.#table.deleteEntity(toKey(instanceId), '').catch(nothingWhen(404));
  }

  async #rowOf(instance: Instance): Promise<Columns & { partitionKey: string; rowKey: string }> {
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
    const { columns: packed } = await this.#payloads.moveOut(partitionKey, columns);
    return { ...packed, partitionKey, rowKey: '' };
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

function queryOf(filter: InstanceFilter): string {
  const parts = [
    filter.kind === 'entities'
      ? `PartitionKey ge '@' and PartitionKey lt 'A'`
      : `(PartitionKey lt '@' or PartitionKey ge 'A')`,
  ];
  if (filter.createdTimeFrom) parts.push(odata`CreatedTime ge ${filter.createdTimeFrom}`);
  if (filter.createdTimeTo) parts.push(odata`CreatedTime le ${filter.createdTimeTo}`);
  if (filter.runtimeStatus && filter.runtimeStatus.length > 0) {
    const statuses = filter.runtimeStatus.map((status) => odata`RuntimeStatus eq ${status}`);
    parts.push(`(${statuses.join(' or ')})`);
  }
  if (filter.instanceIdPrefix) {
    const prefix = toKey(filter.instanceIdPrefix);
    const after =
      prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
    parts.push(odata`PartitionKey ge ${prefix} and PartitionKey lt ${after}`);
  }
  return parts.join(' and ');
}
