import type { TObject } from 'typebox';
import type { Key } from '../model/key';
import type { TablePlan } from '../model/table';
import type { AppliedOperator } from '../operators/contract';
import type { EarlyPolicy, QuietPolicy } from '../time/source-time';
import type { Aggregate } from '../operators/aggregates';

/** The nodes of a dataflow, as the typed API records them. Functions are untyped from here on. */
type AnyFunction<Result> = (value: never) => Result;

/** What a node takes in: one output of another node. Nodes come after those they take from. */
export interface Edge {
  readonly from: number;
  /** 0: what a node gives out; 1 of a window: what came too late for it. */
  readonly output: number;
}

/** By input port: what comes through it; several edges are a union. */
export type Inputs = readonly (readonly Edge[])[];

interface Named {
  readonly id: number;
  /**
   * Unique among nodes of its role where the user gave it: the identity of what it keeps. Else its kind
   * and a number, which is for messages only.
   */
  readonly name: string;
  readonly isNamed: boolean;
}

export interface SourceNode extends Named {
  readonly kind: 'source';
  readonly schema: TObject;
  readonly eventTime: AnyFunction<number>;
  readonly outOfOrdernessMs: number;
  readonly early: EarlyPolicy;
  /** Null: wall clock never moves this source's time. */
  readonly quiet: QuietPolicy | null;
}

interface Versioned {
  /** Raised by whoever changes what the functions of a node mean: its state is then of another make. */
  readonly version: number;
}

/** An operator that takes values one by one. What it does is in its own file (shared/operators). */
export interface OperatorNode extends Named, Versioned {
  readonly kind: 'operator';
  readonly inputs: Inputs;
  readonly operator: AppliedOperator;
}

export interface KeyByNode extends Named, Versioned {
  readonly kind: 'keyBy';
  readonly inputs: Inputs;
  readonly key: AnyFunction<Key>;
  /** The source's partitions hold each key in one place already: no exchange. */
  readonly isPartitionedBySource: boolean;
}

/** What becomes of values that came too late for their window; all are counted. */
export type LatePolicy = 'drop' | 'clamp' | 'sideOutput';

interface WindowNode extends Named, Versioned {
  readonly kind: 'window';
  readonly inputs: Inputs;
  readonly sizeMs: number;
  readonly graceMs: number;
  readonly late: LatePolicy;
  readonly aggregates: readonly (readonly [string, Aggregate<never, unknown, unknown>])[];
}

interface LakeNode extends Named {
  readonly kind: 'toLake';
  readonly inputs: Inputs;
  readonly table: TablePlan;
}

export type GraphNode = SourceNode | OperatorNode | KeyByNode | WindowNode | LakeNode;

/** A named dataflow. */
export interface Topology {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  /** How often and how long dead letters of this topology may be redriven. */
  readonly deadLetters: DeadLetterLimits;
}

export interface DeadLetterLimits {
  /** Times one event may be tried, the first included. */
  readonly attemptsMax: number;
  readonly ageMaxMs: number;
}

/** What people call a node: the method that made it. */
export function kindOf(
  node:
    | Pick<OperatorNode, 'kind' | 'operator'>
    | { readonly kind: Exclude<GraphNode['kind'], 'operator'> },
): string {
  return node.kind === 'operator' ? node.operator.spec.kind : node.kind;
}

export function inputsOf(node: GraphNode): Inputs {
  return node.kind === 'source' ? [] : node.inputs;
}

/** The nodes that take anything of a node. */
export function allConsumersOf(topology: Topology, id: number): GraphNode[] {
  return topology.nodes.filter((node) =>
    inputsOf(node)
      .flat()
      .some(({ from }) => from === id),
  );
}

/** What a name is unique among; in messages. */
export type Role = 'sources' | 'keyBys' | 'operators' | 'tables';

/** Whatever its kind: an operator of another kind under a name is still the one of that name. */
export function roleOf({ kind }: { readonly kind: GraphNode['kind'] }): Role {
  switch (kind) {
    case 'source':
      return 'sources';
    case 'keyBy':
      return 'keyBys';
    case 'toLake':
      return 'tables';
    default:
      return 'operators';
  }
}

/** True of what keeps values by their keys: all values of one key must come to one task. */
export function needsKeys(node: GraphNode): boolean {
  if (node.kind !== 'operator') return node.kind === 'window';
  const { config, spec } = node.operator;
  return spec.shape(config).inputs.some((port) => port.isKeyed === true);
}
