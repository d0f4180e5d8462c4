import type {
  Action,
  AddAction,
  MetaDataAction,
  ProtocolAction,
  RemoveAction,
  TransactionAction,
} from './actions';
import { decodePath } from './names';

/** The bytes of a checkpoint: Parquet for Delta, lines of JSON for the manifests of NDJSON tables. */
export interface CheckpointCodec {
  /** Ends the name of a checkpoint, e.g. `.checkpoint.parquet`. */
  readonly extension: string;
  encode(actions: readonly Action[]): Uint8Array;
  /** `summary`: everything except add and remove, which cold starts do without. */
  decode(name: string, bytes: Uint8Array, want: 'summary' | 'all'): Promise<Action[]>;
}

/**
 * The state of a table at one version, whole ("Action Reconciliation" of the Delta protocol): of all
 * actions about a file the last one counts. Held only while a table is read or a checkpoint written.
 */
export class TableStateBuilder {
  /** The newest version applied; -1: there is no table. */
  version = -1;
  protocol: ProtocolAction | undefined;
  metaData: MetaDataAction | undefined;
  readonly transactions = new Map<string, TransactionAction>();
  /** By `fileKey`. */
  readonly files = new Map<string, AddAction>();
  /** By `fileKey`; needed until every reader has forgotten the file. */
  readonly removed = new Map<string, RemoveAction>();

  /** Applies the actions of one version, or of a checkpoint. */
  apply(version: number, actions: readonly Action[]): void {
    this.version = version;
    for (const { protocol, metaData, txn, add, remove } of actions) {
      if (protocol) this.protocol = protocol;
      if (metaData) this.metaData = metaData;
      if (txn) this.transactions.set(txn.appId, txn);
      if (add) {
        const key = fileKey(add);
        this.files.set(key, add);
        this.removed.delete(key);
      }
      if (remove) {
        const key = fileKey(remove);
        this.files.delete(key);
        this.removed.set(key, remove);
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

/**
 * What makes two actions be about the same file: its decoded path, since tools encode differently,
 * and the id of its deletion vector.
 */
export function fileKey({
  path,
  deletionVector,
}: Pick<AddAction, 'path' | 'deletionVector'>): string {
  const decoded = decodePath(path);
  if (!deletionVector) return decoded;
  const { offset, pathOrInlineDv, storageType } = deletionVector;
  return JSON.stringify([decoded, storageType, pathOrInlineDv, offset ?? null]);
}
