import { StreamError } from '../../model/errors';
import type { StagePlan } from '../../model/program';
import type { TaskAddress } from '../../model/task-address';
import {
  isNewer,
  type AdoptedPlan,
  type BuildIdentity,
  type FoundPlan,
} from '../../model/topology-plan';
import { fencedBy } from '../../model/superseded';
import { firstVersion, isLaterVersion } from '../../model/version-name';
import { logPrefix } from '../../commit-log/names';
import type { Bequest } from '../../commit-log/task-log-options';
import type { DeliveryServices } from '../../task/delivery';
import type { TaskPlans } from '../../task/task-plans';
import { putBuildRecord, type BuildStanding } from './build-records';
import { answered, comparePlans, verdictOf, type OpenQuestion } from './compare-plans';
import { formerVersion } from './former-version';
import { knowsMore, type KnownToLogs } from './known-to-logs';
import { PlanStore, type OwnPlan, type PlanChange, type PlanEntry } from './plan-store';
import { controlBehind, decisionNeeded, superseded, topologyRemoved } from './plan-texts';
import { beginVersion, bequestOf } from './versions';

export interface PlanAdoptionOptions {
  readonly services: DeliveryServices;
  readonly build: BuildIdentity;
  /** Of every topology that this process runs. */
  readonly plans: readonly OwnPlan[];
  /** A command follows the plan that there is; a worker of a newer build may bring its own. */
  readonly mayMove: boolean;
  /** How much is open in logs of a version. */
  readonly countOpen: (entry: PlanEntry, question: OpenQuestion) => Promise<number>;
  readonly logs: {
    /** The newest version that has logs; null: none has. Asked at each adoption. */
    readonly newestVersion: (topology: string) => Promise<string | null>;
    /** All that logs say of versions and plans: asked where control may be lost. */
    readonly known: (topology: string) => Promise<KnownToLogs>;
  };
}

/** A refusal is believed so long: a decision, or a rollback, may have come meanwhile. */
const refusalBelievedMs = 5_000;

interface Answer {
  readonly plan: Promise<AdoptedPlan>;
  /** When it was refused; null: it was not. */
  refusedAtMs: number | null;
}

/**
 * Adopts the plan of each topology that this process runs: at start, and when a log has shown that there is a
 * newer one. Never per batch.
 *
 * Any number of builds may do so at once: the next plan is put under the next number by one of them. Every move
 * is to a newer build (decisions apart), so two builds cannot send it to and fro.
 */
export class PlanAdoption implements TaskPlans {
  readonly #options: PlanAdoptionOptions;
  readonly #store: PlanStore;
  readonly #answers = new Map<string, Answer>();
  /** By topology: the highest plan that a log knows of. */
  readonly #found = new Map<string, NonNullable<FoundPlan>>();
  /** Versions of which a log was ended: whether control knows of the next one has to be looked up. */
  readonly #ended = new Map<string, string>();
  /** As they were adopted last. */
  readonly #versions = new Map<string, string>();

  constructor(options: PlanAdoptionOptions) {
    this.#options = options;
    this.#store = new PlanStore(options.services.objects);
  }

  adopted(topology: string): Promise<AdoptedPlan> {
    const known = this.#answers.get(topology);
    if (known !== undefined && !this.#isOver(known)) return known.plan;
    const answer: Answer = { plan: this.#adopt(topology), refusedAtMs: null };
    this.#answers.set(topology, answer);
    answer.plan.catch((error: unknown) => {
      if (isRefusal(error)) answer.refusedAtMs = this.#options.services.clock.nowMs();
      else this.#answers.delete(topology);
    });
    return answer.plan;
  }

  async bequest(task: TaskAddress, plan: StagePlan): Promise<Bequest | null> {
    const { topology, version } = task;
    const history = await this.#store.history(topology);
    const entry = history.at(-1);
    // A command looks at what there is, and there may be nothing.
    if (entry === undefined && !this.#options.mayMove) return null;
    // A task begins under the plan that counts at this moment, or not at all.
    if (entry === undefined || entry.version !== version) throw versionOver(task);
    const former = formerVersion(history, entry);
    // Only a decision has a version before it: a log of the first begins with nothing.
    if (former === null) return null;
    return bequestOf(await beginVersion(this.#options.services, entry, former), task, plan);
  }

  async assertMayBegin(task: TaskAddress): Promise<void> {
    const newest = await this.#store.newest(task.topology);
    if (newest === null && !this.#options.mayMove) return;
    if (newest?.version !== task.version || newest.isRemoved) throw versionOver(task);
  }

  async versionOf(topology: string): Promise<string> {
    try {
      return (await this.adopted(topology)).version;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const { version } = error.details;
      return typeof version === 'string' ? version : firstVersion;
    }
  }

  fenced(topology: string, found: FoundPlan): void {
    const number = this.#found.get(topology)?.number ?? 0;
    if (found === null) this.#ended.set(topology, this.#versions.get(topology) ?? firstVersion);
    else if (found.number > number) this.#found.set(topology, found);
    const known = this.#answers.get(topology);
    if (known?.refusedAtMs === null) this.#answers.delete(topology);
  }

  #isOver({ refusedAtMs }: Answer): boolean {
    if (refusedAtMs === null) return false;
    const sinceMs = this.#options.services.clock.nowMs() - refusedAtMs;
    return sinceMs < 0 || sinceMs >= refusalBelievedMs;
  }

  async #adopt(topology: string): Promise<AdoptedPlan> {
    const own = this.#options.plans.find((plan) => plan.topology === topology);
    if (own === undefined) {
      throw new StreamError('STREAM_TOPOLOGY_INVALID', `this app has no topology ${topology}`);
    }
    for (;;) {
      const newest = await this.#store.newest(topology);
      try {
        const entry = await this.#moved(own, newest);
        if (entry === null) continue;
        await this.#tell(own, entry, { standing: 'current', reason: null });
        const { givenUp, hash, number, version } = entry;
        this.#versions.set(topology, version);
        const buildId = this.#options.build.id;
        return { version, number, hash, buildId, nodes: own.document.nodes, givenUp };
      } catch (error) {
        if (newest !== null && isRefusal(error)) {
          const isOther = error.code === 'STREAM_BUILD_SUPERSEDED';
          const standing = isOther ? 'superseded' : 'undecided';
          await this.#tell(own, newest, { standing, reason: error.message });
        }
        throw error;
      }
    }
  }

  /** The plan that this build may commit under; null: somebody else has put another one meanwhile. */
  async #moved(own: OwnPlan, newest: PlanEntry | null): Promise<PlanEntry | null> {
    const { build, countOpen, mayMove } = this.#options;
    const lost = await this.#lost(own.topology, newest);
    if (lost === 'moved') return null;
    if (lost !== null) return this.#restore(own, newest, lost);
    if (newest === null) return this.#begin(own);
    if (newest.isRemoved) throw topologyRemoved(newest);
    if (newest.refusedBuilds.includes(build.id)) throw superseded(newest, build, 'rolled-back');
    if (newest.hash === own.hash) return newest;
    if (!mayMove) throw superseded(newest, build, 'command');
    if (!isNewer(build, newest.build)) throw superseded(newest, build, 'older');
    const differences = await answered(comparePlans(newest.document, own.document), (question) =>
      countOpen(newest, question),
    );
    if (verdictOf(differences) === 'decision') throw decisionNeeded(newest, differences);
    const texts = differences.map(({ text }) => text);
    const { number: after, refusedBuilds, version } = newest;
    const move = { change: 'compatible', version, after, differences: texts } as const;
    return this.#put({ ...this.#entry(own, move), refusedBuilds });
  }

  /**
   * What logs know and control does not, which was deleted or is an older copy: whose turn it is, they say.
   * Null: control knows all that they do. `moved`: somebody has put a plan meanwhile.
   */
  async #lost(topology: string, newest: PlanEntry | null): Promise<KnownToLogs | 'moved' | null> {
    const { logs } = this.#options;
    const found = this.#found.get(topology);
    const begun = await logs.newestVersion(topology);
    const isVersionLost = begun !== null && (!newest || isLaterVersion(begun, newest.version));
    const isNumberLost = found !== undefined && found.number > (newest?.number ?? 0);
    const ended = this.#ended.get(topology);
    const isDoubted = ended !== undefined && newest?.version === ended && !newest.isRemoved;
    if (!isVersionLost && !isNumberLost && !isDoubted) return null;
    const known = await logs.known(topology);
    if ((await this.#store.newest(topology))?.id !== newest?.id) return 'moved';
    this.#ended.delete(topology);
    this.#found.delete(topology);
    return knowsMore(known, newest) ? known : null;
  }

  /** Control is written anew by the build whose plan the logs name; any other waits for a decision. */
  async #restore(
    own: OwnPlan,
    newest: PlanEntry | null,
    { hasLogs, plan, version }: KnownToLogs,
  ): Promise<PlanEntry | null> {
    const { topology } = own;
    // Logs that know of no plan were written where nobody kept plans.
    const isOwn = plan === null || plan.hash === own.hash;
    if (version === null || !hasLogs || !isOwn) {
      throw controlBehind(topology, { hasLogs, plan, version });
    }
    const after = Math.max(newest?.number ?? 0, plan?.number ?? 0);
    const entry = this.#entry(own, { change: 'restored', version, after, differences: [] });
    // A command looks at what there is, and leaves it to workers to mend it.
    if (!this.#options.mayMove) return { ...entry, number: plan?.number ?? 0 };
    return this.#put({ ...entry, refusedBuilds: newest?.refusedBuilds ?? [] });
  }

  /** Nobody has run it. */
  async #begin(own: OwnPlan): Promise<PlanEntry | null> {
    const move = { change: 'first', version: firstVersion, after: 0, differences: [] } as const;
    const entry = this.#entry(own, move);
    // A command looks at what there is, and there is nothing to disagree with.
    return this.#options.mayMove ? this.#put(entry) : { ...entry, number: 0 };
  }

  async #put(entry: PlanEntry): Promise<PlanEntry | null> {
    return (await this.#store.put(entry)) === 'put' ? entry : null;
  }

  #entry(
    own: OwnPlan,
    move: { version: string; change: PlanChange; after: number; differences: readonly string[] },
  ): PlanEntry {
    const { build, services } = this.#options;
    const { clock, randomness, writer } = services;
    const { change, differences, version } = move;
    return {
      ...own,
      ...{ format: 1, id: randomness.uniqueId(), number: move.after + 1, version, build },
      ...{ change, by: writer, atMs: clock.nowMs(), differences },
      ...{ refusedBuilds: [], givenUp: [], isRemoved: false },
    };
  }

  /** Never rejects: it is for people. */
  async #tell(
    own: OwnPlan,
    entry: PlanEntry,
    how: { readonly standing: BuildStanding; readonly reason: string | null },
  ): Promise<void> {
    const { build, mayMove, services } = this.#options;
    const { clock, objects, telemetry, writer } = services;
    const { number, topology, version } = entry;
    const { reason, standing } = how;
    const fields = { topology, version, number, build: build.id, standing };
    const level = { current: 'info', superseded: 'warn', undecided: 'error' } as const;
    telemetry.emit(level[standing], 'plan.adopted', { ...fields, ...(reason && { reason }) });
    if (!mayMove) return;
    try {
      await putBuildRecord(objects, {
        ...own,
        ...{ format: 1, build, standing, number, version, writer, reason },
        atMs: clock.nowMs(),
      });
    } catch (error) {
      telemetry.emit('warn', 'plan.build-not-recorded', { ...fields, error: String(error) });
    }
  }
}

/** The version of a task is not the one that counts: the plan is asked for again. */
function versionOver(task: TaskAddress): StreamError {
  return fencedBy(logPrefix(task).slice(0, -1), null, { ...task });
}

function isRefusal(error: unknown): error is StreamError {
  return (
    error instanceof StreamError &&
    (error.code === 'STREAM_BUILD_SUPERSEDED' || error.code === 'STREAM_DECISION_NEEDED')
  );
}
