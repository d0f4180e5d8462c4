import type { TObject } from 'typebox';
import type { TablePlan } from '../model/table';
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

export interface MapNode {
  readonly kind: 'map';
  readonly id: number;
  readonly input: number;
  readonly name: string;
  readonly apply: AnyFunction<unknown>;
}

export interface FlatMapNode {
  readonly kind: 'flatMap';
  readonly id: number;
  readonly input: number;
  readonly name: string;
  readonly apply: AnyFunction<Iterable<unknown>>;
}

export interface FilterNode {
  readonly kind: 'filter';
  readonly id: number;
  readonly input: number;
  readonly name: string;
  readonly isKept: AnyFunction<boolean>;
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

export type GraphNode =
  SourceNode | MapNode | FlatMapNode | FilterNode | KeyByNode | WindowNode | LateNode | LakeNode;

/** A named dataflow. */
export interface Topology {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
}

/** The nodes that take what a node gives out. */
export function consumersOf(topology: Topology, id: number): GraphNode[] {
  return topology.nodes.filter((node) => node.kind !== 'source' && node.input === id);
}
