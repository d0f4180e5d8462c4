import { Compile } from 'typebox/compile';
import { StreamError } from '../model/errors';
import type { Program, ProgramOutputs, StagePlan } from '../model/program';
import { planTopology } from '../planner/plan';
import type { TaskStores } from '../state/task-stores';
import type { Topology } from '../dataflow/graph';
import { withSafeIntegers } from './exact-numbers';
import { SourceEvents } from './source-events';
import { stageGraph } from './stage-graph-of';
import { StageProgram } from './stage-program';

/** A stage ready to be bound to the state of each of its tasks. */
export interface CompiledProgram {
  readonly plan: StagePlan;
  readonly bind: (state: TaskStores, outputs: ProgramOutputs) => Program;
}

/**
 * Compiles one planned stage of the topologies it was planned from.
 * @param options.isWhole whole values travel over exchanges, also where all that take them need columns alone: a
 * reader takes what comes, so stages that were compiled either way understand each other
 */
export function compileStage(
  plan: StagePlan,
  topologies: readonly Topology[],
  options: { readonly isWhole?: boolean } = {},
): CompiledProgram {
  const topology = topologies.find(({ name }) => name === plan.topology);
  const planned = topology && planTopology(topology).find((stage) => stage.plan.name === plan.name);
  const [root] = planned?.roots ?? [];
  if (topology === undefined || planned === undefined || root === undefined) {
    throw new StreamError(
      'STREAM_TOPOLOGY_INVALID',
      `no topology has the stage ${plan.topology}/${plan.name}`,
    );
  }
  const graph = stageGraph(planned, topology, options.isWhole === true);
  const source =
    root.kind === 'source' ? new SourceEvents(root, Compile(withSafeIntegers(root.schema))) : null;
  return {
    plan,
    bind: (state, outputs) => new StageProgram({ graph, source, state, outputs }),
  };
}
