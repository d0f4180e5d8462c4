import { StreamError } from '../../model/errors';
import type { BuildIdentity } from '../../model/topology-plan';
import { firstVersion, versionAfter } from '../../model/version-name';
import type { DeliveryServices } from '../../task/delivery';
import { readBuildRecords } from './build-records';
import { clearDrain, isMarkedDrained } from './drain-mark';
import { countOpen } from './open-state';
import { PlanStore, type OwnPlan, type PlanChange, type PlanEntry } from './plan-store';
import { beginVersion, endVersion, givenUpIn, readBeginning } from './versions';

export interface DecisionWorld {
  readonly services: DeliveryServices;
  readonly build: BuildIdentity;
  /** Of the code that decides. */
  readonly own: OwnPlan;
}

/** What a decision came to. */
export interface Decided {
  readonly topology: string;
  readonly version: string;
  readonly number: number;
  /** False: it had been taken before, and all of it was done now. */
  readonly isNew: boolean;
  /** Keys given up, by `<stage>/<node>`. */
  readonly givenUp: Readonly<Record<string, number>>;
}

/** Somebody else has moved the plan at the same moment. */
function movedMeanwhile(topology: string): StreamError {
  return new StreamError(
    'STREAM_COMMIT_CONTENDED',
    `somebody else has changed the plan of ${topology} at this moment: look at millrace plan ${topology}, then decide again`,
    { details: { topology } },
  );
}

async function put(
  { build, own, services }: DecisionWorld,
  newest: PlanEntry | null,
  change: { readonly change: PlanChange } & Partial<PlanEntry>,
): Promise<PlanEntry> {
  const { clock, objects, randomness, writer } = services;
  const entry: PlanEntry = {
    ...own,
    ...{ format: 1, id: randomness.uniqueId(), number: (newest?.number ?? 0) + 1, build },
    ...{ version: newest?.version ?? firstVersion, by: writer, atMs: clock.nowMs() },
    ...{ differences: [], refusedBuilds: newest?.refusedBuilds ?? [], givenUp: [] },
    isRemoved: false,
    ...change,
  };
  await services.faultPoint('decision.before-plan');
  if ((await new PlanStore(objects).put(entry)) === 'taken') throw movedMeanwhile(own.topology);
  await services.faultPoint('decision.after-plan');
  return entry;
}

/** The last plan of the version before the newest one's; null: there is none. */
async function formerOf(store: PlanStore, entry: PlanEntry): Promise<PlanEntry | null> {
  const history = await store.history(entry.topology);
  return history.filter(({ version }) => version !== entry.version).at(-1) ?? null;
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
  const store = new PlanStore(services.objects);
  const newest = await store.newest(topology);
  if (newest === null) throw nothingRuns(topology);
  const former = await formerOf(store, newest);
  const isUnfinished = former !== null && (await readBeginning(services.objects, newest)) === null;
  if (isUnfinished) return finish(services, newest, former);
  const isDrained = await isMarkedDrained(services.objects, newest);
  const isAsked = newest.isRemoved || (change === 'begin' ? isDrained : newest.hash !== own.hash);
  if (!isAsked) {
    const isRepeated = former !== null && newest.change === change && newest.hash === own.hash;
    if (isRepeated) return finish(services, newest, former);
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      change === 'begin'
        ? `${topology} is not drained: millrace drain ${topology} first, so that what is open comes to its end; or millrace decide ${topology} new-version gives it up`
        : `version ${newest.version} of ${topology} runs this plan already: there is nothing to decide (millrace begin ${topology} begins a drained one again)`,
    );
  }
  if (change === 'begin' && !newest.isRemoved) await assertDrained(services, newest);
  const version = versionAfter(newest.version);
  const entry = await put(world, newest, { change, version });
  return { ...(await finish(services, entry, newest)), isNew: true };
}

/** A drain that is under way is waited for: beginning now would give up what is about to come to its end. */
async function assertDrained(services: DeliveryServices, entry: PlanEntry): Promise<void> {
  for (const { fingerprint, id, kind, name, stages } of entry.document.nodes) {
    if (fingerprint === null || kind === 'keyBy') continue;
    let open = 0;
    for (const stage of stages) {
      open += await countOpen(services, entry, { kind: 'state', stage, name });
    }
    if (open === 0) continue;
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `${entry.topology} is still draining: ${open} keys are open in ${id}. Wait until its workers are done, then begin it`,
      { details: { topology: entry.topology, node: id, open } },
    );
  }
}

async function finish(
  services: DeliveryServices,
  entry: PlanEntry,
  former: PlanEntry,
): Promise<Decided> {
  const beginning = await beginVersion(services, entry, former);
  const { number, topology, version } = entry;
  // A mark that names no version would drain the new one, too.
  await clearDrain(services.objects, topology);
  return { topology, version, number, isNew: false, givenUp: givenUpIn(beginning) };
}

/** Takes a whole topology out: what it owes leaves, its logs end, what is open is counted. Repeatable. */
export async function removeTopology(world: DecisionWorld): Promise<Decided> {
  const { own, services } = world;
  const { topology } = own;
  const store = new PlanStore(services.objects);
  let newest = await store.newest(topology);
  if (newest === null) throw nothingRuns(topology);
  const isNew = !newest.isRemoved;
  if (isNew) {
    const { document, hash, stages } = newest;
    const kept = { document, hash, stages, build: newest.build };
    newest = await put(world, newest, { ...kept, change: 'remove', isRemoved: true });
  }
  const tasks = await endVersion(services, newest, versionAfter(newest.version));
  const { number, version } = newest;
  return { topology, version, number, isNew, givenUp: givenUpIn({ tasks }) };
}

/**
 * Gives up what is open in nodes that this plan does not have any more: tasks count and drop it with their first
 * commit. Rows of a table that the plan no longer has stay in the log, where an error tells of them
 * (`task.rows-without-table`). Repeatable.
 */
export async function removeNodes(
  world: DecisionWorld,
  names: readonly string[],
): Promise<Decided> {
  const { own, services } = world;
  const { topology } = own;
  const newest = await new PlanStore(services.objects).newest(topology);
  if (newest === null) throw nothingRuns(topology);
  const still = own.document.nodes.filter(({ name }) => names.includes(name));
  if (still.length > 0) {
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `${still.map(({ id }) => id).join(', ')} is in topology ${topology}: take it out of the code first, then remove what is open in it`,
    );
  }
  const { number, version } = newest;
  const decided = { topology, version, number, givenUp: {} };
  const isDone = newest.hash === own.hash && names.every((name) => newest.givenUp.includes(name));
  if (isDone) return { ...decided, isNew: false };
  const givenUp = Array.from(new Set([...newest.givenUp, ...names]));
  const entry = await put(world, newest, { change: 'remove', givenUp });
  return { ...decided, number: entry.number, isNew: true };
}

/**
 * Gives a topology back to an older build; the one that is rolled back does not take over again by itself.
 * @param to id of the build; null: the newest one before the build that is at work
 */
export async function rollback(world: DecisionWorld, to: string | null): Promise<Decided> {
  const { own, services } = world;
  const { topology } = own;
  const store = new PlanStore(services.objects);
  const newest = await store.newest(topology);
  if (newest === null) throw nothingRuns(topology);
  const builds = await readBuildRecords(services.objects, topology);
  const isAllowed = (id: string): boolean => !newest.refusedBuilds.includes(id);
  const atWork = builds.find(
    ({ build, standing }) => standing === 'current' && isAllowed(build.id),
  );
  const target =
    to === null
      ? builds.find(
          ({ build }) =>
            isAllowed(build.id) && build.builtAtMs < (atWork?.build.builtAtMs ?? Infinity),
        )
      : builds.find(({ build }) => build.id === to);
  if (target === undefined) {
    const known = builds.map(({ build }) => build.id).join(', ');
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `${to === null ? 'there is no build before the one at work' : `no build ${to} has run ${topology}`}; known are: ${known}`,
    );
  }
  const { build, document, hash, stages } = target;
  const decided = { topology, version: newest.version, givenUp: {} };
  if (newest.build.id === build.id && newest.hash === hash && newest.change === 'rollback') {
    return { ...decided, number: newest.number, isNew: false };
  }
  const later = builds.filter((one) => one.build.builtAtMs > build.builtAtMs);
  const refused = new Set([...newest.refusedBuilds, ...later.map((one) => one.build.id)]);
  refused.delete(build.id);
  const kept = new Set(document.nodes.map(({ name }) => name));
  const gone = newest.document.nodes.filter(({ name }) => !kept.has(name));
  const entry = await put(world, newest, {
    ...{ change: 'rollback', build, document, hash, stages },
    refusedBuilds: Array.from(refused),
    givenUp: gone.map(({ name }) => name),
  });
  return { ...decided, number: entry.number, isNew: true };
}

function nothingRuns(topology: string): StreamError {
  return new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    `nobody has run ${topology} on this store yet: there is nothing to decide`,
  );
}
