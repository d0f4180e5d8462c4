import type { TObject } from 'typebox';
import type { TablePlan } from '../model/table';
import type { Operator } from './operator';
import type { Aggregate } from './aggregates';

/** The nodes of a dataflow, as the typed API records them. Functions are untyped from here on. */
export type AnyFunction<Result> = (value: never) => Result;

export interface SourceNode {
  readonly kind: 'source';
  readonly id: number;
  readonly name: string;
  readonly schema: TObject;
  readonly eventTime: AnyFunction<number>;
  readonly outOfOrdernessMs: number;
  readonly idleAfterMs: number;
  readonly earlyLimitMs: number;
}

/** An operator that takes values one by one. What it does is in its own file (shared/operators). */
export interface OperatorNode {
  readonly kind: 'operator';
  readonly id: number;
  readonly input: number;
  readonly name: string;
  readonly operator: Operator;
}

export interface KeyByNode {
  readonly kind: 'keyBy';
  readonly id: number;
  readonly input: number;
  readonly name: string;
  readonly key: AnyFunction<string>;
  /** The source's partitions hold each key in one place already: no exchange. */
  readonly isPartitionedBySource: boolean;
}

export type LatePolicy = 'drop' | 'adjust' | 'sideOutput';

export interface WindowNode {
  readonly kind: 'window';
  readonly id: number;
  readonly input: number;
  readonly name: string;
  readonly sizeMs: number;
  readonly allowedLatenessMs: number;
  readonly late: LatePolicy;
  readonly aggregates: readonly (readonly [string, Aggregate<never, unknown, unknown>])[];
}

/** The late events of a window with the policy `sideOutput`. */
export interface LateNode {
  readonly kind: 'late';
  readonly id: number;
  readonly input: number;
  readonly name: string;
}

export interface LakeNode {
  readonly kind: 'toLake';
  readonly id: number;
  readonly input: number;
  readonly name: string;
  readonly table: TablePlan;
}

export type GraphNode = SourceNode | OperatorNode | KeyByNode | WindowNode | LateNode | LakeNode;

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
  return node.kind === 'operator' ? node.operator.kind : node.kind;
}

/** The nodes that take what a node gives out. */
export function consumersOf(topology: Topology, id: number): GraphNode[] {
  return topology.nodes.filter((node) => node.kind !== 'source' && node.input === id);
}
