import type { TaskStores } from '../../shared/state/task-stores';
import { partsOf } from '../../shared/task/task-state';

/** Takes a state over into an empty one, as a snapshot does. */
export function copyState(from: TaskStores, to: TaskStores): void {
  from.changes();
  from.settle();
  for (const part of partsOf(from.beginSnapshot())) to.restore(part);
}
