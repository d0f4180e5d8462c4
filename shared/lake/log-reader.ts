import { StreamError } from '../model/errors';
import type { ObjectStore, Telemetry } from '../model/ports';
import type { Action } from './actions';
import { decodeActions } from './actions';
import type { CheckpointCodec } from './checkpoint-codec';
import { TableStateBuilder } from './checkpoint-codec';
import { readCheckpoint } from './checkpoint-reader';
import type { LogListing } from './log-listing';
import { listLog } from './log-listing';
import { paddedVersion, versionName } from './names';
import { Snapshot } from './snapshot';

/** Versions read at once. */
const readsInFlight = 8;
/** A log that another tool cleans while it is read is listed again so often. */
const listingsMax = 3;

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
 * What a writer needs of the table as it is now. Rejects with STREAM_LOG_CORRUPT where a version is
 * missing below the newest: whoever wrote on from the hole would lose rows and double others.
 */
export function readSnapshot(location: LogLocation): Promise<Snapshot> {
  return replay(location, 'summary', Infinity, () => new Snapshot());
}

/** The whole state at a version (by default the newest), its files included. Rejects alike. */
export function readState(location: LogLocation, version = Infinity): Promise<TableStateBuilder> {
  return replay(location, 'all', version, () => new TableStateBuilder());
}

interface Replayed {
  readonly version: number;
  apply(version: number, actions: readonly Action[]): void;
}

/**
 * Replays a log as Delta says: from the newest checkpoint that can be read, which a listing finds,
 * then every version after it. Where no checkpoint can be read it begins at version 0.
 */
async function replay<State extends Replayed>(
  location: LogLocation,
  want: 'summary' | 'all',
  versionMax: number,
  create: () => State,
): Promise<State> {
  for (let listings = 1; ; listings += 1) {
    const listing = await listLog(location.objects, location.logFolder);
    const state = create();
    const unreadable = await startAtCheckpoint(location, listing, { want, versionMax, state });
    const missing = await readOn(location, state, Math.min(listing.newest, versionMax));
    if (missing === undefined) {
      if (state.version < 0 && listing.hasHint) throw withoutBeginning(location, listing, []);
      return state;
    }
    // Listed a moment ago: it is being cleaned away, behind a newer checkpoint.
    if (listing.versions.has(missing) && listings < listingsMax) continue;
    if (state.version < 0) throw withoutBeginning(location, listing, unreadable);
    throw missingVersion(location, missing, listing.newest);
  }
}

/** Applies the newest checkpoint that can be read; what was wrong with those that could not. */
async function startAtCheckpoint(
  location: LogLocation,
  { checkpoints }: LogListing,
  {
    state,
    versionMax,
    want,
  }: { readonly state: Replayed; readonly versionMax: number; readonly want: 'summary' | 'all' },
): Promise<string[]> {
  const unreadable: string[] = [];
  for (const checkpoint of checkpoints) {
    if (checkpoint.version > versionMax) continue;
    try {
      state.apply(checkpoint.version, await readCheckpoint(location, checkpoint, want));
      return unreadable;
    } catch (error) {
      if (!(error instanceof StreamError) || error.code !== 'STREAM_LOG_CORRUPT') throw error;
      // It costs time only, as long as the log before it is kept.
      const names = checkpoint.names.join(', ');
      location.telemetry.emit('warn', 'table.checkpoint-unreadable', {
        ...{ names, error: error.message },
      });
      unreadable.push(error.message);
    }
  }
  return unreadable;
}

/** Applies the versions after the state's own; the first one that is missing, if any is. */
async function readOn(
  location: LogLocation,
  state: Replayed,
  last: number,
): Promise<number | undefined> {
  while (state.version < last) {
    const first = state.version + 1;
    const count = Math.min(readsInFlight, last - state.version);
    const versions = Array.from({ length: count }, (_, index) => first + index);
    const read = await Promise.all(versions.map((version) => readVersion(location, version)));
    for (const [index, actions] of read.entries()) {
      if (actions === undefined) return first + index;
      state.apply(first + index, actions);
    }
  }
  return undefined;
}

export function checkpointName({ logFolder, checkpoints }: LogLocation, version: number): string {
  return `${logFolder}/${paddedVersion(version)}${checkpoints.extension}`;
}

export function hintName({ logFolder }: LogLocation): string {
  return `${logFolder}/_last_checkpoint`;
}

/** To start such a table anew would hide all that is in it. */
function withoutBeginning(
  { logFolder }: LogLocation,
  { incomplete, versions }: LogListing,
  unreadable: readonly string[],
): StreamError {
  const oldest = Math.min(...versions);
  const facts = [
    versions.size === 0 ? 'it has no version at all' : `its oldest version is ${oldest}`,
    ...(incomplete.length === 0 ? [] : [`a checkpoint lacks parts, there is ${incomplete[0]}`]),
    ...unreadable,
  ];
  return new StreamError(
    'STREAM_LOG_CORRUPT',
    `the table log ${logFolder} has neither its first version nor a checkpoint that can be read (${facts.join('; ')}); ` +
      'restore what is missing, or have the tool that cleaned the log write another checkpoint',
    { details: { logFolder, incomplete: incomplete.slice(0, 10) } },
  );
}

/** What is missing below the newest version: rows, or the removal of some. */
function missingVersion(
  { logFolder }: Pick<LogLocation, 'logFolder'>,
  version: number,
  newest: number,
): StreamError {
  const name = versionName(logFolder, version);
  return new StreamError(
    'STREAM_LOG_CORRUPT',
    `the table log has a hole: version ${version} (${name}) is missing, though version ${newest} exists; restore the blob from a backup or a soft-deleted version`,
    { details: { name, version, newest } },
  );
}
