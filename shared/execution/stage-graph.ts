import type { AppliedOperator } from '../operators/contract';

/** What a node takes in: an output of a node before it. */
export interface StageEdge {
  /** Position in `StageGraph.nodes`; −1: what the stage reads. */
  readonly from: number;
  /** Of what the stage reads: the port that it came through. */
  readonly output: number;
}

export interface StageNode extends AppliedOperator {
  /** The node's name in the topology: its state and its dead letters are known by it. */
  readonly name: string;
  /** The user's, of what the functions in the settings mean. */
  readonly version: number;
  /** By input port. */
  readonly inputs: readonly (readonly StageEdge[])[];
}

/** What one stage runs, in topological order: a node's position is its place. */
export interface StageGraph {
  /** How many ports the stage reads from: 1 but for exchanges that several streams go through. */
  readonly ports: number;
  readonly nodes: readonly StageNode[];
  /** By position in `StagePlan.exchanges`: the node that sends to it. */
  readonly exchangeNodes: readonly number[];
}
