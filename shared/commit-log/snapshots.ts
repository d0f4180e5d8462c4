import { crc32 } from 'node:zlib';
import type { HeaderRecord } from '../model/commit';
import { StreamError } from '../model/errors';
import type { ObjectStore } from '../model/ports';
import { snapshotName, snapshotPrefix, snapshotsPrefix, type LogPath } from './names';

type SnapshotReference = NonNullable<HeaderRecord['snapshot']>;

/** Stores what a generation begins with. The name holds the content's CRC: nobody overwrites another's. */
export async function putSnapshot(
  objects: ObjectStore,
  place: { readonly path: LogPath; readonly generation: number },
  bytes: Uint8Array,
): Promise<SnapshotReference> {
  const crc = crc32(bytes);
  const name = snapshotName(place.path, place.generation, crc);
  // `exists`: the same content, from an earlier try or from another process that finishes this roll.
  await objects.putIfAbsent(name, bytes);
  return { name, bytes: bytes.byteLength, crc32: crc };
}

/** @throws StreamError STREAM_SNAPSHOT_CORRUPT when the blob is missing or not what was stored */
export async function getSnapshot(
  objects: ObjectStore,
  reference: SnapshotReference,
): Promise<Uint8Array> {
  const bytes = await objects.get(reference.name);
  if (bytes === undefined) throw corruptSnapshot(reference, 'it is missing');
  if (bytes.byteLength !== reference.bytes) {
    throw corruptSnapshot(reference, `it has ${bytes.byteLength} bytes, not ${reference.bytes}`);
  }
  const crc = crc32(bytes);
  if (crc !== reference.crc32) {
    throw corruptSnapshot(reference, `its CRC-32 is ${crc}, not ${reference.crc32}`);
  }
  return bytes;
}

/**
 * Deletes every snapshot made for a generation and those before it: those of processes that lost the
 * roll, and those that somebody left who died while he retired an earlier one.
 */
export async function deleteSnapshots(
  objects: ObjectStore,
  place: { readonly path: LogPath; readonly throughGeneration: number },
): Promise<void> {
  const { path, throughGeneration } = place;
  const nextPrefix = snapshotPrefix(path, throughGeneration + 1);
  for (const { name } of await objects.list(snapshotsPrefix(path))) {
    if (name < nextPrefix) await objects.delete(name);
  }
}

function corruptSnapshot(reference: SnapshotReference, what: string): StreamError {
  return new StreamError(
    'STREAM_SNAPSHOT_CORRUPT',
    `${reference.name}: ${what}. Restore the blob from a copy; the generation ` +
      'before, if it was kept, holds the same state.',
    { details: { ...reference } },
  );
}
