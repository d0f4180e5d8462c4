import { crc32 } from 'node:zlib';
import type { SnapshotPart } from '../model/commit';
import { StreamError } from '../model/errors';
import type { ObjectStore } from '../model/ports';
import type { TaskAddress } from '../model/task-address';
import { partName, snapshotPrefix, snapshotsPrefix } from './names';

/** Parts of a snapshot that are fetched side by side. */
const fetchConcurrency = 8;

/** Stores a part of a snapshot. The name holds the content's CRC: nobody overwrites another's. */
export async function putPart(
  objects: ObjectStore,
  place: { readonly path: TaskAddress; readonly commit: number; readonly index: number },
  bytes: Uint8Array,
): Promise<SnapshotPart> {
  const crc = crc32(bytes);
  const name = partName(place.path, { ...place, crc32: crc });
  // `exists`: the same content, from an earlier try or from another process at the same commit.
  await objects.putIfAbsent(name, bytes);
  return { name, bytes: bytes.byteLength, crc32: crc };
}

/**
 * The parts of a snapshot in their order, fetched side by side.
 * @throws StreamError STREAM_SNAPSHOT_CORRUPT when one is missing or not what was stored
 */
export async function getParts(
  objects: ObjectStore,
  parts: readonly SnapshotPart[],
): Promise<readonly Uint8Array[]> {
  const found: Uint8Array[] = [];
  const next = parts.entries();
  const fetch = async (): Promise<void> => {
    for (const [index, part] of next) found[index] = await getPart(objects, part);
  };
  await Promise.all(Array.from({ length: fetchConcurrency }, fetch));
  return found;
}

async function getPart(objects: ObjectStore, part: SnapshotPart): Promise<Uint8Array> {
  const bytes = await objects.get(part.name);
  if (bytes === undefined) throw corruptSnapshot(part, 'it is missing');
  if (bytes.byteLength !== part.bytes) {
    throw corruptSnapshot(part, `it has ${bytes.byteLength} bytes, not ${part.bytes}`);
  }
  const crc = crc32(bytes);
  if (crc !== part.crc32) {
    throw corruptSnapshot(part, `its CRC-32 is ${crc}, not ${part.crc32}`);
  }
  return bytes;
}

/**
 * Deletes what there is of snapshots before that commit: of those that the log began with before, of those
 * that nobody finished, and of those of processes that lost the roll.
 */
export async function deletePartsBefore(
  objects: ObjectStore,
  path: TaskAddress,
  commit: number,
): Promise<void> {
  const kept = snapshotPrefix(path, commit);
  for (const { name } of await objects.list(snapshotsPrefix(path))) {
    if (name < kept) await objects.delete(name);
  }
}

function corruptSnapshot(part: SnapshotPart, what: string): StreamError {
  return new StreamError(
    'STREAM_SNAPSHOT_CORRUPT',
    `${part.name}: ${what}. Restore the blob from a copy, or begin the topology anew (millrace reset): ` +
      'its tables are emptied, and what its hubs still hold is read again.',
    { details: { ...part } },
  );
}
