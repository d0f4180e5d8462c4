import type { AppendStore } from '../model/ports';
import { logPrefix, parseGenerationName, type LogPath } from './names';

/** The generations of a log that exist, oldest first. */
export async function listGenerations(appends: AppendStore, path: LogPath): Promise<number[]> {
  const names = await appends.list(logPrefix(path));
  return names
    .map((name) => parseGenerationName(name)?.generation)
    .filter((generation) => generation !== undefined)
    .sort((left, right) => left - right);
}
