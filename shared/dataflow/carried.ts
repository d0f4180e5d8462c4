/** What of values an exchange has to carry. */
import type { AppliedOperator, Selector } from '../operators/contract';
import { tumblingWindow } from '../operators/window';
import type { GraphNode, KeyByNode, Topology } from './graph';

/** Who takes what a keyBy gives out, through which port, with all that it needs of a value. */
export interface Taker {
  readonly node: string;
  readonly port: number;
  readonly selectors: readonly Selector[];
}

/** By takers, in the order of the topology; null: one of them needs the values themselves. */
export function takersOf(topology: Topology, keyBy: KeyByNode): readonly Taker[] | null {
  const takers: Taker[] = [];
  for (const node of topology.nodes) {
    if (node.kind === 'source') continue;
    for (const [port, edges] of node.inputs.entries()) {
      if (!edges.some(({ from }) => from === keyBy.id)) continue;
      const operator = statefulOf(node);
      const selectors = operator?.spec.args?.(operator.config, port) ?? null;
      if (selectors === null) return null;
      takers.push({ node: node.name, port, selectors });
    }
  }
  return takers.length === 0 ? null : takers;
}

function statefulOf(node: GraphNode): AppliedOperator | null {
  if (node.kind === 'operator') return node.operator;
  return node.kind === 'window' ? tumblingWindow(node) : null;
}
