import type { Topology } from '../../shared/dataflow';
import { readBuildRecords } from '../../shared/operations/decisions/build-records';
import {
  answered,
  comparePlans,
  verdictOf,
  type PlanDifference,
  type Verdict,
} from '../../shared/operations/decisions/compare-plans';
import {
  newVersion,
  removeNodes,
  removeTopology,
  type Decided,
} from '../../shared/operations/decisions/decide';
import { countOpen } from '../../shared/operations/decisions/open-state';
import { PlanStore, type OwnPlan } from '../../shared/operations/decisions/plan-store';
import { rollback, type RollbackRequest } from '../../shared/operations/decisions/rollback';
import type { DecisionWorld } from '../../shared/operations/decisions/standing-plan';
import { commandsFor } from '../../shared/operations/decisions/plan-texts';
import { plan } from '../../shared/planner';
import { buildIdentity } from '../../shared/world/build-identity';
import { ownPlans } from '../../shared/world/own-plans';
import { WrongUse } from '../arguments';
import { openEngine, type EngineLocation } from '../engine';
import type { Output } from '../output';

export interface DecisionPlace {
  readonly topologies: readonly Topology[];
  readonly location: EngineLocation;
  readonly output: Output;
}

interface Comparison {
  readonly topology: string;
  /** `new`: nobody has run it on this store. */
  readonly verdict: Verdict | 'new';
  readonly version: string | null;
  readonly number: number;
  readonly differences: readonly Pick<PlanDifference, 'verdict' | 'node' | 'text'>[];
  readonly commands: readonly string[];
  readonly builds: readonly { readonly id: string; readonly standing: string }[];
}

/** Compares the plans of this code with what runs on a store. @returns false where somebody has to decide */
export async function showPlan(
  place: DecisionPlace,
  topology: string | undefined,
): Promise<boolean> {
  const found = await onStore(place, async (services) => {
    const comparisons: Comparison[] = [];
    for (const own of plansOf(place.topologies)) {
      if (topology !== undefined && own.topology !== topology) continue;
      comparisons.push(await compare(services, own));
    }
    return comparisons;
  });
  place.output.result(found, found.map(comparisonText).join('\n\n'));
  return found.every(({ verdict }) => verdict !== 'decision');
}

async function compare(services: DecisionWorld['services'], own: OwnPlan): Promise<Comparison> {
  const { topology } = own;
  const newest = await new PlanStore(services.objects).newest(topology);
  const records = await readBuildRecords(services.objects, topology);
  const builds = records.map(({ build, standing }) => ({ id: build.id, standing }));
  if (newest === null) {
    const none = { differences: [], commands: [], builds };
    return { topology, verdict: 'new', version: null, number: 0, ...none };
  }
  const differences = await answered(comparePlans(newest.document, own.document), (question) =>
    countOpen(services, newest, question),
  );
  const verdict = newest.isRemoved ? 'decision' : verdictOf(differences);
  const commands = verdict === 'decision' ? commandsFor(topology, differences) : [];
  const { number, version } = newest;
  return {
    ...{ topology, verdict, version, number, builds },
    differences: differences.map(({ node, text, verdict: of }) => ({ verdict: of, node, text })),
    commands: newest.isRemoved
      ? [`millrace begin ${topology}   begins it again: it was removed`]
      : commands,
  };
}

function comparisonText(found: Comparison): string {
  const { builds, commands, differences, number, topology, verdict, version } = found;
  if (verdict === 'new') return `${topology}: nobody has run it on this store yet`;
  const texts = {
    same: 'the same plan',
    compatible: 'compatible: builds take turns until all run the new one',
    decision: 'SOMEBODY HAS TO DECIDE before this is deployed',
  };
  return [
    `${topology} ${version ?? ''}, plan ${number}: ${texts[verdict]}`,
    ...differences.map(({ text, verdict: of }) => `  ${of.padEnd(10)} ${text}`),
    ...commands.map((command) => `  → ${command}`),
    ...builds.slice(0, 5).map(({ id, standing }) => `  build ${id} ${standing}`),
  ].join('\n');
}

export type Decision =
  | { readonly kind: 'new-version' | 'begin' | 'remove' }
  | { readonly kind: 'remove-nodes'; readonly nodes: readonly string[] }
  | ({ readonly kind: 'rollback' } & RollbackRequest);

/** Takes a decision about a topology; see shared/operations/decisions/decide.ts. */
export async function decide(
  place: DecisionPlace,
  topology: string,
  decision: Decision,
): Promise<void> {
  const own = plansOf(place.topologies).find((one) => one.topology === topology);
  if (own === undefined) throw new WrongUse(`this app has no topology ${topology}`);
  place.output.progress(`${decision.kind} ${topology}: what is owed leaves`);
  const decided = await onStore(place, (services) =>
    take({ services, build: buildIdentity(), own }, decision),
  );
  place.output.result(decided, decidedText(decision, decided));
}

async function take(world: DecisionWorld, decision: Decision): Promise<Decided> {
  switch (decision.kind) {
    case 'new-version':
    case 'begin':
      return newVersion(world, decision.kind);
    case 'remove':
      return removeTopology(world);
    case 'remove-nodes':
      return removeNodes(world, decision.nodes);
    case 'rollback':
      return rollback(world, decision);
  }
}

function decidedText({ kind }: Decision, decided: Decided): string {
  const { givenUp, isNew, number, topology, underWay, version } = decided;
  const done = isNew ? 'done' : 'was decided before, and all of it is done';
  return [
    `${kind} ${topology}: ${done}; version ${version}, plan ${number}`,
    ...Object.entries(givenUp).map(([node, keys]) => `  ${node}: ${keys} keys were open, given up`),
    ...Object.entries(underWay).map(
      ([hub, events]) => `  ${hub}: ${events} events were under way, given up`,
    ),
  ].join('\n');
}

function plansOf(topologies: readonly Topology[]): readonly OwnPlan[] {
  return ownPlans(
    topologies,
    plan(topologies).stages.map((stage) => ({ plan: stage })),
  );
}

async function onStore<Result>(
  { location, output, topologies }: DecisionPlace,
  work: (services: DecisionWorld['services']) => Promise<Result>,
): Promise<Result> {
  const engine = openEngine(topologies, location, (line) => output.say(line));
  try {
    return await work(engine.world.services);
  } finally {
    await engine.close();
  }
}
