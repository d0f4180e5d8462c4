/** Copies of commit logs, whole or cut at a record, as backups make them; and records moved about. */
import { generationName, logPrefix } from '../../shared/commit-log/names';
import { decodeRecords } from '../../shared/commit-log/record';
import type { AppendStore } from '../../shared/model/ports';
import type { TaskAddress } from '../../shared/model/task-address';

/** A log's blobs by name. */
export type LogCopy = ReadonlyMap<string, Uint8Array>;

export async function copyLog(appends: AppendStore, path: TaskAddress): Promise<LogCopy> {
  const copy = new Map<string, Uint8Array>();
  for (const name of await appends.list(logPrefix(path))) {
    copy.set(name, new Uint8Array((await appends.readFrom(name, 0)) ?? []));
  }
  return copy;
}

/** Puts a copy in the place of the log. */
export async function restoreLog(
  appends: AppendStore,
  path: TaskAddress,
  copy: LogCopy,
): Promise<void> {
  for (const name of await appends.list(logPrefix(path))) await appends.delete(name);
  for (const [name, block] of copy) {
    await appends.create(name);
    if (block.byteLength > 0) await appends.append({ name, block, expectedPosition: 0 });
  }
}

/** The records of one generation, each as its bytes. */
export async function recordsOf(
  appends: AppendStore,
  path: TaskAddress,
  generation = 0,
): Promise<Uint8Array[]> {
  const blob = generationName(path, generation);
  const bytes = (await appends.readFrom(blob, 0)) ?? new Uint8Array();
  let start = 0;
  return decodeRecords(bytes, { blob, position: 0 }).map(({ end }) => {
    const record = new Uint8Array(bytes.subarray(start, end));
    start = end;
    return record;
  });
}
