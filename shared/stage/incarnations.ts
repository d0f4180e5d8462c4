import { listIncarnations } from '../commit-log/incarnations';
import type { AppendStore } from '../model/ports';
import type { TaskAddress } from './task';

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
