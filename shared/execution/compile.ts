import { Compile } from 'typebox/compile';
import { invariant, StreamError } from '../model/errors';
import type { Program, ProgramOutputs, StagePlan } from '../model/program';
import { planTopology, type PlannedStage } from '../planner/plan';
import type { KeyedState } from '../state/keyed-state';
import {
  consumersOf,
  type GraphNode,
  type KeyByNode,
  type Topology,
  type WindowNode,
} from '../dataflow/graph';
import { toAll, type OperatorContext, type Receiver, type PlaceTime } from '../dataflow/operator';
import { compileExchange, compileKeyBy } from '../operators/key-by';
import { compileToLake } from '../operators/to-lake';
import { TumblingWindowOperator } from '../operators/window';
import { withSafeIntegers } from './exact-numbers';
import { StageProgram, type PlacedTimed } from './stage-program';

/** A stage ready to be bound to the state of each of its tasks. */
export interface CompiledProgram {
  readonly plan: StagePlan;
  readonly bind: (state: KeyedState, outputs: ProgramOutputs) => Program;
}

/** Compiles one planned stage of the topologies it was planned from. */
export function compileStage(plan: StagePlan, topologies: readonly Topology[]): CompiledProgram {
  const topology = topologies.find(({ name }) => name === plan.topology);
  const planned = topology && planTopology(topology).find((stage) => stage.plan.name === plan.name);
  const [root, ...others] = planned?.roots ?? [];
  if (topology === undefined || planned === undefined || root === undefined) {
    throw new StreamError(
      'STREAM_TOPOLOGY_INVALID',
      `no topology has the stage ${plan.topology}/${plan.name}`,
    );
  }
  invariant(others.length === 0, 'keyed streams are brought together by operators with ports');
  const validator = root.kind === 'source' ? Compile(withSafeIntegers(root.schema)) : null;
  return {
    plan,
    bind: (state, outputs) => {
      const context: OperatorContext = {
        plan,
        state,
        outputs,
        watermarkMs: -Infinity,
        markMs: -Infinity,
        operator: plan.name,
        isEmitted: false,
        isLate: false,
        counters: {},
      };
      const compiler = new StageCompiler(topology, planned, context);
      const head = toAll(compiler.receiversAfter(root, inputTime(context)));
      return new StageProgram({
        context,
        head,
        timed: compiler.timed,
        exchangeTimes: compiler.exchangeTimes,
        source: root.kind === 'source' ? root : null,
        validator,
      });
    },
  };
}

function inputTime(context: OperatorContext): PlaceTime {
  return {
    get watermarkMs() {
      return context.watermarkMs;
    },
    isAwaited: false,
  };
}

class StageCompiler {
  /** In the data's order: what one gives out is there before the next is asked what is due. */
  readonly timed: PlacedTimed[] = [];
  /** By position in `StagePlan.exchanges`. */
  readonly exchangeTimes: PlaceTime[] = [];
  readonly #topology: Topology;
  readonly #planned: PlannedStage;
  readonly #context: OperatorContext;

  constructor(topology: Topology, planned: PlannedStage, context: OperatorContext) {
    this.#topology = topology;
    this.#planned = planned;
    this.#context = context;
  }

  receiversAfter(node: GraphNode, time: PlaceTime, output = 0): Receiver[] {
    return consumersOf(this.#topology, node.id, output).map((next) => this.#compile(next, time));
  }

  /** @param time of what the node takes in */
  #compile(node: GraphNode, time: PlaceTime): Receiver {
    const context = this.#context;
    const next = (): Receiver => toAll(this.receiversAfter(node, time));
    switch (node.kind) {
      case 'operator':
        return node.operator.compile({
          name: node.name,
          context,
          next: next(),
          addTimed: (operator) => this.timed.push({ operator, time }),
        });
      case 'keyBy':
        return this.#planned.exits.includes(node)
          ? this.#compileExchange(node, time)
          : compileKeyBy(node, context, next());
      case 'toLake':
        return compileToLake(
          node,
          context,
          context.plan.tables.findIndex(({ name }) => name === node.table.name),
        );
      case 'window':
        return this.#compileWindow(node, time);
      case 'source':
        throw new Error(`a ${node.kind} takes no values`);
      default:
        return node satisfies never;
    }
  }

  #compileExchange(node: KeyByNode, time: PlaceTime): Receiver {
    const exchange = this.#planned.exits.indexOf(node);
    this.exchangeTimes[exchange] = time;
    return compileExchange(node, this.#context, exchange);
  }

  #compileWindow(node: WindowNode, time: PlaceTime): Receiver {
    const results: Receiver[] = [];
    const operator = new TumblingWindowOperator({
      ...{ node, context: this.#context, time, results },
      late: this.#lateReceiver(node, time),
    });
    this.timed.push({ operator, time });
    results.push(...this.receiversAfter(node, operator.resultsTime));
    return operator.receive;
  }

  #lateReceiver(window: WindowNode, time: PlaceTime): Receiver | null {
    return window.late === 'sideOutput' ? toAll(this.receiversAfter(window, time, 1)) : null;
  }
}
