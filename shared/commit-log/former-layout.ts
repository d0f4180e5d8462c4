import { StreamError } from '../model/errors';
import type { AppendStore } from '../model/ports';
import type { TaskAddress } from '../model/task-address';
import { isFormerGenerationName, topologyPrefix } from './names';

/** Blobs of a stage's logs as builds before format 2 laid them out, without a version of the topology. */
async function formerLogs(
  appends: AppendStore,
  { stage, topology }: Pick<TaskAddress, 'topology' | 'stage'>,
): Promise<readonly string[]> {
  const names = await appends.list(`${topologyPrefix(topology)}${stage}/`);
  return names.filter(isFormerGenerationName);
}

/**
 * Asked before a log is begun: beside one of a former layout it would read the hub from its beginning, and
 * put all that is in the tables into them again.
 * @throws StreamError STREAM_LOG_VERSION_UNKNOWN
 */
export async function assertNoFormerLog(appends: AppendStore, path: TaskAddress): Promise<void> {
  const [name] = await formerLogs(appends, path);
  if (name === undefined) return;
  throw new StreamError(
    'STREAM_LOG_VERSION_UNKNOWN',
    `${name} is a log of format version 1, which nothing reads any more: begin the topology anew ` +
      `(millrace reset ${path.topology}): its tables are emptied, and what its hubs still hold is read again`,
    { details: { ...path, log: name } },
  );
}

/** Deletes a stage's logs of a former layout. Repeatable. @returns how many blobs there were */
export async function deleteFormerLogs(
  appends: AppendStore,
  stage: Pick<TaskAddress, 'topology' | 'stage'>,
): Promise<number> {
  const names = await formerLogs(appends, stage);
  for (const name of names) await appends.delete(name);
  return names.length;
}
