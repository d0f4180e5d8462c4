/**
 * The actions of a table's transaction log, one JSON object a line, as the Delta Lake protocol
 * names them ("Actions" in github.com/delta-io/delta, PROTOCOL.md). Manifests of NDJSON tables use
 * the same ones, so one piece of code keeps the promise for both.
 */
import { StreamError } from '../model/errors';
import { validateAction } from './validate-actions';

export interface ProtocolAction {
  readonly minReaderVersion: number;
  readonly minWriterVersion: number;
  readonly readerFeatures?: readonly string[] | null;
  readonly writerFeatures?: readonly string[] | null;
}

export interface MetaDataAction {
  readonly id: string;
  readonly name?: string | null;
  readonly description?: string | null;
  readonly format: {
    readonly provider: string;
    readonly options: Readonly<Record<string, string>>;
  };
  /** A JSON text: the schema as Spark writes it. */
  readonly schemaString: string;
  readonly partitionColumns: readonly string[];
  readonly configuration: Readonly<Record<string, string>>;
  readonly createdTime?: number | null;
}

/** Rows of a file that count as deleted. Nothing of ours writes or reads one: such tables are refused. */
interface DeletionVector {
  readonly storageType?: string;
  readonly pathOrInlineDv?: string;
  readonly offset?: number | null;
}

/** A data file becomes part of the table. */
export interface AddAction {
  /** Relative to the table's folder, URI-encoded. */
  readonly path: string;
  readonly partitionValues: Readonly<Record<string, string | null>>;
  readonly size: number;
  readonly modificationTime: number;
  readonly dataChange: boolean;
  /** A JSON text: `numRecords`, `minValues`, `maxValues`, `nullCount`. */
  readonly stats?: string | null;
  readonly deletionVector?: DeletionVector | null;
  /** What other tools noted of the file. */
  readonly tags?: Readonly<Record<string, string | null>> | null;
}

export interface RemoveAction {
  readonly path: string;
  readonly deletionTimestamp?: number | null;
  readonly dataChange: boolean;
  readonly deletionVector?: DeletionVector | null;
  /** What the removed add said, where its remover repeated it. */
  readonly extendedFileMetadata?: boolean | null;
  readonly partitionValues?: Readonly<Record<string, string | null>> | null;
  readonly size?: number | null;
  readonly stats?: string | null;
  readonly tags?: Readonly<Record<string, string | null>> | null;
}

/** How far an application has come: what makes a repeated flush stop. */
export interface TransactionAction {
  readonly appId: string;
  readonly version: number;
  readonly lastUpdated?: number | null;
}

interface CommitInfoAction {
  readonly timestamp: number;
  readonly operation: string;
  readonly operationParameters: Readonly<Record<string, unknown>>;
  readonly isBlindAppend: boolean;
  readonly engineInfo: string;
  /** Unique to one flush: finding it in the log means that the flush's own commit succeeded. */
  readonly txnId: string;
}

/** Names a file in `_delta_log/_sidecars/` that holds a part of a checkpoint's files. */
interface SidecarAction {
  readonly path: string;
  readonly sizeInBytes: number;
}

export interface Action {
  readonly commitInfo?: CommitInfoAction;
  readonly protocol?: ProtocolAction;
  readonly metaData?: MetaDataAction;
  readonly txn?: TransactionAction;
  readonly add?: AddAction;
  readonly remove?: RemoveAction;
  readonly sidecar?: SidecarAction;
}

export function encodeActions(actions: readonly Action[]): Uint8Array {
  return Buffer.from(actions.map((action) => `${JSON.stringify(action)}\n`).join(''), 'utf8');
}

/** Rejects bytes that are not whole lines of well-formed actions with STREAM_LOG_CORRUPT. */
export function decodeActions(name: string, bytes: Uint8Array): Action[] {
  const actions: Action[] = [];
  for (const line of decodeText(name, bytes).split('\n')) {
    if (line.trim() === '') continue;
    actions.push(validateAction(parseLine(name, line), (what) => corruptEntry(name, what)));
  }
  if (actions.length === 0) throw corruptEntry(name, 'it holds no action');
  return actions;
}

function decodeText(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw corruptEntry(name, 'it is not UTF-8', cause);
  }
}

function parseLine(name: string, line: string): object {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw corruptEntry(name, 'a line is not JSON', cause);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw corruptEntry(name, 'a line is not a JSON object');
  }
  return parsed;
}

/** A blob of a table's log that cannot be understood. */
export function corruptEntry(name: string, what: string, cause?: unknown): StreamError {
  return new StreamError(
    'STREAM_LOG_CORRUPT',
    `the table log entry ${name} cannot be read: ${what}; restore the blob from a backup or a soft-deleted version`,
    { cause, details: { name } },
  );
}
