import type { Clock } from '../model/ports';
import type { LogLocation } from './log-reader';
import { checkpointName, hintName, readState } from './log-reader';
import { assertReadable } from './protocol';

/** How long readers may still open a removed file: Delta's default for tombstones. */
const tombstoneAgeMaxMs = 7 * 24 * 60 * 60 * 1000;

/** Writes the checkpoint of one version, then the hint to it. The file list lives only in here. */
export async function writeCheckpoint(
  location: LogLocation,
  version: number,
  clock: Clock,
): Promise<void> {
  const { objects, checkpoints } = location;
  const state = await readState(location, version);
  const { files, metaData, protocol } = state;
  if (metaData && protocol) {
    assertReadable({ folder: location.logFolder, metaData, protocol, files: files.values() });
  }
  const actions = state.toActions(clock.nowMs() - tombstoneAgeMaxMs);
  const bytes = checkpoints.encode(actions);
  await objects.put(checkpointName(location, version), bytes);
  const hint = { version, size: actions.length, sizeInBytes: bytes.length };
  await objects.put(hintName(location), Buffer.from(JSON.stringify(hint), 'utf8'));
}
