import { readLog } from '../../commit-log/log-reader';
import {
  generationName,
  parseGenerationName,
  stagePrefix,
  type LogPath,
} from '../../commit-log/names';
import { getSnapshot } from '../../commit-log/snapshots';
import type { HeaderRecord } from '../../model/commit';
import type { AppendStore, ObjectStore } from '../../model/ports';
import { digestRecord, emptyDigest, type SnapshotSummary, type TaskDigest } from './task-digest';

/** The generations of every partition of one stage on one life of its hub: one listing for all. */
export async function listStageGenerations(
  appends: AppendStore,
  stage: Pick<LogPath, 'topology' | 'version' | 'stage' | 'incarnation'>,
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

/** Reads what was appended to a task's log since its digest was made. */
export async function surveyLog(
  stores: { readonly appends: AppendStore; readonly objects: ObjectStore },
  path: LogPath,
  known: { readonly digest: TaskDigest; readonly generations: readonly number[] },
): Promise<TaskDigest> {
  const { generations } = known;
  const newest = generations.at(-1);
  if (newest === undefined) return emptyDigest;
  let { digest } = known;
  if (digest.next === null) {
    // Earlier generations are not read: the newest one's snapshot stands for them. A newest blob
    // that is still empty is a roll that got no further: the one before it counts.
    const begin = (await isEmpty(stores.appends, path, generations)) ? generations.at(-2) : newest;
    digest = { ...emptyDigest, next: { generation: begin ?? newest, position: 0 } };
  }
  const stretch = await readLog(stores.appends, path, digest.next, generations);
  for (const record of stretch.records) {
    // A log that begins with inherited state has a snapshot after commit 0.
    const isBase =
      record.kind === 'header' && (digest.commit === 0 || record.afterCommit !== digest.commit);
    digest = digestRecord(digest, record, isBase ? await summaryOf(stores.objects, record) : null);
  }
  return { ...digest, next: stretch.next };
}

async function isEmpty(
  appends: AppendStore,
  path: LogPath,
  generations: readonly number[],
): Promise<boolean> {
  const number = generations.at(-1);
  if (number === undefined || generations.length < 2) return false;
  return ((await appends.stat(generationName(path, number)))?.bytes ?? 0) === 0;
}

async function summaryOf(
  objects: ObjectStore,
  header: HeaderRecord,
): Promise<SnapshotSummary | null> {
  if (header.snapshot === null) return null;
  const bytes = await getSnapshot(objects, header.snapshot);
  // Written by our own encoder, and its CRC was checked.
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as SnapshotSummary;
}
