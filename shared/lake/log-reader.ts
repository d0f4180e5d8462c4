import { StreamError } from '../model/errors';
import type { ObjectStore, Telemetry } from '../model/ports';
import type { Action } from './actions';
import { decodeActions } from './actions';
import type { CheckpointCodec } from './checkpoint-codec';
import { TableStateBuilder } from './checkpoint-codec';
import { paddedVersion, versionName } from './names';
import { Snapshot } from './snapshot';

/** Versions read at once while a cold start catches up. */
const coldReadsInFlight = 8;

export interface LogLocation {
  readonly objects: ObjectStore;
  /** e.g. `tables/flights/_delta_log`. */
  readonly logFolder: string;
  readonly checkpoints: CheckpointCodec;
  readonly telemetry: Telemetry;
}

/** One version of the log; undefined: it was not written yet. */
export async function readVersion(
  { objects, logFolder, telemetry }: LogLocation,
  version: number,
): Promise<Action[] | undefined> {
  const name = versionName(logFolder, version);
  const bytes = await objects.get(name);
  if (bytes === undefined) return undefined;
  try {
    return decodeActions(name, bytes);
  } catch (error) {
    // Damaged on its way here, or for good? Only the second answer decides.
    telemetry.emit('warn', 'table.log-entry-read-again', { name, error: String(error) });
    return decodeActions(name, (await objects.get(name)) ?? bytes);
  }
}

/**
 * The table as it is now: from the checkpoint that `_last_checkpoint` hints at, and the versions
 * after it. The hint may be missing, late or rubbish: then the log is listed, this once.
 */
export async function readSnapshot(location: LogLocation): Promise<Snapshot> {
  const snapshot = new Snapshot();
  const hinted = await readHint(location);
  if (hinted !== undefined && (await startAt(location, snapshot, hinted))) {
    await catchUp(location, snapshot);
    return snapshot;
  }
  const files = await listLog(location);
  for (const version of checkpointVersions(location, files)) {
    if (version !== hinted && (await startAt(location, snapshot, version))) break;
  }
  await catchUp(location, snapshot);
  if (snapshot.version < 0 && files.some((file) => /^\d{20}\./.test(file))) {
    throw withoutBeginning(location);
  }
  return snapshot;
}

async function catchUp(location: LogLocation, snapshot: Snapshot): Promise<void> {
  for (;;) {
    const first = snapshot.version + 1;
    const versions = Array.from({ length: coldReadsInFlight }, (_, index) => first + index);
    const read = await Promise.all(versions.map((version) => readVersion(location, version)));
    for (const [index, actions] of read.entries()) {
      if (actions === undefined) return;
      snapshot.apply(first + index, actions);
    }
  }
}

async function startAt(
  location: LogLocation,
  snapshot: Snapshot,
  version: number,
): Promise<boolean> {
  const actions = await readCheckpoint(location, version, 'summary');
  if (actions === undefined) return false;
  snapshot.apply(version, actions);
  return true;
}

/**
 * A checkpoint's actions; undefined where there is none or it cannot be read, which costs time
 * only, since the log before it is kept.
 */
async function readCheckpoint(
  location: LogLocation,
  version: number,
  want: 'summary' | 'all',
): Promise<Action[] | undefined> {
  const name = checkpointName(location, version);
  const bytes = await location.objects.get(name);
  if (bytes === undefined) return undefined;
  try {
    const actions = await location.checkpoints.decode(name, bytes, want);
    const complete = actions.some((action) => action.protocol) && actions.some((a) => a.metaData);
    if (complete) return actions;
    location.telemetry.emit('warn', 'table.checkpoint-incomplete', { name });
  } catch (error) {
    location.telemetry.emit('warn', 'table.checkpoint-unreadable', { name, error: String(error) });
  }
  return undefined;
}

export function checkpointName({ logFolder, checkpoints }: LogLocation, version: number): string {
  return `${logFolder}/${paddedVersion(version)}${checkpoints.extension}`;
}

export function hintName({ logFolder }: LogLocation): string {
  return `${logFolder}/_last_checkpoint`;
}

async function readHint(location: LogLocation): Promise<number | undefined> {
  const name = hintName(location);
  const bytes = await location.objects.get(name);
  if (bytes === undefined) return undefined;
  try {
    const hint = JSON.parse(Buffer.from(bytes).toString('utf8')) as { version?: unknown } | null;
    const version = hint?.version;
    if (typeof version === 'number' && Number.isSafeInteger(version) && version >= 0) {
      return version;
    }
    location.telemetry.emit('warn', 'table.checkpoint-hint-unreadable', { name });
  } catch (error) {
    location.telemetry.emit('warn', 'table.checkpoint-hint-unreadable', {
      name,
      error: String(error),
    });
  }
  return undefined;
}

async function listLog({ objects, logFolder }: LogLocation): Promise<string[]> {
  const found = await objects.list(`${logFolder}/`);
  return found.map(({ name }) => name.slice(logFolder.length + 1));
}

/** Versions of all checkpoints, newest first. */
function checkpointVersions({ checkpoints }: LogLocation, files: readonly string[]): number[] {
  return files
    .filter((file) => file.endsWith(checkpoints.extension))
    .map((file) => file.slice(0, -checkpoints.extension.length))
    .filter((digits) => /^\d{20}$/.test(digits))
    .map(Number)
    .sort((left, right) => right - left);
}

/** To start such a table anew would hide all that is in it. */
function withoutBeginning({ logFolder }: LogLocation): StreamError {
  return new StreamError(
    'STREAM_TABLE_INCOMPATIBLE',
    `the table log ${logFolder} has neither its first version nor a checkpoint that this writer can read ` +
      '(one Parquet file named after its version); have the tool that cleaned it write a classic checkpoint, or give the table another name',
    { details: { logFolder } },
  );
}

/**
 * The whole state at a version, its files included: from the checkpoint of the hint, else from the
 * log's beginning. Rejects with STREAM_LOG_CORRUPT where the log has a hole.
 */
export async function readState(
  location: LogLocation,
  version: number,
): Promise<TableStateBuilder> {
  const state = new TableStateBuilder();
  let next = 0;
  const hinted = await readHint(location);
  if (hinted !== undefined && hinted <= version) {
    const actions = await readCheckpoint(location, hinted, 'all');
    if (actions !== undefined) {
      state.apply(actions);
      next = hinted + 1;
    }
  }
  for (; next <= version; next += 1) {
    const actions = await readVersion(location, next);
    if (actions === undefined) throw missingVersion(location, next);
    state.apply(actions);
  }
  return state;
}

function missingVersion(location: LogLocation, version: number): StreamError {
  const name = versionName(location.logFolder, version);
  return new StreamError(
    'STREAM_LOG_CORRUPT',
    `the table log has a hole: ${name} is missing though later versions exist; restore the blob`,
    { details: { name } },
  );
}
