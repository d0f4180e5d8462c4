import { StreamError } from '../model/errors';
import type { ObjectStore } from '../model/ports';
import type { Action } from './actions';
import { corruptEntry, decodeActions } from './actions';
import type { CheckpointCodec } from './checkpoint-codec';
import { deltaCheckpoint } from './delta-checkpoint';
import type { CheckpointFiles } from './log-listing';

/** Parts and sidecars read at once. */
const readsInFlight = 4;

interface CheckpointPlace {
  readonly objects: ObjectStore;
  readonly logFolder: string;
  /** Codec of checkpoints of one file under the table's own format. */
  readonly checkpoints: CheckpointCodec;
}

/**
 * All actions of one checkpoint: of one file, of several parts, or of Delta's "V2 Spec" with its
 * sidecars. Rejects with STREAM_LOG_CORRUPT and the blob's name where one cannot be read or lacks
 * what each checkpoint must have.
 *
 * @param want `summary`: without the actions about files, which cold starts of a writer do without
 */
export async function readCheckpoint(
  place: CheckpointPlace,
  { names }: CheckpointFiles,
  want: 'summary' | 'all',
): Promise<Action[]> {
  const { logFolder } = place;
  const whole = names.map((name) => `${logFolder}/${name}`);
  const actions = await readAll(whole, (name) => readPart(place, name, want));
  for (const kind of ['protocol', 'metaData'] as const) {
    if (actions.some((action) => action[kind])) continue;
    throw corruptEntry(whole[0] ?? logFolder, `the checkpoint has no ${kind}`);
  }
  if (want === 'summary') return actions;
  const sidecars = actions.flatMap(({ sidecar }) => (sidecar ? [sidecar] : []));
  const more = await readAll(sidecars, ({ path, sizeInBytes }) =>
    readPart(place, sidecarName(logFolder, path), want, sizeInBytes),
  );
  return more.length === 0 ? actions : actions.concat(more);
}

async function readPart(
  { checkpoints, objects }: CheckpointPlace,
  name: string,
  want: 'summary' | 'all',
  expectedBytes?: number,
): Promise<Action[]> {
  const bytes = await objects.get(name);
  if (bytes === undefined) throw corruptEntry(name, 'it is not there');
  if (expectedBytes !== undefined && bytes.length !== expectedBytes) {
    throw corruptEntry(name, `it has ${bytes.length} bytes, its checkpoint says ${expectedBytes}`);
  }
  if (name.endsWith('.parquet')) return deltaCheckpoint.decode(name, bytes, want);
  if (name.endsWith(checkpoints.extension)) return checkpoints.decode(name, bytes, want);
  const actions = decodeActions(name, bytes);
  return want === 'all' ? actions : actions.filter(({ add, remove }) => !add && !remove);
}

/** A sidecar's path is a file name, or a URI: that one would be outside. */
function sidecarName(logFolder: string, path: string): string {
  if (/^[^/\\:%]+$/.test(path) && path !== '..') return `${logFolder}/_sidecars/${path}`;
  throw new StreamError(
    'STREAM_TABLE_INCOMPATIBLE',
    `a checkpoint in ${logFolder} names the sidecar ${path.slice(0, 200)}, which is not a file in ${logFolder}/_sidecars; ` +
      'have the tool that wrote it write a classic checkpoint',
    { details: { logFolder, path } },
  );
}

/** In order, a few at a time. */
async function readAll<Item>(
  items: readonly Item[],
  read: (item: Item) => Promise<Action[]>,
): Promise<Action[]> {
  const found: Action[][] = new Array<Action[]>(items.length);
  const next = items.entries();
  const work = async (): Promise<void> => {
    for (const [index, item] of next) found[index] = await read(item);
  };
  await Promise.all(Array.from({ length: readsInFlight }, work));
  return found.flat();
}
