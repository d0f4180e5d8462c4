import { hubOf } from '../../commit-log/incarnations';
import { generationName, parseGenerationName, stagePrefix } from '../../commit-log/names';
import { readTail } from '../../commit-log/tail-reader';
import type { AppendStore } from '../../model/ports';
import type { TaskAddress } from '../../model/task-address';
import { digestTail, emptyDigest, type TaskDigest } from './task-digest';

/** The newest life of a task's log. */
export interface SurveyedLife {
  readonly incarnation: string;
  readonly generations: readonly number[];
}

/** The newest life of every partition of one stage on one hub: one listing for all. */
export async function listStageLives(
  appends: AppendStore,
  stage: Omit<TaskAddress, 'partition' | 'incarnation'>,
  hub: string,
): Promise<ReadonlyMap<string, SurveyedLife>> {
  const lives = new Map<string, { incarnation: string; generations: number[] }>();
  for (const name of await appends.list(stagePrefix(stage) + hub)) {
    const parsed = parseGenerationName(name);
    if (parsed === undefined || hubOf(parsed.path.incarnation) !== hub) continue;
    const { incarnation, partition } = parsed.path;
    const known = lives.get(partition);
    if (known?.incarnation === incarnation) known.generations.push(parsed.generation);
    else if (known === undefined || known.incarnation < incarnation) {
      lives.set(partition, { incarnation, generations: [parsed.generation] });
    }
  }
  for (const { generations } of lives.values()) generations.sort((left, right) => left - right);
  return lives;
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
