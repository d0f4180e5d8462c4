import type { SnapshotBase } from '../model/commit';
import type { AppendStore, ObjectStore } from '../model/ports';
import type { TaskAddress } from '../model/task-address';
import { listGenerations } from './generation-list';
import { generationName } from './names';
import { deletePartsBefore } from './snapshots';

/**
 * Deletes what a task's state no longer builds on: snapshots before its base, and generations before that
 * of the base once they are old enough. Nothing in those is owed: it would be in the base's reach.
 * Repeatable, by anyone.
 *
 * @param base of the newest header, of which the caller has read that it is the newest
 * @returns the generations that were deleted
 */
export async function retireFormer(
  stores: { readonly appends: AppendStore; readonly objects: ObjectStore },
  path: TaskAddress,
  base: SnapshotBase,
  age: { readonly nowMs: number; readonly retentionMs: number },
): Promise<readonly number[]> {
  const retired: number[] = [];
  for (const generation of await listGenerations(stores.appends, path)) {
    if (generation >= base.generation) break;
    const name = generationName(path, generation);
    const stat = await stores.appends.stat(name);
    if (stat === undefined || age.nowMs - stat.modifiedAtMs < age.retentionMs) continue;
    await stores.appends.delete(name);
    retired.push(generation);
  }
  await deletePartsBefore(stores.objects, path, base.commit);
  return retired;
}
