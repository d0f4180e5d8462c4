import { StreamError } from '../model/errors';
import type { Clock, ObjectStore, Telemetry } from '../model/ports';
import type { TablePlan } from '../model/table';
import { encodeActions, type Action, type AddAction, type TransactionAction } from './actions';
import { fileKey } from './checkpoint-codec';
import { readSnapshot, readVersion, type LogLocation } from './log-reader';
import { productVersion } from '../model/version';
import { versionName } from './names';
import { assertChangeable } from './protocol';
import { tableFormats } from './table-format';
import { replaceAppId, replaceOperation } from './table-reader';

/** Versions that one replacement may lose to others: each is somebody's commit that succeeded. */
const lostRacesMax = 200;

export interface Replacement {
  /** Found in the log, it says that this very replacement is done. */
  readonly token: string;
  readonly operation: string;
  /** The version at which `removes` were live. */
  readonly readVersion: number;
  /** Paths as the log has them. */
  readonly removes: readonly AddAction[];
  readonly adds: readonly AddAction[];
  /** How far applications are said to have come, in the same commit. */
  readonly transactions?: readonly TransactionAction[];
  /** True: it counts only as the very next version, for it says what the whole table holds. */
  readonly isExclusive?: boolean;
  /** False: the rows are the same ones, so followers of the table need not look at them again. */
  readonly isDataChange: boolean;
}

export type ReplaceOutcome =
  | { readonly kind: 'replaced'; readonly version: number }
  /** Somebody else changed one of the files, the schema, or anything at all: nothing was done. */
  | { readonly kind: 'superseded'; /** e.g. `version 7 changed a.parquet` */ readonly by: string };

/**
 * Takes files out of a table and others in, in one commit of its log. May be repeated and raced:
 * what others append meanwhile stays; where they removed one of the same files nothing happens.
 */
export async function replaceFiles(
  table: {
    readonly objects: ObjectStore;
    readonly plan: TablePlan;
    readonly folder: string;
    readonly clock: Clock;
    readonly telemetry: Telemetry;
  },
  replacement: Replacement,
): Promise<ReplaceOutcome> {
  const { clock, folder, objects, plan, telemetry } = table;
  const { checkpoints, logFolder } = tableFormats[plan.format];
  const location: LogLocation = {
    ...{ objects, checkpoints, telemetry },
    logFolder: `${folder}/${logFolder}`,
  };
  const removed = new Set(replacement.removes.map(fileKey));
  // Also finds holes: whoever writes on from one doubles what was written above it.
  const { metaData, protocol, version: newest } = await readSnapshot(location);
  assertChangeable({
    ...{ folder, metaData, protocol },
    removesRows: replacement.isDataChange && removed.size > 0,
  });
  let version = replacement.readVersion;
  for (let losses = 0; losses <= lostRacesMax; losses += 1) {
    for (;;) {
      const news = await readVersion(location, version + 1);
      if (news === undefined && version < newest) {
        return { kind: 'superseded', by: `version ${version + 1} was cleaned away since` };
      }
      if (news === undefined) break;
      version += 1;
      if (news.some(({ commitInfo }) => commitInfo?.txnId === replacement.token)) {
        return { kind: 'replaced', version };
      }
      const what = replacement.isExclusive === true ? 'was written' : conflictOf(news, removed);
      if (what !== undefined) return { kind: 'superseded', by: `version ${version} ${what}` };
    }
    const name = versionName(location.logFolder, version + 1);
    const bytes = encodeActions(actionsOf(replacement, clock.nowMs(), version + 1));
    if ((await putIfAbsent(objects, name, bytes)) === 'created') {
      return { kind: 'replaced', version: version + 1 };
    }
  }
  throw new StreamError(
    'STREAM_TABLE_CONTENDED',
    `the table log ${location.logFolder} was written by others ${lostRacesMax} times in a row; try again when less is flushed`,
    { details: { logFolder: location.logFolder, version } },
  );
}

/** What in a version of others forbids the replacement; undefined: nothing. */
function conflictOf(news: readonly Action[], removed: ReadonlySet<string>): string | undefined {
  for (const { add, metaData, protocol, remove } of news) {
    const file = remove ?? add;
    if (file && removed.has(fileKey(file))) return `changed ${file.path}`;
    // Columns or features that the new files may lack.
    if (metaData || protocol) return 'changed the schema or the protocol';
  }
  return undefined;
}

/** Where the answer leaves doubt the log is read: by its token our own version is known. */
async function putIfAbsent(
  objects: ObjectStore,
  name: string,
  bytes: Uint8Array,
): Promise<'created' | 'exists'> {
  try {
    return await objects.putIfAbsent(name, bytes);
  } catch (error) {
    if (!(error instanceof StreamError) || error.code !== 'STREAM_STORE_UNAVAILABLE') throw error;
    if ((await objects.get(name)) !== undefined) return 'exists';
    throw error;
  }
}

function actionsOf(replacement: Replacement, nowMs: number, version: number): Action[] {
  const { adds, isDataChange: dataChange, operation, removes, token } = replacement;
  const { transactions = [] } = replacement;
  return [
    {
      commitInfo: {
        timestamp: nowMs,
        operation,
        operationParameters: {},
        isBlindAppend: false,
        engineInfo: `millrace/${productVersion}`,
        txnId: token,
      },
    },
    ...(operation === replaceOperation ? [{ txn: { appId: replaceAppId, version } }] : []),
    ...transactions.map((txn) => ({ txn })),
    ...removes.map(({ path }) => ({ remove: { path, deletionTimestamp: nowMs, dataChange } })),
    ...adds.map((add) => ({ add: { ...add, dataChange } })),
  ];
}
