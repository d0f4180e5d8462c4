import { listLogs } from '../../commit-log/log-reader';
import { TaskLog } from '../../commit-log/task-log';
import type { Clock, ObjectStore, AppendStore } from '../../model/ports';
import type { StagePlan } from '../../model/program';
import type { TaskAddress } from '../../model/task-address';
import { defaultStageLimits } from '../../task/services';
import { TaskState } from '../../task/task-state';
import type { OpenQuestion } from './compare-plans';
import type { PlanEntry } from './plan-store';

/** What is needed to look at logs without taking part in them. */
export interface LogWorld {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
}

/** The logs of a version, in the order of their names. */
export async function logsOfVersion(
  appends: AppendStore,
  { topology, version }: { readonly topology: string; readonly version: string },
): Promise<readonly TaskAddress[]> {
  return (await listLogs(appends, topology)).filter((path) => path.version === version);
}

/** How many keys are open in a node, over all logs of a plan's version. */
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
    open += (await readState(world, plan, path))?.keyed.keysOf(question.name) ?? 0;
  }
  return open;
}

/** A task's state as its log has it now; null: nobody has begun it. Nothing is appended. */
async function readState(
  world: LogWorld,
  plan: StagePlan,
  path: TaskAddress,
): Promise<TaskState | null> {
  const { appends, clock, objects } = world;
  // Its blob may be there, made by a worker that died before it said what the task takes over.
  const log = await TaskLog.openBegun({
    ...{ appends, objects, clock, path, writer: 'reader' },
    limits: defaultStageLimits.log,
    faultPoint: () => undefined,
    telemetry: { emit: () => undefined },
  });
  if (log === null) return null;
  const loaded = await log.load();
  const state = await TaskState.fromBase(plan, loaded, {
    clock,
    sleep: () => Promise.resolve(),
  });
  for (const record of loaded.records) state.take(record);
  return state;
}
