import { Compile } from 'typebox/compile';
import { invariant, StreamError } from '../model/errors';
import type { Program, ProgramOutputs, StagePlan } from '../model/program';
import { isExchange, planTopology } from '../planner/plan';
import type { KeyedState } from '../state/keyed-state';
import { consumersOf, type GraphNode, type Topology } from '../topology/graph';
import {
  toAll,
  type OperatorContext,
  type Receiver,
  type TimedOperator,
} from '../operators/context';
import { compileExchange, compileKeyBy } from '../operators/key-by';
import { compileToLake } from '../operators/to-lake';
import { TumblingWindowOperator } from '../operators/window';
import { StageProgram } from './stage-program';

/** A stage ready to be bound to the state of each of its tasks. */
export interface CompiledProgram {
  readonly plan: StagePlan;
  readonly bind: (state: KeyedState, outputs: ProgramOutputs) => Program;
}

/** Compiles one planned stage of the topologies it was planned from. */
export function compileStage(plan: StagePlan, topologies: readonly Topology[]): CompiledProgram {
  const topology = topologies.find(({ name }) => name === plan.topology);
  const root =
    topology && planTopology(topology).find((stage) => stage.plan.name === plan.name)?.root;
  if (topology === undefined || root === undefined) {
    throw new StreamError(
      'STREAM_TOPOLOGY_INVALID',
      `no topology has the stage ${plan.topology}/${plan.name}`,
    );
  }
  const validator = root.kind === 'source' ? Compile(root.schema) : null;
  return {
    plan,
    bind: (state, outputs) => {
      const context: OperatorContext = {
        plan,
        state,
        outputs,
        watermarkMs: -Infinity,
        operator: plan.name,
        isEmitted: false,
        isLate: false,
        counters: {},
      };
      const timed: TimedOperator[] = [];
      const compiler = new StageCompiler(topology, context, timed);
      const head = toAll(compiler.receiversAfter(root));
      return new StageProgram({
        context,
        head,
        timed,
        source: root.kind === 'source' ? root : null,
        validator,
      });
    },
  };
}

class StageCompiler {
  readonly #topology: Topology;
  readonly #context: OperatorContext;
  readonly #timed: TimedOperator[];

  constructor(topology: Topology, context: OperatorContext, timed: TimedOperator[]) {
    this.#topology = topology;
    this.#context = context;
    this.#timed = timed;
  }

  receiversAfter(node: GraphNode): Receiver[] {
    return consumersOf(this.#topology, node.id)
      .filter(({ kind }) => kind !== 'late')
      .map((next) => this.#compile(next));
  }

  #compile(node: GraphNode): Receiver {
    const context = this.#context;
    const next = (): Receiver => toAll(this.receiversAfter(node));
    switch (node.kind) {
      case 'operator':
        return node.operator.compile({
          name: node.name,
          context,
          next: next(),
          addTimed: (operator) => this.#timed.push(operator),
        });
      case 'keyBy':
        return isExchange(node)
          ? compileExchange(node, context, this.#exchangeIndex(node.name))
          : compileKeyBy(node, context, next());
      case 'toLake':
        return compileToLake(
          node,
          context,
          context.plan.tables.findIndex(({ name }) => name === node.table.name),
        );
      case 'window': {
        const operator = new TumblingWindowOperator({
          node,
          context,
          results: this.receiversAfter(node),
          late: this.#lateReceiver(node),
        });
        this.#timed.push(operator);
        return operator.receive;
      }
      case 'source':
      case 'late':
        throw new Error(`a ${node.kind} takes no values`);
      default:
        return node satisfies never;
    }
  }

  #lateReceiver(window: GraphNode): Receiver | null {
    const late = consumersOf(this.#topology, window.id).filter(({ kind }) => kind === 'late');
    return late.length === 0 ? null : toAll(late.flatMap((node) => this.receiversAfter(node)));
  }

  #exchangeIndex(keyByName: string): number {
    const { exchanges, topology } = this.#context.plan;
    const index = exchanges.findIndex(({ hub }) => hub === `${topology}-${keyByName}`);
    invariant(index >= 0, 'every exchange of the stage is planned', { keyByName });
    return index;
  }
}
