import type { AppendStore } from '../model/ports';
import { parseGenerationName, stagePrefix, type LogPath } from './names';

/**
 * The incarnations of a task that have begun, oldest first. One whose only blob is still empty has
 * not begun: the process that created it died before it could say what the log begins with.
 */
export async function listIncarnations(
  appends: AppendStore,
  task: Pick<LogPath, 'topology' | 'stage' | 'partition'>,
): Promise<string[]> {
  const blobs = new Map<string, string[]>();
  for (const name of await appends.list(stagePrefix(task))) {
    const path = parseGenerationName(name)?.path;
    if (path === undefined || path.partition !== task.partition) continue;
    blobs.set(path.incarnation, [...(blobs.get(path.incarnation) ?? []), name]);
  }
  const begun: string[] = [];
  for (const [incarnation, names] of blobs) {
    if (await hasBegun(appends, names)) begun.push(incarnation);
  }
  return begun.sort();
}

async function hasBegun(appends: AppendStore, names: readonly string[]): Promise<boolean> {
  if (names.length > 1) return true;
  return ((await appends.stat(names[0] ?? ''))?.bytes ?? 0) > 0;
}
