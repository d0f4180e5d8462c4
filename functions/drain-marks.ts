import type { Clock, ObjectStore } from '../shared/model/ports';

/** How long an answer is believed: a drain need not start at once. */
const believedForMs = 1_000;

/**
 * Whether a topology is to end. The mark is the blob `control/<topology>/drain`: any process or
 * person may put it there, and it outlives all workers.
 */
export function drainMarks(world: {
  readonly control: ObjectStore;
  readonly clock: Clock;
}): (topology: string) => Promise<boolean> {
  const known = new Map<string, { readonly isDraining: boolean; readonly atMs: number }>();
  return async (topology) => {
    const nowMs = world.clock.nowMs();
    const last = known.get(topology);
    if (last !== undefined && nowMs - last.atMs < believedForMs) return last.isDraining;
    const isDraining = (await world.control.get(`control/${topology}/drain`)) !== undefined;
    known.set(topology, { isDraining, atMs: nowMs });
    return isDraining;
  };
}
