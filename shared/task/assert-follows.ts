import { compareCursors, type CommitRecord } from '../model/commit';
import { corruptLog } from '../commit-log/corruption';
import type { TaskState } from './task-state';

/**
 * Of a generation's first commit only the snapshot can tell whether it is the right one.
 * @throws StreamError STREAM_LOG_CORRUPT
 */
export function assertFollows(
  { commit, from }: CommitRecord,
  { commit: known, cursor, summary }: TaskState,
  blob: string,
): void {
  // Read from the middle of a log, the first record may be one that the state holds already.
  const before = summary?.commit ?? Math.min(commit - 1, known);
  const isNext = cursor === null || compareCursors(from, cursor) === 0;
  if (commit === before + 1 && isNext) return;
  throw corruptLog(
    { blob, position: 0 },
    `commit ${commit} begins at ${JSON.stringify(from)}, the state before it is that of commit ${before} ` +
      `at ${JSON.stringify(cursor)}: a record or a snapshot is missing, doubled or out of place`,
  );
}
