import type { KeyedState } from '../../shared/state/keyed-state';
import { partsOf } from '../../shared/task/task-state';

/** Takes a state over into an empty one, as a snapshot does. */
export function copyState(from: KeyedState, to: KeyedState): void {
  for (const part of partsOf(from.beginSnapshot())) to.restore(part);
}
