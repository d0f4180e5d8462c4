/**
 * Which keyBys bring their values together. What takes keyed values through several edges (a join, a union
 * of keyed streams) needs those of one key in one task: the keyBys before it are one group, with one exchange.
 */
import { inputsOf, needsKeys, type GraphNode, type Topology } from '../dataflow/graph';

/** The keyBys that gave the values at a node their keys, by node: none before any. */
export function keysOfNodes(topology: Topology): readonly ReadonlySet<number>[] {
  const keys: Set<number>[] = [];
  for (const node of topology.nodes) {
    keys.push(node.kind === 'keyBy' ? new Set([node.id]) : keysBefore(node, keys));
  }
  return keys;
}

function keysBefore(node: GraphNode, keys: readonly ReadonlySet<number>[]): Set<number> {
  return new Set(
    inputsOf(node)
      .flat()
      .flatMap(({ from }) => Array.from(keys[from] ?? [])),
  );
}

/** keyBys that belong together, each group in the order of names; every keyBy is in one. */
export class KeyGroups {
  readonly groups: readonly (readonly GraphNode[])[];
  readonly #groupOf = new Map<number, readonly GraphNode[]>();
  /** Nodes that bring several keyBys together. */
  readonly mergers: readonly GraphNode[];

  constructor(topology: Topology) {
    const keys = keysOfNodes(topology);
    const leaders = new Map<number, number>();
    const leaderOf = (id: number): number => {
      const leader = leaders.get(id) ?? id;
      return leader === id ? id : leaderOf(leader);
    };
    const mergers: GraphNode[] = [];
    for (const node of topology.nodes) {
      if (!needsKeys(node)) continue;
      const [first, ...others] = keysBefore(node, keys);
      if (first === undefined || others.length === 0) continue;
      mergers.push(node);
      for (const other of others) leaders.set(leaderOf(other), leaderOf(first));
    }
    this.mergers = mergers;
    const groups = new Map<number, GraphNode[]>();
    for (const node of topology.nodes) {
      if (node.kind !== 'keyBy') continue;
      const leader = leaderOf(node.id);
      groups.set(leader, [...(groups.get(leader) ?? []), node]);
    }
    this.groups = Array.from(groups.values(), (group) =>
      group.sort((left, right) => (left.name < right.name ? -1 : 1)),
    );
    for (const group of this.groups) {
      for (const { id } of group) this.#groupOf.set(id, group);
    }
  }

  groupOf(keyBy: GraphNode): readonly GraphNode[] {
    return this.#groupOf.get(keyBy.id) ?? [keyBy];
  }
}
