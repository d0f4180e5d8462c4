import type { StreamError } from '../model/errors';
import type { StagePlan } from '../model/program';
import type { TablePlan } from '../model/table';
import { allConsumersOf, type GraphNode, type KeyByNode, type Topology } from '../dataflow/graph';
import { faultOf, unsound, type Fault } from '../dataflow/places';

/** A stage with the node it begins at: a source, or the keyBy whose exchange it reads. */
export interface PlannedStage {
  readonly plan: StagePlan;
  readonly root: GraphNode;
}

export interface HubPlan {
  readonly name: string;
  readonly kind: 'source' | 'exchange';
  readonly partitionCount: number;
  readonly consumerGroups: readonly string[];
}

/** Everything that has to exist for a set of topologies to run. */
export interface Plan {
  readonly stages: readonly StagePlan[];
  readonly hubs: readonly HubPlan[];
  readonly tables: readonly TablePlan[];
}

export const defaultPartitionCount = 4;
/** One for all: readers without an owner level may be five per partition. */
export const recoveryConsumerGroup = 'millrace-recovery';
/** An exchange's tasks follow their producers; they are idle only when those say so. */
const exchangeIdleAfterMs = 30_000;

/** Fuses operators into stages; a keyBy that changes the partitioning begins a new one. */
export function planTopology(topology: Topology): PlannedStage[] {
  const stages: PlannedStage[] = [];
  const taken = new Set<string>();
  for (const node of topology.nodes) {
    if (node.kind === 'source') grow(topology, node, null, { stages, taken });
  }
  return stages;
}

interface Growing {
  readonly stages: PlannedStage[];
  readonly taken: Set<string>;
}

function grow(
  topology: Topology,
  root: GraphNode,
  producerStage: string | null,
  growing: Growing,
): void {
  const { inside, exits } = walk(topology, root);
  const stageName = root.kind === 'source' ? root.name : `by-${root.name}`;
  if (growing.taken.has(stageName)) {
    const text = `topology ${topology.name}: two stages would be called ${stageName}: name the keyBy (keyBy(key, { name }))`;
    throw unsound(text, [faultOf(root, text)]);
  }
  growing.taken.add(stageName);
  const functionName = `${topology.name}-${stageName}`;
  const plan: StagePlan = {
    topology: topology.name,
    name: stageName,
    input:
      producerStage === null
        ? { kind: 'source', hub: root.name }
        : { kind: 'exchange', hub: exchangeHub(topology, root), producerStage },
    consumerGroup: functionName,
    recoveryConsumerGroup,
    functionName,
    operators: inside.map((node) => node.name),
    tables: inside.flatMap((node) => (node.kind === 'toLake' ? [node.table] : [])),
    exchanges: exits.map((exit) => ({ hub: exchangeHub(topology, exit) })),
    idleAfterMs: root.kind === 'source' ? root.idleAfterMs : exchangeIdleAfterMs,
    openForMs: openForMs(topology, root),
  };
  growing.stages.push({ plan, root });
  for (const exit of exits) grow(topology, exit, stageName, growing);
}

/** Operators that act with events alone; one of one's own may keep time. */
const timelessKinds: ReadonlySet<string> = new Set(['map', 'filter', 'flatMap']);

/** The longest chain of windows from a node on: results of one are events of the next. */
function openForMs(topology: Topology, node: GraphNode): number | null {
  if (node.kind === 'operator' && !timelessKinds.has(node.operator.kind)) return null;
  let longest = 0;
  for (const next of allConsumersOf(topology, node.id)) {
    const behind = openForMs(topology, next);
    if (behind === null) return null;
    longest = Math.max(longest, behind);
  }
  return longest + (node.kind === 'window' ? node.sizeMs + node.graceMs : 0);
}

/** The nodes that run in the stage of a root, and the keyBys at which it ends. */
export function walk(
  topology: Topology,
  root: GraphNode,
): { inside: GraphNode[]; exits: KeyByNode[] } {
  const inside: GraphNode[] = [root];
  const exits: KeyByNode[] = [];
  for (const node of inside) {
    for (const next of allConsumersOf(topology, node.id)) {
      if (isExchange(next)) exits.push(next);
      else inside.push(next);
    }
  }
  return { inside, exits };
}

/** True where values must travel to another task. */
export function isExchange(node: GraphNode): node is KeyByNode {
  return node.kind === 'keyBy' && !node.isPartitionedBySource;
}

function exchangeHub(topology: Topology, node: GraphNode): string {
  return `${topology.name}-${node.name}`;
}

/** Plans all topologies together; rejects with STREAM_TOPOLOGY_INVALID where they collide. */
export function plan(
  topologies: readonly Topology[],
  options: { readonly partitionCounts?: Readonly<Record<string, number>> } = {},
): Plan {
  const stages = topologies.flatMap(planTopology).map((stage) => stage.plan);
  const faults = [
    ...doubled(topologies, 'topologies'),
    ...doubled(
      stages.flatMap(({ tables }) => tables),
      'tables',
    ),
  ];
  if (faults.length > 0) throw collision(faults);
  const hubs = new Map<string, HubPlan>();
  for (const { consumerGroup, input } of stages) {
    const known = hubs.get(input.hub);
    hubs.set(input.hub, {
      name: input.hub,
      kind: input.kind,
      partitionCount: options.partitionCounts?.[input.hub] ?? defaultPartitionCount,
      consumerGroups: [...(known?.consumerGroups ?? [recoveryConsumerGroup]), consumerGroup],
    });
  }
  return {
    stages,
    hubs: Array.from(hubs.values()),
    tables: stages.flatMap(({ tables }) => tables),
  };
}

function collision(faults: readonly Fault[]): StreamError {
  const texts = new Set(faults.map(({ text }) => text));
  return unsound(Array.from(texts).join('; '), faults);
}

/** Each with both places. */
function doubled(parts: readonly { readonly name: string }[], what: string): Fault[] {
  const first = new Map<string, object>();
  return parts.flatMap((part) => {
    const twin = first.get(part.name);
    if (twin === undefined) first.set(part.name, part);
    if (twin === undefined || twin === part) return [];
    const text = `two ${what} are called ${part.name}: give one another name`;
    return [faultOf(part, text), faultOf(twin, text)];
  });
}
