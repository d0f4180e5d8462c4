import { StreamError } from '../../model/errors';
import { unbuilt, type BuildIdentity } from '../../model/topology-plan';
import { firstVersion, versionBefore } from '../../model/version-name';
import type { DeliveryServices } from '../../task/delivery';
import { knownToLogs, knowsMore } from './known-to-logs';
import { PlanStore, type OwnPlan, type PlanChange, type PlanEntry } from './plan-store';

export interface DecisionWorld {
  readonly services: DeliveryServices;
  readonly build: BuildIdentity;
  /** Of the code that decides. */
  readonly own: OwnPlan;
}

/** What counts before a decision. */
export interface StandingPlan {
  /** As control has it or, where that was lost, as the logs do. */
  readonly newest: PlanEntry;
  readonly history: readonly PlanEntry[];
  /** The highest that control or a log knows: the next one is above it. */
  readonly number: number;
  /** Control has lost what the logs know. */
  readonly isLost: boolean;
}

/** @throws StreamError STREAM_CONFIGURATION_INVALID where nobody has run the topology */
export async function standingPlan({ own, services }: DecisionWorld): Promise<StandingPlan> {
  const { topology } = own;
  const history = await new PlanStore(services.objects).history(topology);
  const newest = history.at(-1) ?? null;
  const known = await knownToLogs(services.appends, topology);
  const number = Math.max(newest?.number ?? 0, known.plan?.number ?? 0);
  if (newest !== null && !knowsMore(known, newest)) {
    return { newest, history, number, isLost: false };
  }
  if (known.version === null) throw nothingRuns(topology);
  // Logs that were ended for a version that nobody has begun are as those of a removed topology.
  const version = known.hasLogs ? known.version : versionBefore(known.version);
  const entry: PlanEntry = {
    ...own,
    ...{ format: 1, id: '', number, version: version ?? firstVersion, change: 'restored' },
    ...{ hash: known.plan?.hash ?? '', build: unbuilt, by: '', atMs: 0, differences: [] },
    ...{ refusedBuilds: newest?.refusedBuilds ?? [], givenUp: [], isRemoved: !known.hasLogs },
  };
  return { newest: entry, history, number, isLost: true };
}

/** Puts the plan that follows. */
export async function putNext(
  { build, own, services }: DecisionWorld,
  { newest, number }: StandingPlan,
  change: { readonly change: PlanChange } & Partial<PlanEntry>,
): Promise<PlanEntry> {
  const { clock, objects, randomness, writer } = services;
  // Who decides with a build that was rolled back gives the topology to it again.
  const refusedBuilds = newest.refusedBuilds.filter((id) => id !== build.id);
  const entry: PlanEntry = {
    ...own,
    ...{ format: 1, id: randomness.uniqueId(), number: number + 1, build },
    ...{ version: newest.version, by: writer, atMs: clock.nowMs() },
    ...{ differences: [], refusedBuilds, givenUp: [], isRemoved: false },
    ...change,
  };
  await services.faultPoint('decision.before-plan');
  if ((await new PlanStore(objects).put(entry)) === 'taken') throw movedMeanwhile(own.topology);
  await services.faultPoint('decision.after-plan');
  return entry;
}

/** Somebody else has moved the plan at the same moment. */
function movedMeanwhile(topology: string): StreamError {
  return new StreamError(
    'STREAM_COMMIT_CONTENDED',
    `somebody else has changed the plan of ${topology} at this moment: look at millrace plan ${topology}, then decide again`,
    { details: { topology } },
  );
}

function nothingRuns(topology: string): StreamError {
  return new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    `nobody has run ${topology} on this store yet: there is nothing to decide`,
  );
}
