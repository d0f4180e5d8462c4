import type { AppendStore } from '../model/ports';
import { logPrefix, parseGenerationName } from './names';
import type { TaskAddress } from '../model/task-address';

/** The generations of a log that exist, oldest first. */
export async function listGenerations(appends: AppendStore, path: TaskAddress): Promise<number[]> {
  const names = await appends.list(logPrefix(path));
  return names
    .map((name) => parseGenerationName(name)?.generation)
    .filter((generation) => generation !== undefined)
    .sort((left, right) => left - right);
}
