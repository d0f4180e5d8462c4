import type { Action, MetaDataAction, ProtocolAction } from './actions';

/**
 * What a writer remembers of a table: never the list of its files, so that memory stays flat over
 * any number of flushes.
 */
export class Snapshot {
  /** The newest version read; -1 where the table does not exist yet. */
  version = -1;
  protocol: ProtocolAction | undefined;
  metaData: MetaDataAction | undefined;
  readonly #transactions = new Map<string, number>();

  committedThrough(appId: string): number {
    return this.#transactions.get(appId) ?? 0;
  }

  /** Of every application whose id begins so. */
  committedByTask(prefix: string): Map<string, number> {
    return new Map(Array.from(this.#transactions).filter(([appId]) => appId.startsWith(prefix)));
  }

  apply(version: number, actions: readonly Action[]): void {
    for (const { protocol, metaData, txn } of actions) {
      if (protocol) this.protocol = protocol;
      if (metaData) this.metaData = metaData;
      if (txn) this.#transactions.set(txn.appId, txn.version);
    }
    this.version = version;
  }
}
