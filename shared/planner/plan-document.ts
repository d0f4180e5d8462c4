import { createHash } from 'node:crypto';
import {
  inputsOf,
  kindOf,
  type Edge,
  type GraphNode,
  type OperatorNode,
  type Topology,
} from '../dataflow/graph';
import { faultOf, unsound } from '../dataflow/places';
import type { FunctionNote, Json, PlanDocument, PlanNode, PlanStage } from '../model/plan-document';
import { keysOfNodes } from './key-groups';
import { planTopology, type PlannedStage } from './plan';

/** More ways than anybody reads: unions of unions of one stream. */
const waysMax = 1_000;

/** A topology as plain data, for comparisons: see shared/model/plan-document.ts. */
export function planDocument(topology: Topology): PlanDocument {
  const planned = planTopology(topology);
  const stages = new Map<number, string[]>();
  for (const { inside, plan, roots } of planned) {
    for (const { id } of [...roots, ...inside]) {
      stages.set(id, [...(stages.get(id) ?? []), plan.name].sort());
    }
  }
  const keys = keysOfNodes(topology);
  const ways = waysToNodes(topology);
  const nodes = topology.nodes
    .filter(({ isNamed }) => isNamed)
    .map((node): PlanNode => ({
      id: idOf(node),
      kind: kindOf(node),
      name: node.name,
      stages: stages.get(node.id) ?? [],
      inputs: ways(node),
      settings: asJson(settingsOf(node)),
      fingerprint: asJson(fingerprintOf(topology, node, keys)),
    }));
  return {
    format: 1,
    topology: topology.name,
    nodes: nodes.sort((left, right) => (left.id < right.id ? -1 : 1)),
    stages: planned.map(stageOf).sort((left, right) => (left.name < right.name ? -1 : 1)),
  };
}

/**
 * The functions of a topology by their place, each with a hash of its text: a note for people. Bundlers change
 * texts, and what a closure means is not in its text, so no decision may hang on it.
 */
export function functionNotes(topology: Topology): readonly FunctionNote[] {
  const notes = topology.nodes.flatMap((node) =>
    functionsIn(node, idOf(node), new Set()).map(([place, apply]): FunctionNote => ({
      place,
      textHash: createHash('sha256').update(String(apply)).digest('hex').slice(0, 16),
    })),
  );
  return notes.sort((left, right) => (left.place < right.place ? -1 : 1));
}

type Called = (...args: never) => unknown;

function functionsIn(value: unknown, place: string, seen: Set<object>): [string, Called][] {
  if (typeof value === 'function') return [[place, value as Called]];
  if (typeof value !== 'object' || value === null || seen.has(value)) return [];
  seen.add(value);
  return Object.entries(value).flatMap(([name, part]) =>
    name === 'schema' ? [] : functionsIn(part, `${place}.${name}`, seen),
  );
}

function stageOf({ plan }: PlannedStage): PlanStage {
  const { exchanges, input, name, tables } = plan;
  return {
    name,
    reads: input.hub,
    producers: input.kind === 'exchange' ? input.producers : [],
    exchanges,
    tables: tables.map((table) => table.name),
  };
}

function idOf(node: GraphNode): string {
  return `${kindOf(node)} ${node.name}`;
}

/**
 * What comes into a named node: by port, the named node that it is from, its output, and the unnamed steps on
 * the way (which keep nothing, and have no identity). In the order of texts, for edges of a union have none.
 */
function waysToNodes(topology: Topology): (node: GraphNode) => readonly string[] {
  const known = new Map<string, readonly string[]>();
  const waysOf = ({ from, output }: Edge): readonly string[] => {
    const node = topology.nodes[from];
    if (node === undefined) return [];
    if (node.isNamed) return [output === 0 ? idOf(node) : `${idOf(node)} output ${output}`];
    const name = `${from} ${output}`;
    let ways = known.get(name);
    if (ways === undefined) {
      ways = inputsOf(node).flatMap((edges) => edges.flatMap(waysOf));
      ways = ways.map((way) => `${way} → ${kindOf(node)}`);
      if (ways.length > waysMax) throw tooManyWays(node, ways.length);
      known.set(name, ways);
    }
    return ways;
  };
  return (node) => {
    const inputs = inputsOf(node);
    return inputs.flatMap((edges, port) =>
      edges
        .flatMap(waysOf)
        .sort()
        .map((way) => (inputs.length === 1 ? way : `port ${port}: ${way}`)),
    );
  };
}

function tooManyWays(node: GraphNode, count: number): Error {
  const text = `values come to ${kindOf(node)} ${node.name} in ${count} ways, ${waysMax} are allowed: unite fewer streams`;
  return unsound(text, [faultOf(node, text)]);
}

function settingsOf(node: GraphNode): unknown {
  switch (node.kind) {
    case 'source': {
      const { early, outOfOrdernessMs, quiet, schema } = node;
      return { schema, outOfOrdernessMs, early, quiet };
    }
    case 'keyBy':
      return { isPartitionedBySource: node.isPartitionedBySource };
    case 'window':
      return { late: node.late };
    case 'toLake': {
      const { columns, flush, format, partitionBy } = node.table;
      return { columns, partitionBy, format, flush };
    }
    case 'operator':
      return node.operator.spec.describe(node.operator.config);
    default:
      return node satisfies never;
  }
}

function fingerprintOf(
  topology: Topology,
  node: GraphNode,
  keys: readonly ReadonlySet<number>[],
): unknown {
  // A key decides in which task a value is kept.
  const keyedBy = Array.from(keys[node.id] ?? [], (id) => {
    const key = topology.nodes[id];
    return key?.kind === 'keyBy' ? `${key.name} version ${key.version}` : '';
  }).sort();
  switch (node.kind) {
    case 'keyBy':
      return { version: node.version };
    case 'window':
      return {
        ...{ kind: 'window', stateVersion: 1, version: node.version, keyedBy },
        sizeMs: node.sizeMs,
        // Timers that are set say when what is open is given out.
        graceMs: node.graceMs,
        aggregates: node.aggregates.map(([name, { kind }]) => ({ name, kind })),
      };
    case 'operator':
      return operatorFingerprint(node, keyedBy);
    case 'source':
    case 'toLake':
      return null;
    default:
      return node satisfies never;
  }
}

function operatorFingerprint(node: OperatorNode, keyedBy: readonly string[]): unknown {
  const { config, spec } = node.operator;
  if (spec.shape(config).stores.length === 0) return null;
  const { kind, stateVersion } = spec;
  return {
    kind,
    stateVersion,
    version: node.version,
    keyedBy,
    configuration: spec.describe(config),
  };
}

function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value ?? null)) as Json;
}
