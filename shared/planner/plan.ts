import { invariant, type StreamError } from '../model/errors';
import type { StagePlan } from '../model/program';
import type { TablePlan } from '../model/table';
import { allConsumersOf, type GraphNode, type Topology } from '../dataflow/graph';
import { faultOf, unsound, type Fault } from '../dataflow/places';
import { cut, groupName, type CutStage } from './cut';

/** A stage with the part of its topology that runs in it. */
export interface PlannedStage extends Omit<CutStage, 'name'> {
  readonly plan: StagePlan;
}

interface HubPlan {
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

const defaultPartitionCount = 4;
/** One for all: readers without an owner level may be five per partition. */
const recoveryConsumerGroup = 'millrace-recovery';
/** The service refuses longer ones. */
const consumerGroupLengthMax = 50;

/** Fuses operators into stages; keyBys that change the partitioning begin new ones. */
export function planTopology(topology: Topology): PlannedStage[] {
  const stages = cut(topology);
  const openForMs = openTimes(topology);
  return stages.map((stage) => ({
    ...stage,
    plan: stagePlan({ topology, stage, stages, openForMs }),
  }));
}

function stagePlan(cutting: {
  readonly topology: Topology;
  readonly stage: CutStage;
  readonly stages: readonly CutStage[];
  readonly openForMs: readonly (number | null)[];
}): StagePlan {
  const { stage, stages, topology } = cutting;
  const { exits, inside, name, roots } = stage;
  const functionName = `${topology.name}-${name}`;
  const [root] = roots;
  const producers = stages.flatMap((producer) =>
    producer.exits
      .map((exit) => roots.indexOf(exit))
      .filter((port) => port >= 0)
      .map((port) => ({ stage: producer.name, port })),
  );
  return {
    topology: topology.name,
    name,
    input:
      root?.kind === 'source'
        ? { kind: 'source', hub: root.name }
        : { kind: 'exchange', hub: exchangeHub(topology, stage), producers },
    consumerGroup: functionName,
    recoveryConsumerGroup,
    functionName,
    operators: [...roots, ...inside].map((node) => node.name),
    tables: inside
      .flatMap((node) => (node.kind === 'toLake' ? [node.table] : []))
      .sort((left, right) => (left.name < right.name ? -1 : 1)),
    exchanges: exits.map((exit) => {
      const consumer = stages.find((other) => other.roots.includes(exit));
      invariant(consumer !== undefined, 'a stage reads what a keyBy sends', { keyBy: exit.name });
      return { hub: exchangeHub(topology, consumer), port: consumer.roots.indexOf(exit) };
    }),
    quiet: root?.kind === 'source' ? root.quiet : null,
    openForMs: longest(roots.map(({ id }) => cutting.openForMs[id] ?? null)),
    ...(root?.kind === 'source' && inside.some(isKeyedInPlace) && { isKeyedBySource: true }),
  };
}

const isKeyedInPlace = (node: GraphNode): boolean =>
  node.kind === 'keyBy' && node.isPartitionedBySource;

/** By node, the longest chain of windows from it on: results of one are events of the next. */
function openTimes(topology: Topology): readonly (number | null)[] {
  const times: (number | null)[] = topology.nodes.map(() => null);
  for (const node of [...topology.nodes].reverse()) {
    const behind = longest(allConsumersOf(topology, node.id).map(({ id }) => times[id] ?? null));
    const own = ownOpenForMs(node);
    times[node.id] = own === null || behind === null ? null : behind + own;
  }
  return times;
}

function ownOpenForMs(node: GraphNode): number | null {
  if (node.kind === 'window') return node.sizeMs + node.graceMs;
  if (node.kind !== 'operator') return 0;
  const { config, spec } = node.operator;
  if (spec.openForMs !== undefined) return spec.openForMs(config);
  return spec.shape(config).timers === 'none' ? 0 : null;
}

/** Null where one is: nobody knows for how long. */
function longest(times: readonly (number | null)[]): number | null {
  return times.reduce(
    (known, time) => (known === null || time === null ? null : Math.max(known, time)),
    0,
  );
}

function exchangeHub(topology: Topology, { roots }: CutStage): string {
  return `${topology.name}-${groupName(roots)}`;
}

/** Plans all topologies together; rejects with STREAM_TOPOLOGY_INVALID where they collide. */
export function plan(
  topologies: readonly Topology[],
  options: { readonly partitionCounts?: Readonly<Record<string, number>> } = {},
): Plan {
  const planned = topologies.flatMap((topology) => planTopology(topology));
  const faults = [...collisions(topologies, planned), ...tooLong(planned)];
  if (faults.length > 0) throw collision(faults);
  const stages = planned.map((stage) => stage.plan);
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
    tables: Array.from(new Set(stages.flatMap(({ tables }) => tables))),
  };
}

/** A name that something has, and where that is written. */
interface NamedPart {
  readonly name: string;
  readonly part: object;
}

/** Names that two have of which there can be one. */
function collisions(topologies: readonly Topology[], planned: readonly PlannedStage[]): Fault[] {
  const functions = planned.flatMap(({ plan: { functionName }, roots }) =>
    roots.slice(0, 1).map((part) => ({ name: functionName, part })),
  );
  const exchanges = planned.flatMap(({ plan: { input }, roots }) =>
    input.kind === 'exchange' ? roots.slice(0, 1).map((part) => ({ name: input.hub, part })) : [],
  );
  const sources = planned.flatMap(({ plan: { input }, roots }) =>
    input.kind === 'source' ? roots.map((part) => ({ name: input.hub, part })) : [],
  );
  const tables = planned.flatMap(({ plan: { tables: ofStage } }) =>
    ofStage.map((part) => ({ name: part.name, part })),
  );
  return [
    ...doubled(
      topologies.map((part) => ({ name: part.name, part })),
      'topologies are',
    ),
    ...doubled(functions, 'functions would be'),
    ...doubled(exchanges, 'exchange hubs would be'),
    ...sources.flatMap((source) =>
      exchanges
        .filter(({ name }) => name === source.name)
        .flatMap(({ name, part }) => {
          const text = `hub ${name} is a source, and would be the exchange of a keyBy too: give one another name`;
          return [faultOf(source.part, text), faultOf(part, text)];
        }),
    ),
    ...doubled(tables, 'tables are'),
  ];
}

/** What the service allows (a consumer group 50 characters) is told before anything is deployed. */
function tooLong(planned: readonly PlannedStage[]): Fault[] {
  return planned.flatMap(({ plan: { consumerGroup }, roots }) =>
    consumerGroup.length <= consumerGroupLengthMax
      ? []
      : roots.slice(0, 1).map((root) => {
          const text = `consumer group ${consumerGroup} has ${consumerGroup.length} characters, Event Hubs allows ${consumerGroupLengthMax}: shorten the name of the topology, or of the source or keyBy`;
          return faultOf(root, text);
        }),
  );
}

function collision(faults: readonly Fault[]): StreamError {
  const texts = new Set(faults.map(({ text }) => text));
  return unsound(Array.from(texts).join('; '), faults);
}

/** Each with both places. */
function doubled(named: readonly NamedPart[], what: string): Fault[] {
  const first = new Map<string, object>();
  return named.flatMap(({ name, part }) => {
    const twin = first.get(name);
    if (twin === undefined) first.set(name, part);
    if (twin === undefined || twin === part) return [];
    const text = `two ${what} called ${name}: give one another name`;
    return [faultOf(part, text), faultOf(twin, text)];
  });
}
