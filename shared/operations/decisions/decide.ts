import { StreamError } from '../../model/errors';
import { versionAfter } from '../../model/version-name';
import type { DeliveryServices } from '../../task/delivery';
import { answered, comparePlans } from './compare-plans';
import { clearDrain, isMarkedDrained, markDrain } from './drain-mark';
import { formerVersion } from './former-version';
import { countOpen } from './open-state';
import { decisionNeeded, topologyRemoved } from './plan-texts';
import type { PlanChange, PlanEntry } from './plan-store';
import { putNext, standingPlan, type DecisionWorld, type StandingPlan } from './standing-plan';
import {
  beginVersion,
  endVersion,
  givenUpIn,
  readBeginning,
  type EndedVersion,
  type FormerVersion,
} from './versions';

/** What a decision came to. */
export interface Decided {
  readonly topology: string;
  readonly version: string;
  readonly number: number;
  /** False: it had been taken before, and all of it was done now. */
  readonly isNew: boolean;
  /** Keys given up, by `<stage>/<node>`. */
  readonly givenUp: Readonly<Record<string, number>>;
  /** Events that were under way and are given up, by exchange hub. */
  readonly underWay: Readonly<Record<string, number>>;
}

/**
 * Begins the next version of a topology where the former one stops: sources go on behind its last commits, what
 * exchanges hold of it is dropped, what is open in it is given up and counted, tables carry on.
 *
 * Repeatable: one that was begun and not finished is finished. `begin` is the same after a drain, or a removal.
 *
 * @throws StreamError STREAM_CONFIGURATION_INVALID where there is nothing to decide
 */
export async function newVersion(
  world: DecisionWorld,
  change: 'new-version' | 'begin' = 'new-version',
): Promise<Decided> {
  const { own, services } = world;
  const { topology } = own;
  const standing = await standingPlan(world);
  const { newest } = standing;
  const finished = await finishBegun(services, standing);
  const isSamePlan = newest.hash === own.hash;
  if (finished !== null && isSamePlan) return finished;
  const isDrained = await isMarkedDrained(services.objects, newest);
  const isAsked = newest.isRemoved || (change === 'begin' ? isDrained : !isSamePlan);
  if (!isAsked) {
    const former = formerVersion(standing.history, newest);
    const isRepeated = former !== null && newest.change === change && isSamePlan;
    if (isRepeated) return finish(services, newest, former);
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      change === 'begin'
        ? `${topology} is not drained: millrace drain ${topology} first, so that what is open comes to its end; or millrace decide ${topology} new-version gives it up`
        : `version ${newest.version} of ${topology} runs this plan already: there is nothing to decide (millrace begin ${topology} begins a drained one again)`,
    );
  }
  if (change === 'begin' && !newest.isRemoved) {
    await assertDrained(services, newest);
    // A mark that names no version would be taken for one of the next: whoever repeats this must not.
    await markDrain(services.objects, newest);
  }
  return beginNext(world, standing, { change });
}

/** Puts the plan of the next version, and begins that version. */
export async function beginNext(
  world: DecisionWorld,
  standing: StandingPlan,
  change: { readonly change: PlanChange } & Partial<PlanEntry>,
): Promise<Decided> {
  const { newest } = standing;
  const version = versionAfter(newest.version);
  const entry = await putNext(world, standing, { ...change, version });
  return { ...(await finish(world.services, entry, newest)), isNew: true };
}

/** Finishes the decision that somebody began, and died; null: there is none. */
export async function finishBegun(
  services: DeliveryServices,
  { history, isLost, newest }: StandingPlan,
): Promise<Decided | null> {
  const former = formerVersion(history, newest);
  if (isLost || former === null || newest.isRemoved) return null;
  if ((await readBeginning(services.objects, newest)) !== null) return null;
  return finish(services, newest, former);
}

/** A drain that is under way is waited for: beginning now would give up what is about to come to its end. */
async function assertDrained(services: DeliveryServices, entry: PlanEntry): Promise<void> {
  for (const { fingerprint, id, kind, name, stages } of entry.document.nodes) {
    if (fingerprint === null || kind === 'keyBy') continue;
    let open = 0;
    for (const stage of stages) {
      open += await countOpen(services, entry, { stage, name });
    }
    if (open === 0) continue;
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `${entry.topology} is still draining: ${open} keys are open in ${id}. Wait until its workers are done, then begin it`,
      { details: { topology: entry.topology, node: id, open } },
    );
  }
}

export async function finish(
  services: DeliveryServices,
  entry: PlanEntry,
  former: FormerVersion,
): Promise<Decided> {
  const beginning = await beginVersion(services, entry, former);
  // A mark that names no version would drain the new one, too.
  await clearDrain(services.objects, entry.topology);
  return decided(entry, false, beginning);
}

function decided(
  { number, topology, version }: PlanEntry,
  isNew: boolean,
  ended: EndedVersion,
): Decided {
  const { underWay } = ended;
  return { topology, version, number, isNew, givenUp: givenUpIn(ended), underWay };
}

const nothingEnded: EndedVersion = { tasks: [], underWay: {} };

/** Takes a whole topology out: what it owes leaves, its logs end, what is open is counted. Repeatable. */
export async function removeTopology(world: DecisionWorld): Promise<Decided> {
  const { services } = world;
  const standing = await standingPlan(world);
  let { newest } = standing;
  await finishBegun(services, standing);
  const isNew = !newest.isRemoved || standing.isLost;
  if (isNew) {
    const { build, document, hash, stages } = newest;
    const kept = { build, document, hash, stages };
    newest = await putNext(world, standing, { ...kept, change: 'remove', isRemoved: true });
  }
  const ended = await endVersion(services, newest, versionAfter(newest.version));
  return decided(newest, isNew, ended);
}

/**
 * Gives up what is open in nodes that this plan does not have any more: tasks count and drop it with their first
 * commit. All else must be the same or compatible. Repeatable.
 *
 * @throws StreamError STREAM_CONFIGURATION_INVALID where a node is in the plan, or never was;
 *   STREAM_DECISION_NEEDED where more has changed
 */
export async function removeNodes(
  world: DecisionWorld,
  names: readonly string[],
): Promise<Decided> {
  const { own, services } = world;
  const standing = await standingPlan(world);
  const { newest } = standing;
  if (newest.isRemoved) throw topologyRemoved(newest);
  await finishBegun(services, standing);
  assertRemovable(standing, own.document.nodes, names);
  const isDone = newest.hash === own.hash && names.every((name) => newest.givenUp.includes(name));
  if (isDone) return decided(newest, false, nothingEnded);
  const differences = await answered(
    comparePlans(newest.document, own.document),
    async (question) => (names.includes(question.name) ? 0 : countOpen(services, newest, question)),
  );
  if (differences.some(({ verdict }) => verdict === 'decision')) {
    throw decisionNeeded(newest, differences);
  }
  const givenUp = Array.from(new Set([...newest.givenUp, ...names]));
  return decided(await putNext(world, standing, { change: 'remove', givenUp }), true, nothingEnded);
}

function assertRemovable(
  { history, isLost, newest }: StandingPlan,
  own: PlanEntry['document']['nodes'],
  names: readonly string[],
): void {
  const { topology } = newest;
  const still = own.filter(({ name }) => names.includes(name));
  if (still.length > 0) {
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `${still.map(({ id }) => id).join(', ')} is in topology ${topology}: take it out of the code first, then remove what is open in it`,
    );
  }
  // Where control was lost nobody knows which there were.
  if (isLost) return;
  const known = new Set(history.flatMap(({ document }) => document.nodes.map(({ name }) => name)));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  const gone = Array.from(known).filter((name) => !own.some((node) => node.name === name));
  throw new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    `topology ${topology} never had ${unknown.join(', ')}; ${gone.length === 0 ? 'none of its nodes is gone' : `gone are: ${gone.join(', ')}`}`,
  );
}
