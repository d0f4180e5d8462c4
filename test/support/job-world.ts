/** Workers that do jobs over a StageWorld's stores and clock. */
import { auditKind } from '../../shared/operations/jobs/kinds/audit';
import { openLakeTable } from '../../shared/lake/lake-table';
import { tableFolder } from '../../shared/lake/names';
import { compileStage } from '../../shared/execution';
import { backfillKind } from '../../shared/operations/jobs/kinds/backfill';
import { compactKind } from '../../shared/operations/jobs/kinds/compact';
import { redriveKind } from '../../shared/operations/jobs/kinds/redrive';
import { resetKind } from '../../shared/operations/jobs/kinds/reset';
import type { JobKind } from '../../shared/operations/jobs/job-kind';
import type { JobProgress } from '../../shared/operations/jobs/job-state';
import { JobStore } from '../../shared/operations/jobs/job-store';
import {
  workOnJob,
  type JobWorld,
  type WorkOptions,
} from '../../shared/operations/jobs/work-on-job';
import type { Topology } from '../../shared/dataflow';
import { WorkerDied, type StageWorld } from './stage-world';

let ids = 0;

export interface JobWorkerOptions {
  readonly dieAt?: (point: string) => boolean;
  readonly kinds?: readonly JobKind[];
  readonly topologies?: readonly Topology[];
}

export function aJobWorker(world: StageWorld, options: JobWorkerOptions = {}): JobWorld {
  const { dieAt = () => false, topologies = [] } = options;
  ids += 1;
  const worker = `job-worker-${ids}`;
  const clock = { nowMs: () => world.nowMs };
  const telemetry: JobWorld['telemetry'] = {
    emit: (_level, event, fields) => world.events.push({ event, fields }),
  };
  const { appends, capture, lake, objects, stages } = world;
  const limitsOf = (name: string): Topology['deadLetters'] => {
    const found = topologies.find((topology) => topology.name === name);
    if (found === undefined) throw new Error(`no topology ${name}`);
    return found.deadLetters;
  };
  const tables = stages.flatMap((plan) => plan.tables);
  return {
    ...{ appends, objects, clock, telemetry, worker },
    sleep: async (milliseconds) => {
      world.nowMs += milliseconds;
      await new Promise((resolve) => setImmediate(resolve));
    },
    randomness: { uniqueId: () => `token-${(ids += 1)}` },
    faultPoint: (point) => {
      if (dieAt(point)) throw new WorkerDied(point);
    },
    kinds: options.kinds ?? [
      redriveKind({ appends, clock, runtime: world.worker(dieAt), stages, limitsOf }),
      resetKind({ appends, objects, lake, clock, telemetry, stages: world.served(worker) }),
      auditKind({ appends, objects, lake, clock, stages: world.served(worker) }),
      compactKind({ lake, clock, telemetry, tables }),
      backfillKind({
        ...{ appends, objects, lake, capture, clock, telemetry },
        stages: world.served(worker, dieAt),
        compile: (plan) => compileStage(plan, topologies),
        openTable: (plan, within) =>
          openLakeTable({
            ...{ objects: within, plan, folder: tableFolder(plan.name), clock, telemetry },
            randomness: { uniqueId: () => `token-${(ids += 1)}` },
            faultPoint: () => undefined,
          }),
      }),
    ],
  };
}

export async function createJob(
  world: StageWorld,
  kind: string,
  options: unknown,
): Promise<string> {
  ids += 1;
  const id = `${kind}-${ids}`;
  const { appends, objects } = world;
  const store = new JobStore({ appends, objects, clock: { nowMs: () => world.nowMs } });
  await store.create({ id, kind, options, by: 'test' });
  return id;
}

export function work(
  worker: JobWorld,
  jobId: string,
  options: Partial<WorkOptions> = {},
): Promise<JobProgress> {
  return workOnJob(worker, {
    ...{ jobId, deadlineMs: Infinity, leaseMs: 10_000, claimMax: 4 },
    ...options,
  });
}

/** The report that is in a job's journal. */
export async function reportOf(world: StageWorld, jobId: string): Promise<Record<string, unknown>> {
  const { appends, objects } = world;
  const store = new JobStore({ appends, objects, clock: { nowMs: () => world.nowMs } });
  const state = await store.open(jobId).catchUp();
  return { ...(state.report?.summary as object), isRight: state.report?.isRight };
}
