/**
 * A small reader of tables for tests and the command line. It shares nothing with the writer except
 * the parsing of log lines: it replays the whole log from its first version.
 */
import { StreamError } from '../model/errors';
import type { ObjectStore } from '../model/ports';
import type { TablePlan } from '../model/table';
import type { AddAction, MetaDataAction } from './actions';
import { decodeActions } from './actions';
import { decodePath, versionName } from './names';
import { tableFormats } from './table-format';

export interface TableFile {
  /** The object's whole name in the store. */
  readonly name: string;
  readonly partitionValues: Readonly<Record<string, string | null>>;
  readonly bytes: number;
  readonly rows: number;
  /** As the log has it. */
  readonly add: AddAction;
}

export interface TableContents {
  /** -1: there is no table. */
  readonly version: number;
  readonly metaData: MetaDataAction | undefined;
  /** The files that make up the table at this version. */
  readonly files: readonly TableFile[];
  readonly rows: number;
  /** Per task: the last commit whose rows are in the table. */
  readonly flushedThrough: ReadonlyMap<string, number>;
  /** The version in which a backfill last took the place of everything; null: none did. */
  readonly replacedAt: number | null;
}

/** The operation by which a table's files are exchanged for others. */
export const replaceOperation = 'REPLACE TABLE';

/** The table at a version, by default the newest. Rejects with STREAM_LOG_CORRUPT. */
export async function readTable(options: {
  readonly objects: ObjectStore;
  readonly folder: string;
  readonly format: TablePlan['format'];
  readonly version?: number;
}): Promise<TableContents> {
  const { objects, folder, format, version: versionMax = Infinity } = options;
  const logFolder = `${folder}/${tableFormats[format].logFolder}`;
  const live = new Map<string, AddAction>();
  const flushedThrough = new Map<string, number>();
  let metaData: MetaDataAction | undefined;
  let version = -1;
  let replacedAt: number | null = null;
  while (version < versionMax) {
    const name = versionName(logFolder, version + 1);
    const bytes = await objects.get(name);
    if (bytes === undefined) break;
    version += 1;
    for (const action of decodeActions(name, bytes)) {
      metaData = action.metaData ?? metaData;
      if (action.commitInfo?.operation === replaceOperation) replacedAt = version;
      if (action.txn) flushedThrough.set(action.txn.appId, action.txn.version);
      if (action.add) addFile(live, action.add, name);
      if (action.remove) live.delete(action.remove.path);
    }
  }
  const files = Array.from(live.values(), (add) => toFile(folder, add));
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  return { version, metaData, files, rows, flushedThrough, replacedAt };
}

function addFile(live: Map<string, AddAction>, add: AddAction, name: string): void {
  if (live.has(add.path)) {
    throw new StreamError(
      'STREAM_LOG_CORRUPT',
      `${name} adds ${add.path}, which the table holds already; restore the log from a backup`,
      { details: { name, path: add.path } },
    );
  }
  live.set(add.path, add);
}

function toFile(folder: string, add: AddAction): TableFile {
  const stats = JSON.parse(add.stats ?? '{}') as { numRecords?: number };
  return {
    name: `${folder}/${decodePath(add.path)}`,
    partitionValues: add.partitionValues,
    bytes: add.size,
    rows: stats.numRecords ?? 0,
    add,
  };
}

/** The files that make up a table now. */
export async function listLiveFiles(options: {
  readonly objects: ObjectStore;
  readonly folder: string;
  /** Default `delta`. */
  readonly format?: TablePlan['format'];
}): Promise<readonly TableFile[]> {
  return (await readTable({ ...options, format: options.format ?? 'delta' })).files;
}
