import { versionWriterPrefix } from '../../commit-log/names';
import { listGenerations } from '../../commit-log/generation-list';
import { listLogs, readLog } from '../../commit-log/log-reader';
import type { LogRecord, TaskPlan } from '../../model/commit';
import { StreamError } from '../../model/errors';
import type { AppendStore } from '../../model/ports';
import type { TaskAddress } from '../../model/task-address';
import { isLaterVersion, newerVersion, versionAfter } from '../../model/version-name';
import type { PlanEntry } from './plan-store';

/**
 * What the logs of a topology say of its versions and plans. They are the truth: control may have been deleted, or
 * put back as an older copy.
 */
export interface KnownToLogs {
  /** The newest version: that of a log, or the one that logs were ended for. Null: there is no log. */
  readonly version: string | null;
  /** False: nobody has begun a log of that version. */
  readonly hasLogs: boolean;
  /** The plan with the highest number that a log names; null: none names any. */
  readonly plan: TaskPlan | null;
}

/** Whether logs know of a version or a plan that control does not have. */
export function knowsMore({ plan, version }: KnownToLogs, newest: PlanEntry | null): boolean {
  if (version === null) return false;
  if (newest === null) return true;
  // The logs of a topology that was removed were ended for the version that begins it again.
  const known = newest.isRemoved ? versionAfter(newest.version) : newest.version;
  return isLaterVersion(version, known) || (plan?.number ?? 0) > newest.number;
}

/** The newest version of a topology that has logs; null: none has. One listing. */
export async function newestVersionOf(
  appends: AppendStore,
  topology: string,
): Promise<string | null> {
  const logs = await listLogs(appends, topology);
  return logs.reduce<string | null>((newest, { version }) => newerVersion(newest, version), null);
}

/** Reads the newest generation of every log: for whoever doubts control, never per batch. */
export async function knownToLogs(appends: AppendStore, topology: string): Promise<KnownToLogs> {
  let version: string | null = null;
  let begun: string | null = null;
  let plan: TaskPlan | null = null;
  for (const path of await listLogs(appends, topology)) {
    begun = newerVersion(begun, path.version);
    version = newerVersion(version, path.version);
    for (const record of await newestRecords(appends, path)) {
      const named = record.kind === 'plan' || record.kind === 'header' ? record.plan : null;
      if (named !== null && named.number > (plan?.number ?? 0)) plan = named;
      if (record.kind !== 'seal' || !record.writer.startsWith(versionWriterPrefix)) continue;
      version = newerVersion(version, record.writer.slice(versionWriterPrefix.length));
    }
  }
  return { version, hasLogs: version !== null && version === begun, plan };
}

async function newestRecords(
  appends: AppendStore,
  path: TaskAddress,
): Promise<readonly LogRecord[]> {
  const generations = await listGenerations(appends, path);
  // The newest may be an empty blob, of a roll that got no further.
  const [generation = 0] = generations.slice(-2);
  try {
    return (await readLog(appends, path, { generation, position: 0 }, generations.slice(-2)))
      .records;
  } catch (error) {
    // Whoever opens that log says so; what the others know counts.
    if (error instanceof StreamError && error.disposition === 'halt') return [];
    throw error;
  }
}
