import { drainMarkName } from '../../model/control-names';
import type { Clock, ObjectStore } from '../../model/ports';

/** How long an answer is believed: a drain need not start at once. */
const believedForMs = 1_000;

/** Ends a version of a topology: its sources are drained, and everything is flushed. Repeatable. */
export async function markDrain(
  objects: ObjectStore,
  drain: { readonly topology: string; readonly version: string },
): Promise<void> {
  const { topology, version } = drain;
  await objects.put(drainMarkName(topology), Buffer.from(JSON.stringify({ version })));
}

/** Takes the mark away, whichever version it is of. Repeatable. */
export async function clearDrain(objects: ObjectStore, topology: string): Promise<void> {
  await objects.delete(drainMarkName(topology));
}

/** Whether that version is to end. A mark that names no version is of whichever there is. */
export async function isMarkedDrained(
  objects: Pick<ObjectStore, 'get'>,
  { topology, version }: { readonly topology: string; readonly version: string },
): Promise<boolean> {
  const bytes = await objects.get(drainMarkName(topology));
  if (bytes === undefined) return false;
  const marked = versionIn(bytes);
  return marked === null || marked === version;
}

function versionIn(bytes: Uint8Array): string | null {
  try {
    const mark = JSON.parse(Buffer.from(bytes).toString('utf8')) as { version?: unknown } | null;
    return typeof mark?.version === 'string' ? mark.version : null;
  } catch (error) {
    // Put there by hand: that it is there is what counts.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * Whether a topology is to end. Any process or person may put the mark there, and it outlives all workers; it is
 * of a version, so that the next one is not drained before it has begun.
 */
export function drainMarks(world: {
  readonly control: Pick<ObjectStore, 'get'>;
  readonly clock: Clock;
  readonly versionOf: (topology: string) => Promise<string>;
}): (topology: string) => Promise<boolean> {
  const known = new Map<string, { readonly isDraining: boolean; readonly atMs: number }>();
  return async (topology) => {
    const nowMs = world.clock.nowMs();
    const last = known.get(topology);
    if (last !== undefined && nowMs - last.atMs < believedForMs) return last.isDraining;
    const version = await world.versionOf(topology);
    const isDraining = await isMarkedDrained(world.control, { topology, version });
    known.set(topology, { isDraining, atMs: nowMs });
    return isDraining;
  };
}
