import { listLogs } from '../../commit-log/log-reader';
import { TaskLog } from '../../commit-log/task-log';
import type { Clock, ObjectStore, AppendStore } from '../../model/ports';
import type { StagePlan } from '../../model/program';
import type { TaskAddress } from '../../model/task-address';
import type { TablePlan } from '../../model/table';
import type { LakeTable } from '../../lake/lake-table';
import { defaultStageLimits } from '../../task/services';
import { taskIdOf } from '../../task/task-identity';
import { TaskState } from '../../task/task-state';
import type { OpenQuestion } from './compare-plans';
import type { PlanEntry } from './plan-store';

/** What is needed to look at logs without taking part in them. */
export interface LogWorld {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly lakeTable: (plan: TablePlan) => LakeTable;
}

/** The logs of a version, in the order of their names. */
export async function logsOfVersion(
  appends: AppendStore,
  { topology, version }: { readonly topology: string; readonly version: string },
): Promise<readonly TaskAddress[]> {
  return (await listLogs(appends, topology)).filter((path) => path.version === version);
}

/** How much is open in a node, or how many rows a table has not got yet, over all logs of a plan's version. */
export async function countOpen(
  world: LogWorld,
  entry: PlanEntry,
  question: OpenQuestion,
): Promise<number> {
  const plan = entry.stages.find(({ name }) => name === question.stage);
  if (plan === undefined) return 0;
  let open = 0;
  for (const path of await logsOfVersion(world.appends, entry)) {
    if (path.stage !== question.stage) continue;
    const state = await readState(world, plan, path);
    open +=
      question.kind === 'state'
        ? state.keyed.keysOf(question.name)
        : await owedRows(world, { plan, path, state, table: question.name });
  }
  return open;
}

async function owedRows(
  world: LogWorld,
  task: {
    readonly plan: StagePlan;
    readonly path: TaskAddress;
    readonly state: TaskState;
    readonly table: string;
  },
): Promise<number> {
  const { path, plan, state } = task;
  const pending = state.pendingRows.get(task.table) ?? [];
  const table = plan.tables.find(({ name }) => name === task.table);
  if (pending.length === 0 || table === undefined) return 0;
  // The log hears of a flush with the next commit only: the table itself knows.
  const id = taskIdOf(path, state.epoch ?? 0);
  const through = await world.lakeTable(table).flushedThrough(id, { refresh: true });
  return pending.reduce((sum, { commit, count }) => sum + (commit > through ? count : 0), 0);
}

/** A task's state as its log has it now. Nothing is appended. */
async function readState(world: LogWorld, plan: StagePlan, path: TaskAddress): Promise<TaskState> {
  const { appends, clock, objects } = world;
  const log = await TaskLog.open({
    ...{ appends, objects, clock, path, writer: 'reader' },
    limits: defaultStageLimits.log,
    faultPoint: () => undefined,
    telemetry: { emit: () => undefined },
    inherited: null,
  });
  const loaded = await log.load();
  const state = await TaskState.fromBase(plan, loaded, {
    clock,
    sleep: () => Promise.resolve(),
  });
  for (const record of loaded.records) state.take(record);
  return state;
}
