import { openLakeTable } from '../lake/lake-table';
import { tableFolder } from '../lake/names';
import { compileStage } from '../execution';
import type { FaultPoint } from '../model/ports';
import { StreamError } from '../model/errors';
import { auditKind } from '../operations/jobs/kinds/audit';
import { backfillKind } from '../operations/jobs/kinds/backfill';
import { compactKind } from '../operations/jobs/kinds/compact';
import { redriveKind } from '../operations/jobs/kinds/redrive';
import { resetKind } from '../operations/jobs/kinds/reset';
import type { JobWorld } from '../operations/jobs/work-on-job';
import type { SurveyedStage } from '../supervision/survey/surveyor';
import type { Runtime } from '../task/runtime';
import type { Topology } from '../dataflow/graph';
import type { World } from './world';

/** A worker that knows every kind of job. */
export function createJobWorld(options: {
  readonly world: World;
  readonly runtime: Runtime;
  readonly stages: readonly SurveyedStage[];
  readonly topologies: readonly Topology[];
  readonly faultPoint: FaultPoint;
}): JobWorld {
  const { faultPoint, runtime, stages, topologies, world } = options;
  const { appends, capture, clock, control: objects, lake, randomness, telemetry } = world;
  const plans = stages.map(({ plan }) => plan);
  const limitsOf = (name: string): Topology['deadLetters'] => {
    const topology = topologies.find((candidate) => candidate.name === name);
    if (topology !== undefined) return topology.deadLetters;
    throw new StreamError('STREAM_TOPOLOGY_INVALID', `this app has no topology ${name}`);
  };
  return {
    ...{ appends, objects, clock, randomness, telemetry, faultPoint },
    sleep: (milliseconds) => world.sleep(milliseconds),
    worker: world.writer,
    kinds: [
      redriveKind({ appends, clock, runtime, stages: plans, limitsOf }),
      resetKind({ appends, objects, lake, clock, telemetry, stages }),
      auditKind({ appends, objects, lake, clock, stages }),
      compactKind({ lake, clock, telemetry, tables: plans.flatMap(({ tables }) => tables) }),
      backfillKind({
        ...{ appends, objects, lake, capture, clock, telemetry, stages },
        compile: (plan) => compileStage(plan, topologies),
        openTable: (plan, within) =>
          openLakeTable({
            ...{ objects: within, plan, folder: tableFolder(plan.name) },
            ...{ clock, randomness, telemetry, faultPoint },
          }),
      }),
    ],
  };
}
