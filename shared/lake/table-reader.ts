/** What a table holds, by its transaction log: for jobs, queries, audits and tests. */
import { StreamError } from '../model/errors';
import type { ObjectStore, Telemetry } from '../model/ports';
import type { TablePlan } from '../model/table';
import type { AddAction, MetaDataAction, ProtocolAction } from './actions';
import { fileName } from './file-path';
import { readState } from './log-reader';
import { assertReadable } from './protocol';
import { tableFormats } from './table-format';

export interface TableFile {
  /** The object's whole name in the store; inside the table's folder. */
  readonly name: string;
  readonly partitionValues: Readonly<Record<string, string | null>>;
  readonly bytes: number;
  /** As the log says; null: it does not say. */
  readonly rows: number | null;
  /** As the log has it. */
  readonly add: AddAction;
}

export interface TableContents {
  /** -1: there is no table. */
  readonly version: number;
  readonly protocol: ProtocolAction | undefined;
  readonly metaData: MetaDataAction | undefined;
  /** The files that make up the table at this version. */
  readonly files: readonly TableFile[];
  /** Of the files whose rows the log counts: of all that were written here. */
  readonly rows: number;
  /** Per task: the last commit whose rows are in the table. */
  readonly flushedThrough: ReadonlyMap<string, number>;
  /** The version in which others last took the place of all its files; null: none did. */
  readonly replacedAt: number | null;
}

/** The operation by which a table's files are exchanged for others. */
export const replaceOperation = 'REPLACE TABLE';
/** Its `txn` action keeps the version in checkpoints, when the commit itself was cleaned away. */
export const replaceAppId = 'millrace:replaced';

const silent: Telemetry = { emit: () => undefined };

/**
 * The table at a version, by default the newest. Rejects with STREAM_LOG_CORRUPT where the log is
 * damaged or a version is missing, and with STREAM_TABLE_INCOMPATIBLE where the table has features
 * that are not implemented here, or files outside its folder.
 */
export async function readTable(options: {
  readonly objects: ObjectStore;
  readonly folder: string;
  readonly format: TablePlan['format'];
  readonly version?: number;
  readonly telemetry?: Telemetry;
}): Promise<TableContents> {
  const { objects, folder, format, telemetry = silent, version: versionMax } = options;
  const { checkpoints, logFolder, provider } = tableFormats[format];
  const location = { objects, checkpoints, telemetry, logFolder: `${folder}/${logFolder}` };
  const state = await readState(location, versionMax);
  const { metaData, protocol, version } = state;
  if (version < 0) return noTable;
  if (metaData === undefined || protocol === undefined) throw withoutHead(location.logFolder);
  if (metaData.format.provider !== provider) {
    throw new StreamError(
      'STREAM_TABLE_INCOMPATIBLE',
      `the files of table ${folder} are ${metaData.format.provider}, not ${provider}: read it as what it is`,
      { details: { folder, provider: metaData.format.provider } },
    );
  }
  assertReadable({ folder, metaData, protocol, files: state.files.values() });
  const files = Array.from(state.files.values(), (add) => tableFile(folder, add));
  const flushedThrough = new Map<string, number>();
  for (const { appId, version: commit } of state.transactions.values()) {
    if (appId !== replaceAppId) flushedThrough.set(appId, commit);
  }
  return {
    ...{ version, protocol, metaData, files, flushedThrough },
    rows: files.reduce((sum, { rows }) => sum + (rows ?? 0), 0),
    replacedAt: state.transactions.get(replaceAppId)?.version ?? null,
  };
}

const noTable: TableContents = {
  ...{ version: -1, protocol: undefined, metaData: undefined, files: [], rows: 0 },
  ...{ flushedThrough: new Map(), replacedAt: null },
};

function withoutHead(logFolder: string): StreamError {
  return new StreamError(
    'STREAM_LOG_CORRUPT',
    `the table log ${logFolder} has no protocol or no metaData action; restore its first version from a backup`,
    { details: { logFolder } },
  );
}

/** What an add of the log says; rejects one outside the table's folder. */
export function tableFile(folder: string, add: AddAction): TableFile {
  return {
    name: fileName(folder, add.path),
    partitionValues: add.partitionValues,
    bytes: add.size,
    rows: countOf(add.stats),
    add,
  };
}

/** Statistics may be left out, and what others wrote there may be anything. */
function countOf(stats: string | null | undefined): number | null {
  try {
    const { numRecords } = JSON.parse(stats ?? '{}') as { numRecords?: unknown };
    return typeof numRecords === 'number' ? numRecords : null;
  } catch {
    return null;
  }
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
