/** Cuts a topology into stages: one per source, and one per group of keyBys that need an exchange. */
import { inputsOf, kindOf, type GraphNode, type KeyByNode, type Topology } from '../dataflow/graph';
import { faultOf, unsound } from '../dataflow/places';
import { KeyGroups } from './key-groups';

/** A part of a topology that runs as one, in one task per partition of what it reads. */
export interface CutStage {
  readonly name: string;
  /** What it begins at, by port: its source, or the keyBys whose exchange it reads, in the order of names. */
  readonly roots: readonly GraphNode[];
  /**
   * What runs in it behind its roots, each after those that it takes from. Of a union, a node may also take
   * from nodes of other stages: here only from those that are in `roots` or `inside`.
   */
  readonly inside: readonly GraphNode[];
  /** keyBys that send what they take here into an exchange; in the order of their names. */
  readonly exits: readonly KeyByNode[];
}

/** In the data's order; stages that do not depend on each other in the order of their names. */
export function cut(topology: Topology): readonly CutStage[] {
  const groups = new KeyGroups(topology);
  const places = placesOf(topology, groups);
  const roots = new Map<string, readonly GraphNode[]>();
  const taken = new Map<string, GraphNode>();
  const addStage = (name: string, ofStage: readonly GraphNode[]): void => {
    const [root] = ofStage;
    const twin = taken.get(name);
    if (root === undefined) return;
    if (twin !== undefined) {
      const text = `topology ${topology.name}: two stages would be called ${name}: give the source or the keyBy another name`;
      throw unsound(text, [faultOf(root, text), faultOf(twin, text)]);
    }
    taken.set(name, root);
    roots.set(name, ofStage);
  };
  for (const node of topology.nodes) if (node.kind === 'source') addStage(node.name, [node]);
  for (const group of groups.groups) {
    if (isThroughExchange(group, places)) addStage(groupStage(group), group);
  }
  const stages = Array.from(roots, ([name, ofStage]): CutStage => {
    const here = topology.nodes.filter((node) => places.stages[node.id]?.has(name) === true);
    return {
      name,
      roots: ofStage,
      inside: here.filter((node) => !ofStage.includes(node)),
      exits: topology.nodes
        .filter((node): node is KeyByNode => node.kind === 'keyBy' && places.exchanged.has(node.id))
        .filter((node) => stagesBefore(node, places).has(name))
        .sort((left, right) => (left.name < right.name ? -1 : 1)),
    };
  });
  return ordered(topology, stages, groups);
}

/** Its exchange hub is called so behind the topology's name. */
export function groupName(group: readonly GraphNode[]): string {
  return group.map(({ name }) => name).join('-');
}

function groupStage(group: readonly GraphNode[]): string {
  return `by-${groupName(group)}`;
}

interface Places {
  /** By node: the stages that it runs in. */
  readonly stages: readonly ReadonlySet<string>[];
  /** keyBys whose values go through an exchange. */
  readonly exchanged: ReadonlySet<number>;
}

/**
 * A keyBy whose source is partitioned by the key needs no exchange, unless it belongs together with keyBys of
 * other stages: their values would never meet.
 */
function placesOf(topology: Topology, groups: KeyGroups): Places {
  const exchanged = new Set<number>();
  for (const group of groups.groups) {
    if (group.every((node) => node.kind === 'keyBy' && node.isPartitionedBySource)) continue;
    for (const { id } of group) exchanged.add(id);
  }
  for (;;) {
    const places = { stages: stagesOfNodes(topology, groups, exchanged), exchanged };
    const apart = groups.groups.filter(
      (group) => !isThroughExchange(group, places) && stagesOfGroup(group, places).size > 1,
    );
    if (apart.length === 0) return places;
    for (const { id } of apart.flat()) exchanged.add(id);
  }
}

function stagesOfNodes(
  topology: Topology,
  groups: KeyGroups,
  exchanged: ReadonlySet<number>,
): readonly ReadonlySet<string>[] {
  const stages: ReadonlySet<string>[] = [];
  for (const node of topology.nodes) {
    if (node.kind === 'source') stages.push(new Set([node.name]));
    else if (exchanged.has(node.id)) stages.push(new Set([groupStage(groups.groupOf(node))]));
    else stages.push(stagesBefore(node, { stages, exchanged }));
  }
  return stages;
}

function stagesBefore(node: GraphNode, { stages }: Places): ReadonlySet<string> {
  return new Set(
    inputsOf(node)
      .flat()
      .flatMap(({ from }) => Array.from(stages[from] ?? [])),
  );
}

function stagesOfGroup(group: readonly GraphNode[], places: Places): ReadonlySet<string> {
  return new Set(group.flatMap(({ id }) => Array.from(places.stages[id] ?? [])));
}

function isThroughExchange(group: readonly GraphNode[], { exchanged }: Places): boolean {
  return group.some(({ id }) => exchanged.has(id));
}

/** A stage comes after all that send to it. A group that waits for its own results could never move its time. */
function ordered(
  topology: Topology,
  stages: readonly CutStage[],
  groups: KeyGroups,
): readonly CutStage[] {
  const left = new Set([...stages].sort((one, other) => (one.name < other.name ? -1 : 1)));
  const placed: CutStage[] = [];
  while (left.size > 0) {
    const waiting = Array.from(left);
    const next = waiting.find(
      ({ roots }) =>
        !waiting.some(({ exits }) => exits.some((exit) => (roots as GraphNode[]).includes(exit))),
    );
    if (next === undefined) throw circle(topology, waiting, groups);
    left.delete(next);
    placed.push(next);
  }
  return placed;
}

function circle(topology: Topology, stages: readonly CutStage[], groups: KeyGroups): Error {
  const inCircle = new Set(stages.flatMap(({ roots }) => roots));
  const faults = groups.mergers
    .filter((merger) => stages.some(({ inside }) => inside.includes(merger)))
    .map((merger) =>
      faultOf(
        merger,
        `topology ${topology.name}: ${kindOf(merger)} ${merger.name} brings together ${Array.from(
          inCircle,
          ({ name }) => name,
        ).join(
          ' and ',
        )}, of which one comes of the other's results: they would wait for each other. Take those results by the key that they have, or give ${kindOf(merger)} ${merger.name} a keyBy of its own for its other side`,
      ),
    );
  return unsound(faults.map(({ text }) => text).join('; '), faults);
}
