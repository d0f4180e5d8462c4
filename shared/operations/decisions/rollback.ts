import { TaskLog } from '../../commit-log/task-log';
import { planFolder } from '../../model/control-names';
import { StreamError } from '../../model/errors';
import type { StagePlan } from '../../model/program';
import type { TaskAddress } from '../../model/task-address';
import { Delivery, type DeliveryServices } from '../../task/delivery';
import { TaskState } from '../../task/task-state';
import { readBuildRecords, type BuildRecord } from './build-records';
import { answered, comparePlans, type PlanDifference } from './compare-plans';
import { beginNext, finish, finishBegun, type Decided } from './decide';
import { formerVersion } from './former-version';
import { countOpen, logsOfVersion } from './open-state';
import type { PlanEntry } from './plan-store';
import { putNext, standingPlan, type DecisionWorld, type StandingPlan } from './standing-plan';

export interface RollbackRequest {
  /** Id of the build; null: the newest one before the build that is at work. */
  readonly to: string | null;
  /** Begins a new version under the plan of that build, where the one that runs stops. */
  readonly isNewVersion: boolean;
}

/**
 * Gives a topology back to an older build; the one that is rolled back does not take over again by itself.
 *
 * What is open in nodes that the older build does not have is given up, and counted by its tasks. Stages that it
 * does not have are left as they are: what they owe leaves, and a later build goes on with them. Where it would
 * take what is open for something else it is refused, unless it is to begin a new version. Repeatable.
 *
 * @throws StreamError STREAM_CONFIGURATION_INVALID where there is no such build, or it cannot go on
 */
export async function rollback(world: DecisionWorld, request: RollbackRequest): Promise<Decided> {
  const { own, services } = world;
  const standing = await standingPlan(world);
  const { newest } = standing;
  await finishBegun(services, standing);
  const builds = await readBuildRecords(services.objects, own.topology);
  const target = targetOf(builds, newest, request.to);
  const { build, document, hash, stages } = target;
  const isDone = newest.build.id === build.id && newest.hash === hash;
  if (isDone && newest.change === 'rollback') return repeated(services, standing);
  const later = builds.filter((one) => one.build.builtAtMs > build.builtAtMs);
  const refused = new Set([...newest.refusedBuilds, ...later.map((one) => one.build.id)]);
  refused.delete(build.id);
  const change = {
    ...({ change: 'rollback', build, document, hash, stages } as const),
    refusedBuilds: Array.from(refused),
  };
  if (request.isNewVersion) return beginNext(world, standing, change);
  await assertGoesOn(services, standing, target);
  const kept = new Set(document.nodes.map(({ name }) => name));
  const gone = newest.document.nodes.filter(({ name }) => !kept.has(name));
  const givenUp = gone.map(({ name }) => name);
  const entry = await putNext(world, standing, { ...change, givenUp });
  await leaveStages(services, newest, entry);
  return rolledBack(entry, true);
}

function rolledBack({ number, topology, version }: PlanEntry, isNew: boolean): Decided {
  return { topology, version, number, isNew, givenUp: {}, underWay: {} };
}

/** Whoever began it may have died before the stages that the older build lacks were left. */
async function repeated(
  services: DeliveryServices,
  { history, newest }: StandingPlan,
): Promise<Decided> {
  const before = history.at(-2);
  if (before !== undefined && before.version === newest.version) {
    await leaveStages(services, before, newest);
    return rolledBack(newest, false);
  }
  const former = formerVersion(history, newest);
  return former === null ? rolledBack(newest, false) : finish(services, newest, former);
}

function targetOf(
  builds: readonly BuildRecord[],
  newest: PlanEntry,
  to: string | null,
): BuildRecord {
  const isAllowed = (id: string): boolean => !newest.refusedBuilds.includes(id);
  const atWork = builds.find(
    ({ build, standing }) => standing === 'current' && isAllowed(build.id),
  );
  // Whoever repeats it means the same build.
  const isRepeated = newest.change === 'rollback' && atWork?.build.id === newest.build.id;
  const target =
    to !== null
      ? builds.find(({ build }) => build.id === to)
      : isRepeated
        ? atWork
        : builds.find(
            ({ build }) =>
              isAllowed(build.id) && build.builtAtMs < (atWork?.build.builtAtMs ?? Infinity),
          );
  if (target !== undefined) return target;
  const known = builds.map(({ build }) => build.id).join(', ');
  throw new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    `${to === null ? 'there is no build before the one at work' : `no build ${to} has run ${newest.topology}`}; known are: ${known === '' ? 'none' : known}`,
  );
}

/** What is open must mean the same to the older build. */
async function assertGoesOn(
  services: DeliveryServices,
  { isLost, newest }: StandingPlan,
  { build, document }: BuildRecord,
): Promise<void> {
  const { topology, version } = newest;
  const cure = `millrace rollback ${topology} --to ${build.id} --new-version begins a new version under its plan where ${version} stops, and counts what is given up`;
  const refusal = (why: string): StreamError =>
    new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `build ${build.id} cannot go on with version ${version} of ${topology}: ${why}\n${cure}; or mend the code and deploy a newer build`,
      { details: { topology, version, build: build.id } },
    );
  if (newest.isRemoved) throw refusal('it was removed');
  // Nobody knows the plan under which the logs were written.
  if (isLost) throw refusal(`${planFolder(topology)} does not have the plan of its logs`);
  const differences = await answered(comparePlans(newest.document, document), (question) =>
    countOpen(services, newest, question),
  );
  const obstacles = differences.filter(isObstacle);
  if (obstacles.length === 0) return;
  throw refusal(`\n${obstacles.map(({ text }) => `  - ${text}`).join('\n')}`);
}

function isObstacle({ isRemovable, isUndone, verdict }: PlanDifference): boolean {
  return verdict === 'decision' && !isRemovable && !isUndone;
}

/**
 * Logs of stages that a plan lacks: from now on no build of the former plan can append to them, and what they owe
 * leaves. Their state stays, for a build that has them again. Repeatable.
 */
async function leaveStages(
  services: DeliveryServices,
  former: PlanEntry,
  entry: PlanEntry,
): Promise<void> {
  const kept = new Set(entry.stages.map(({ name }) => name));
  const gone = former.stages.filter(({ name }) => !kept.has(name));
  for (const path of await logsOfVersion(services.appends, former)) {
    const plan = gone.find(({ name }) => name === path.stage);
    if (plan !== undefined) await leaveTask(services, { plan, path, entry });
  }
}

async function leaveTask(
  services: DeliveryServices,
  { entry, path, plan }: { plan: StagePlan; path: TaskAddress; entry: PlanEntry },
): Promise<void> {
  const { appends, clock, faultPoint, limits, objects, telemetry, writer } = services;
  const log = await TaskLog.openBegun({
    ...{ appends, objects, clock, path, faultPoint, telemetry, writer, limits: limits.log },
  });
  // It owes nothing; and what it is to begin with only a build knows that has the stage.
  if (log === null) return;
  const loaded = await log.load();
  const state = await TaskState.fromBase(plan, loaded, services);
  for (const record of loaded.records) state.take(record);
  const { hash, number } = entry;
  while (!log.isEnded && (log.plan?.number ?? 0) < number) {
    while (log.needsRoll) {
      await log.finishRoll(state.summary, null);
      for (const record of await log.catchUp()) state.take(record);
    }
    await log.append({
      ...{ kind: 'plan', writer, writtenAtMs: clock.nowMs() },
      plan: { number, hash, buildId: entry.build.id },
    });
    for (const record of await log.catchUp()) state.take(record);
  }
  const delivery = new Delivery({ address: path, plan, state, services });
  await delivery.sendOutbox();
  await delivery.flushAll();
}
