import { generationName, parseGenerationName, stagePrefix } from '../../commit-log/names';
import { readTail } from '../../commit-log/tail-reader';
import type { AppendStore } from '../../model/ports';
import type { TaskAddress } from '../../model/task-address';
import { digestTail, emptyDigest, type TaskDigest } from './task-digest';

/** The generations of every partition of one stage on one life of its hub: one listing for all. */
export async function listStageGenerations(
  appends: AppendStore,
  stage: Omit<TaskAddress, 'partition'>,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const generations = new Map<string, number[]>();
  for (const name of await appends.list(`${stagePrefix(stage)}${stage.incarnation}/`)) {
    const parsed = parseGenerationName(name);
    if (parsed === undefined) continue;
    const { partition } = parsed.path;
    generations.set(partition, [...(generations.get(partition) ?? []), parsed.generation]);
  }
  for (const numbers of generations.values()) numbers.sort((left, right) => left - right);
  return generations;
}

/**
 * Reads the end of a task's log: its last commit says all that a survey wants to know. A log that ends where
 * the digest of before ends is not read at all.
 */
export async function surveyLog(
  { appends }: { readonly appends: AppendStore },
  path: TaskAddress,
  known: { readonly digest: TaskDigest; readonly generations: readonly number[] },
): Promise<TaskDigest> {
  const { next } = known.digest;
  for (const generation of known.generations.toReversed()) {
    const stat = await appends.stat(generationName(path, generation));
    if (stat === undefined) continue;
    if (next?.generation === generation && next.position === stat.bytes) return known.digest;
    const tail = await readTail(appends, { path, generation, bytesKnown: stat.bytes });
    // An empty blob is a roll that got no further: the one before it counts.
    if (tail !== null) return digestTail(generation, tail);
  }
  return emptyDigest;
}
