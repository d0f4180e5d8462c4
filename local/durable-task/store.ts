import { TableClient } from '@azure/data-tables';
import { HistoryStore } from './history-store';
import { InboxStore } from './inbox-store';
import { InstanceStore } from './instance-store';
import { PartitionTable } from './partitions';
import { LargePayloads } from './payloads';

/** A task hub in a storage account: tables and one container named after it. */
export class TaskHubStore {
  readonly history: HistoryStore;
  readonly instances: InstanceStore;
  readonly inbox: InboxStore;
  readonly partitions: PartitionTable;
  readonly #tables: readonly TableClient[];
  readonly #payloads: LargePayloads;

  constructor(connectionString: string, hubName: string) {
    const open = (name: string): TableClient =>
      TableClient.fromConnectionString(connectionString, `${hubName}${name}`, {
        allowInsecureConnection: true,
      });
    const history = open('History');
    const instances = open('Instances');
    const inbox = open('Inbox');
    const partitions = open('Partitions');
    this.#tables = [history, instances, inbox, partitions];
    this.#payloads = new LargePayloads(connectionString, hubName);
    this.history = new HistoryStore(history, this.#payloads);
    this.instances = new InstanceStore(instances, this.#payloads, hubName);
    this.inbox = new InboxStore(inbox, this.#payloads);
    this.partitions = new PartitionTable(partitions);
  }

  async initialize(): Promise<void> {
    // The service's answer to a table that exists is no error to this client.
    await Promise.all([
      ...this.#tables.map((table) => table.createTable()),
      this.#payloads.initialize(),
    ]);
  }

  async purge(instanceId: string): Promise<void> {
    await this.inbox.removeAll(instanceId);
    await this.history.remove(instanceId);
    await this.instances.remove(instanceId);
  }
}
