import { BlobAppendStore } from '../shared/adapters/blob-append-store';
import {
  connectContainer,
  type BlobAccount,
  type BlobContainer,
} from '../shared/adapters/blob-container';
import { BlobObjectStore } from '../shared/adapters/blob-object-store';
import { LedgerReader } from '../shared/ledger/ledger-reader';
import { firstVersion } from '../shared/model/version-name';
import { markDrain } from '../shared/operations/decisions/drain-mark';
import { PlanStore } from '../shared/operations/decisions/plan-store';
import { WrongUse } from './arguments';

/** What the command line reads of an app's storage. */
export interface Store {
  readonly appends: BlobAppendStore;
  readonly commits: BlobObjectStore;
  readonly lake: BlobObjectStore;
  /** Tells two lakes apart. */
  readonly lakeAddress: string;
  ledger(topology: string): LedgerReader;
}

/** `location` is a connection string, or a blob endpoint that is reached as who is logged in. */
export function openStore(location: string): Store {
  const account: BlobAccount = location.startsWith('https://')
    ? { blobServiceUri: location }
    : { connectionString: location };
  const container = connect(account, 'millrace');
  const appends = new BlobAppendStore(container);
  const commits = new BlobObjectStore(container);
  const lakeContainer = connect(account, 'lake');
  const lake = new BlobObjectStore(lakeContainer);
  return {
    appends,
    commits,
    lake,
    lakeAddress: lakeContainer.client.url,
    ledger: (topology) => new LedgerReader({ appends, topology }),
  };
}

/** Nothing is asked yet: what fails is the text. It is not said again, for it may hold a key. */
function connect(account: BlobAccount, container: string): BlobContainer {
  try {
    return connectContainer({ ...account, container });
  } catch (error) {
    throw new WrongUse(
      `--storage is neither a storage connection string nor an https:// blob endpoint (${(error as Error).message})`,
    );
  }
}

/** Asks the running workers to end a topology: windows close, everything is flushed. */
export async function drain(store: Store, topology: string): Promise<{ readonly version: string }> {
  const newest = await new PlanStore(store.commits).newest(topology);
  const version = newest?.version ?? firstVersion;
  await markDrain(store.commits, { topology, version });
  return { version };
}
