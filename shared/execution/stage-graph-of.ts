import { takersOf } from '../dataflow/carried';
import type { Edge, GraphNode, Topology } from '../dataflow/graph';
import type { StagePlan } from '../model/program';
import type { AppliedOperator } from '../operators/contract';
import { exchange } from '../operators/exchange';
import { keyBy } from '../operators/key-by';
import { carriedColumns } from '../operators/exchange/carried';
import { toLake } from '../operators/to-lake';
import { tumblingWindow } from '../operators/window';
import type { PlannedStage } from '../planner/plan';
import type { StageEdge, StageGraph, StageNode } from './stage-graph';

/** What a planned stage runs. */
export function stageGraph(
  { exits, inside, plan, roots }: PlannedStage,
  topology: Topology,
  isWhole = false,
): StageGraph {
  const nodes: StageNode[] = [];
  /** Of each node of the topology, where what it gives out comes from. */
  const edges = new Map<number, StageEdge>(
    roots.map(({ id }, port) => [id, { from: -1, output: port }]),
  );
  /** Of a union, what another stage gives out does not come here. */
  const sourceOf = ({ from, output }: Edge): StageEdge[] => {
    const edge = edges.get(from);
    if (edge === undefined) return [];
    return [edge.from < 0 ? edge : { from: edge.from, output }];
  };
  const add = (
    { name, version }: { readonly name: string; readonly version?: number },
    operator: AppliedOperator,
    inputs: StageNode['inputs'],
  ): number => nodes.push({ ...operator, name, version: version ?? 1, inputs }) - 1;
  // Nodes are numbered in the order in which they were made: after those that they take from.
  const ordered = [...inside, ...exits].sort((left, right) => left.id - right.id);
  const exchangeNodes: number[] = exits.map(() => -1);
  for (const node of ordered) {
    if (node.kind === 'source') continue;
    const position = exits.findIndex(({ id }) => id === node.id);
    const inputs = node.inputs.map((port) => port.flatMap(sourceOf));
    const place = add(node, operatorOf(node, plan, position >= 0), inputs);
    edges.set(node.id, { from: place, output: 0 });
    if (position < 0) continue;
    const takers = node.kind === 'keyBy' && !isWhole ? takersOf(topology, node) : null;
    const carried = takers && carriedColumns(takers);
    const sink = exchange(position, plan.exchanges[position]?.port ?? 0, carried);
    exchangeNodes[position] = add(node, sink, [[{ from: place, output: 0 }]]);
  }
  return { ports: roots.length, nodes, exchangeNodes };
}

function operatorOf(
  node: Exclude<GraphNode, { kind: 'source' }>,
  plan: StagePlan,
  isExit: boolean,
): AppliedOperator {
  switch (node.kind) {
    case 'operator':
      return node.operator;
    case 'keyBy':
      return keyBy(node.key, isExit);
    case 'toLake':
      return toLake(
        node.table,
        plan.tables.findIndex(({ name }) => name === node.table.name),
      );
    case 'window': {
      const { aggregates, graceMs, late, sizeMs } = node;
      return tumblingWindow({ aggregates, graceMs, late, sizeMs });
    }
    default:
      return node satisfies never;
  }
}
