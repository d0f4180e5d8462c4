import { listIncarnations } from '../commit-log/incarnations';
import type { AppendStore } from '../model/ports';
import type { TaskAddress } from './task-hold';

/**
 * The newest earlier incarnation of a task: the same stage and partition on a hub that was deleted
 * and created again. Null when this incarnation has a log already, or there is no earlier one.
 */
export async function findEarlierIncarnation(
  appends: AppendStore,
  address: TaskAddress,
): Promise<TaskAddress | null> {
  const known = await listIncarnations(appends, address);
  if (known.includes(address.incarnation)) return null;
  const earlier = known.filter((incarnation) => incarnation < address.incarnation).at(-1);
  return earlier === undefined ? null : { ...address, incarnation: earlier };
}

/** When the task's log was last written to; 0 when there is none. */
export async function lastWriteMs(appends: AppendStore, address: TaskAddress): Promise<number> {
  const { topology, stage, incarnation, partition } = address;
  const generations = await appends.list(
    `commits/${topology}/${stage}/${incarnation}/${partition}/`,
  );
  const newest = generations.at(-1);
  if (newest === undefined) return 0;
  return (await appends.stat(newest))?.modifiedAtMs ?? 0;
}
