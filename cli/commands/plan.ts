import type { Topology } from '../../shared/dataflow';
import type { Decided } from '../../shared/operations/decisions/decide';
import type { OwnPlan } from '../../shared/operations/decisions/plan-store';
import {
  comparePlan,
  take,
  type Comparison,
  type Decision,
} from '../../shared/operations/decisions/requests';
import type { DecisionWorld } from '../../shared/operations/decisions/standing-plan';
import { plan } from '../../shared/planner';
import { buildIdentity } from '../../shared/world/build-identity';
import { ownPlans } from '../../shared/world/own-plans';
import { WrongUse } from '../arguments';
import { askApp, type AppFlags } from '../app-http';
import { openEngine, type EngineLocation } from '../engine';
import type { Output } from '../output';

export interface DecisionPlace {
  readonly topologies: readonly Topology[];
  readonly location: EngineLocation;
  readonly output: Output;
  /** The app that is asked, with its own code. Absent: this code does it, on the store alone. */
  readonly flags: AppFlags;
}

/** Compares the plans of this code with what runs on a store. @returns false where somebody has to decide */
export async function showPlan(
  place: DecisionPlace,
  topology: string | undefined,
): Promise<boolean> {
  const { on } = place.flags;
  const all =
    on === undefined
      ? await compareHere(place, topology)
      : await askApp<readonly Comparison[]>(`${on}/api/plans`, place.flags);
  const found = all.filter((one) => topology === undefined || one.topology === topology);
  place.output.result(found, found.map(comparisonText).join('\n\n'));
  return found.every(({ verdict }) => verdict !== 'decision');
}

async function compareHere(
  place: DecisionPlace,
  topology: string | undefined,
): Promise<readonly Comparison[]> {
  return onStore(place, async (services) => {
    const comparisons: Comparison[] = [];
    for (const own of plansOf(place.topologies)) {
      if (topology !== undefined && own.topology !== topology) continue;
      comparisons.push(await comparePlan(services, own));
    }
    return comparisons;
  });
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

/** Takes a decision about a topology; see shared/operations/decisions/decide.ts. */
export async function decide(
  place: DecisionPlace,
  topology: string,
  decision: Decision,
): Promise<void> {
  const { flags, output } = place;
  output.progress(`${decision.kind} ${topology}: what is owed leaves`);
  const decided =
    flags.on === undefined
      ? await decideHere(place, topology, decision)
      : await askApp<Decided>(`${flags.on}/api/decisions`, flags, { topology, decision });
  output.result(decided, decidedText(decision, decided));
}

async function decideHere(
  place: DecisionPlace,
  topology: string,
  decision: Decision,
): Promise<Decided> {
  const own = plansOf(place.topologies).find((one) => one.topology === topology);
  if (own === undefined) throw new WrongUse(`this app has no topology ${topology}`);
  return onStore(place, (services) => take({ services, build: buildIdentity(), own }, decision));
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
