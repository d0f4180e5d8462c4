import { compileStage } from '../execution';
import { openLakeTable, type LakeTable } from '../lake/lake-table';
import { tableFolder, tableShape } from '../lake/names';
import type { StagePlan } from '../model/program';
import type { TablePlan } from '../model/table';
import type { BuildIdentity } from '../model/topology-plan';
import type { ObjectStore } from '../model/ports';
import type { Topology } from '../dataflow';
import { Runtime, type RuntimeOptions } from '../task/runtime';
import type { CompiledStage, StageServices } from '../task/services';
import { ownPlans, planAdoption } from '../world/own-plans';
import { MemorySender, type MemoryHub } from './memory-hub';

/** What the workers of one world share. */
export interface MemoryWorld extends Omit<
  StageServices,
  'hub' | 'sender' | 'lakeTable' | 'faultPoint' | 'writer'
> {
  readonly lake: ObjectStore;
  readonly hubs: ReadonlyMap<string, MemoryHub>;
  /** Of a table's log; absent: as in production. */
  readonly checkpointEvery?: number;
}

/** What one worker does not share with others. */
export type MemoryWorker = Pick<StageServices, 'writer' | 'faultPoint'>;

/** A worker's view of the world for one stage. */
export function memoryServices(
  world: MemoryWorld,
  { faultPoint, writer }: MemoryWorker,
  { input }: StagePlan,
): StageServices {
  const { checkpointEvery, hubs, lake, ...shared } = world;
  const hub = hubs.get(input.hub);
  if (hub === undefined) throw new Error(`no hub ${input.hub}`);
  const tables = new Map<string, LakeTable>();
  const open = (plan: TablePlan): LakeTable =>
    openLakeTable({
      ...{ objects: lake, plan, folder: tableFolder(plan.name), faultPoint },
      ...{ clock: world.clock, randomness: world.randomness, telemetry: world.telemetry },
      ...(checkpointEvery !== undefined && { checkpointEvery }),
    });
  const lakeTable = (plan: TablePlan): LakeTable => {
    const shape = tableShape(plan);
    const opened = tables.get(shape) ?? open(plan);
    tables.set(shape, opened);
    return opened;
  };
  return { ...shared, hub, sender: new MemorySender(hubs), lakeTable, faultPoint, writer };
}

/** The topologies of one deployment. */
export interface MemoryBuild {
  readonly topologies: readonly Topology[];
  readonly stages: readonly StagePlan[];
  /** Null: nobody keeps plans, and every build may commit. */
  readonly identity: BuildIdentity | null;
}

/** A worker with nothing in memory that runs the stages of a build. */
export function memoryRuntime(
  build: MemoryBuild,
  servicesOf: (plan: StagePlan) => StageServices,
  options: Pick<RuntimeOptions, 'hubCheckIntervalMs' | 'isDraining'> & {
    /** What is laid over each stage. */
    readonly over?: (stage: CompiledStage) => CompiledStage;
    /** Whole values travel over exchanges. */
    readonly isWhole?: boolean;
  },
): Runtime {
  const {
    isWhole = false,
    over = (stage: CompiledStage): CompiledStage => stage,
    ...rest
  } = options;
  const stages = build.stages.map((plan) => ({ plan, services: servicesOf(plan) }));
  const [first] = stages;
  if (first === undefined) throw new Error('a build without a stage');
  const { identity, topologies } = build;
  return new Runtime({
    ...rest,
    stages: stages.map(({ plan, services }) => ({
      stage: over(compileStage(plan, topologies, { isWhole })),
      services,
    })),
    ...(identity !== null && {
      plans: planAdoption(first.services, {
        ...{ build: identity, plans: ownPlans(topologies, stages), mayMove: true },
      }),
    }),
  });
}
