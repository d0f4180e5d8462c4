import { inputsOf, kindOf, type GraphNode, type Topology } from '../dataflow/graph';
import type { Json, PlanDocument, PlanNode } from '../model/plan-document';
import { planTopology } from './plan';

/** A topology as plain data, for comparisons: see shared/model/plan-document.ts. */
export function planDocument(topology: Topology): PlanDocument {
  const stages = new Map<number, string>();
  for (const { inside, plan, roots } of planTopology(topology)) {
    for (const node of [...roots, ...inside]) stages.set(node.id, plan.name);
  }
  const nodes = topology.nodes.map((node): PlanNode => {
    const inputs = inputsOf(node)
      .flat()
      .flatMap(({ from }) => topology.nodes[from] ?? []);
    return {
      id: idOf(node),
      kind: kindOf(node),
      name: node.name,
      stage: stages.get(node.id) ?? '',
      inputs: inputs.map(idOf),
      settings: asJson(settingsOf(node)),
      fingerprint: asJson(fingerprintOf(topology, node)),
    };
  });
  return {
    format: 1,
    topology: topology.name,
    nodes: nodes.sort((left, right) => (left.id < right.id ? -1 : 1)),
  };
}

function idOf(node: GraphNode): string {
  return `${kindOf(node)} ${node.name}`;
}

function settingsOf(node: GraphNode): unknown {
  switch (node.kind) {
    case 'source': {
      const { early, maxDriftMs, outOfOrdernessMs, quiet, schema } = node;
      return { schema, outOfOrdernessMs, early, quiet, maxDriftMs };
    }
    case 'keyBy':
      return { isPartitionedBySource: node.isPartitionedBySource };
    case 'window':
      return { graceMs: node.graceMs, late: node.late };
    case 'toLake': {
      const { columns, flush, format, partitionBy } = node.table;
      return { columns, partitionBy, format, flush };
    }
    case 'operator':
      return {};
    default:
      return node satisfies never;
  }
}

function fingerprintOf(topology: Topology, node: GraphNode): unknown {
  if (node.kind !== 'window') return null;
  const key = topology.nodes[node.inputs[0]?.[0]?.from ?? -1];
  return {
    kind: 'window',
    stateVersion: 1,
    key: key?.name ?? '',
    sizeMs: node.sizeMs,
    aggregates: node.aggregates.map(([name]) => name),
  };
}

function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
