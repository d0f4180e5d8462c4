import { generationName, versionWriterPrefix } from '../../commit-log/names';
import { readTail } from '../../commit-log/tail-reader';
import { listGenerations } from '../../commit-log/generation-list';
import { listLogs, readLog } from '../../commit-log/log-reader';
import type { TaskPlan } from '../../model/commit';
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

/** What the end of one log says. */
interface LogEnd {
  readonly path: TaskAddress;
  readonly generation: number;
  readonly planNumber: number;
  /** Null: it is named further back. */
  readonly plan: TaskPlan | null;
  /** The version that it was ended for; null: it was not. */
  readonly endedFor: string | null;
}

/** Reads the end of every log: for whoever decides, or doubts control, never per batch. */
export async function knownToLogs(appends: AppendStore, topology: string): Promise<KnownToLogs> {
  let version: string | null = null;
  let begun: string | null = null;
  let newest: LogEnd | null = null;
  for (const path of await listLogs(appends, topology)) {
    begun = newerVersion(begun, path.version);
    version = newerVersion(version, path.version);
    const end = await endOf(appends, path);
    if (end === null) continue;
    if (end.endedFor !== null) version = newerVersion(version, end.endedFor);
    if (end.planNumber > (newest?.planNumber ?? 0)) newest = end;
  }
  const plan = newest === null ? null : (newest.plan ?? (await planIn(appends, newest)));
  return { version, hasLogs: version !== null && version === begun, plan };
}

async function endOf(appends: AppendStore, path: TaskAddress): Promise<LogEnd | null> {
  for (const generation of (await listGenerations(appends, path)).reverse()) {
    const tail = await unlessBroken(async () => {
      const stat = await appends.stat(generationName(path, generation));
      return readTail(appends, { path, generation, bytesKnown: stat?.bytes ?? 0 });
    });
    // The newest may be an empty blob, of a roll that got no further.
    if (tail === null) continue;
    const { last, since } = tail;
    const plan = since.reduce<TaskPlan | null>(
      (known, record) => (record.kind === 'plan' ? record.plan : known),
      last.kind === 'header' ? last.plan : null,
    );
    const seal = since.at(-1);
    const isEnded = seal?.kind === 'seal' && seal.writer.startsWith(versionWriterPrefix);
    return {
      ...{ path, generation, plan },
      planNumber: plan?.number ?? last.summary?.planNumber ?? 0,
      endedFor: isEnded ? seal.writer.slice(versionWriterPrefix.length) : null,
    };
  }
  return null;
}

/** The plan under which a log's last commit was made: its generation names it, in its header or since. */
async function planIn(
  appends: AppendStore,
  { generation, path, planNumber }: LogEnd,
): Promise<TaskPlan | null> {
  const read = await unlessBroken(() =>
    readLog(appends, path, { generation, position: 0 }, [generation]),
  );
  for (const record of read?.records ?? []) {
    const plan = record.kind === 'plan' || record.kind === 'header' ? record.plan : null;
    if (plan?.number === planNumber) return plan;
  }
  return null;
}

/** Whoever opens a log that is broken says so; what the others know counts. */
async function unlessBroken<Result>(read: () => Promise<Result>): Promise<Result | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof StreamError && error.disposition === 'halt') return null;
    throw error;
  }
}
