import type {
  Action,
  AddAction,
  MetaDataAction,
  ProtocolAction,
  RemoveAction,
  TransactionAction,
} from './actions';

/** The bytes of a checkpoint: Parquet for Delta, lines of JSON for the manifests of NDJSON tables. */
export interface CheckpointCodec {
  /** Ends the name of a checkpoint, e.g. `.checkpoint.parquet`. */
  readonly extension: string;
  encode(actions: readonly Action[]): Uint8Array;
  /** `summary`: everything except add and remove, which cold starts do without. */
  decode(name: string, bytes: Uint8Array, want: 'summary' | 'all'): Promise<Action[]>;
}

/** The state of a table at one version, whole. It is held only while a checkpoint is written. */
export class TableStateBuilder {
  protocol: ProtocolAction | undefined;
  metaData: MetaDataAction | undefined;
  readonly transactions = new Map<string, TransactionAction>();
  /** By path. */
  readonly files = new Map<string, AddAction>();
  /** By path; needed until every reader has forgotten the file. */
  readonly removed = new Map<string, RemoveAction>();

  /** Applies the actions of one version, or of a checkpoint. */
  apply(actions: readonly Action[]): void {
    for (const { protocol, metaData, txn, add, remove } of actions) {
      if (protocol) this.protocol = protocol;
      if (metaData) this.metaData = metaData;
      if (txn) this.transactions.set(txn.appId, txn);
      if (add) {
        this.files.set(add.path, add);
        this.removed.delete(add.path);
      }
      if (remove) {
        this.files.delete(remove.path);
        this.removed.set(remove.path, remove);
      }
    }
  }

  /** The actions of a checkpoint. Tombstones from before `tombstonesAfterMs` are left out. */
  toActions(tombstonesAfterMs: number): Action[] {
    const actions: Action[] = [];
    if (this.protocol) actions.push({ protocol: this.protocol });
    if (this.metaData) actions.push({ metaData: this.metaData });
    for (const txn of this.transactions.values()) actions.push({ txn });
    for (const remove of this.removed.values()) {
      if ((remove.deletionTimestamp ?? 0) < tombstonesAfterMs) continue;
      actions.push({ remove: { ...remove, dataChange: false } });
    }
    for (const add of this.files.values()) actions.push({ add: { ...add, dataChange: false } });
    return actions;
  }
}
