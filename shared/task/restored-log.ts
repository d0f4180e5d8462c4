import { logPrefix } from '../commit-log/names';
import type { TaskLog } from '../commit-log/task-log';
import { unfinishedReset } from '../commit-log/unfinished-reset';
import { endedTaskVersion } from '../lake/lake-table';
import { StreamError } from '../model/errors';
import type { StagePlan } from '../model/program';
import type { StageServices } from './services';
import { epochOfTaskId, taskIdOf, taskIdPrefix } from './task-identity';
import type { TaskState } from './task-state';
import type { TaskAddress } from '../model/task-address';

/**
 * Compares a log that was just read with what the tables know of its task. A table that holds rows of
 * commits which the log does not know has seen a later copy of it: going on from here would put
 * the same events into the table again.
 *
 * A task without a commit is told how old its tables know it to be.
 *
 * @param catchUp takes in what others append: they may have committed and flushed since
 * @throws StreamError STREAM_LOG_BEHIND, STREAM_RESET_UNFINISHED; STREAM_STORE_UNAVAILABLE where a table
 *   cannot be asked
 */
export async function assertNotRestored(
  task: {
    readonly address: TaskAddress;
    readonly log: Pick<TaskLog, 'isEnded'>;
    readonly plan: StagePlan;
    readonly state: TaskState;
    readonly services: StageServices;
  },
  catchUp: () => Promise<void>,
): Promise<void> {
  for (const table of task.plan.tables) {
    const lake = task.services.lakeTable(table);
    const known = await lake.flushedByTask(taskIdPrefix(task.address), { refresh: true });
    const births = Array.from(known.keys(), epochOfTaskId);
    task.state.epochMin = Math.max(task.state.epochMin, ...births.map((birth) => birth + 1));
    if (known.size === 0 || faultIn(task, known) === null) continue;
    await catchUp();
    const fault = faultIn(task, known);
    // An ended log was handed on with its hub: the one that carries on has committed since.
    const isHandedOn = task.log.isEnded && fault !== endedTaskVersion;
    if (fault !== null && !isHandedOn) throw refusal(task, table.name, fault);
  }
}

/** The commit through which a table holds rows that the log does not know of; null: there is none. */
function faultIn(
  { address, state }: { readonly address: TaskAddress; readonly state: TaskState },
  known: ReadonlyMap<string, number>,
): number | null {
  const { epoch } = state;
  if (epoch !== undefined) {
    const through = known.get(taskIdOf(address, epoch)) ?? 0;
    return through > state.commit ? through : null;
  }
  // A log without a commit is a new one: then a reset has ended all that went before.
  const others = Array.from(known.values()).filter((through) => through !== endedTaskVersion);
  return others.length > 0 ? Math.max(...others) : null;
}

function refusal(
  { address, state }: { readonly address: TaskAddress; readonly state: TaskState },
  table: string,
  throughCommit: number,
): StreamError {
  const { topology } = address;
  const log = logPrefix(address).slice(0, -1);
  const details = { ...address, table, throughCommit, commit: state.commit };
  if (throughCommit === endedTaskVersion) return unfinishedReset(log, topology, details);
  return new StreamError(
    'STREAM_LOG_BEHIND',
    `${log} ends with commit ${state.commit}, table ${table} holds rows of this task through commit ` +
      `${throughCommit}: the log is an older copy, or was deleted. Nothing was read and nothing written. Put the ` +
      `newest copy of the log back, or begin anew with millrace reset ${topology}`,
    { details },
  );
}
