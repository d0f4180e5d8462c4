import { StreamError } from '../../model/errors';
import type { StagePlan } from '../../model/program';
import type { TaskAddress } from '../../model/task-address';
import {
  isNewer,
  type AdoptedPlan,
  type BuildIdentity,
  type FoundPlan,
} from '../../model/topology-plan';
import { firstVersion } from '../../model/version-name';
import type { Bequest } from '../../commit-log/task-log-options';
import type { DeliveryServices } from '../../task/delivery';
import type { TaskPlans } from '../../task/task-plans';
import { putBuildRecord, type BuildStanding } from './build-records';
import { answered, comparePlans, verdictOf, type OpenQuestion } from './compare-plans';
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
  /** The newest version that has logs; null: none has. */
  readonly newestVersion: (topology: string) => Promise<string | null>;
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
    const history = await this.#store.history(task.topology);
    const entry = history.find(({ version }) => version === task.version);
    const former = history.filter(({ version }) => version !== task.version).at(-1);
    // Only a decision has a version before it: a log of the first begins with nothing.
    if (entry === undefined || former === undefined) return null;
    const beginning = await beginVersion(this.#options.services, entry, former);
    return bequestOf(beginning, task, plan);
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
    if (found !== null && found.number > number) this.#found.set(topology, found);
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
    const found = this.#found.get(own.topology);
    const seen = found?.number ?? 0;
    // Logs know more than control does, which was deleted or is an older copy: whose turn it is, they say.
    const isBehind = found !== undefined && seen > (newest?.number ?? 0);
    if (isBehind && found.hash !== own.hash) throw controlBehind(own.topology, found);
    if (newest === null) return this.#begin(own, seen);
    if (newest.isRemoved) throw topologyRemoved(newest);
    if (newest.refusedBuilds.includes(build.id)) throw superseded(newest, build, 'rolled-back');
    const isSame = newest.hash === own.hash;
    if (isSame && newest.number >= seen) return newest;
    if (!mayMove) throw superseded(newest, build, 'command');
    if (isSame) return this.#put(own, newest, { change: 'restored', after: seen, differences: [] });
    if (!isNewer(build, newest.build)) throw superseded(newest, build, 'older');
    const differences = await answered(comparePlans(newest.document, own.document), (question) =>
      countOpen(newest, question),
    );
    if (verdictOf(differences) === 'decision') throw decisionNeeded(newest, differences);
    const texts = differences.map(({ text }) => text);
    const after = Math.max(newest.number, seen);
    return this.#put(own, newest, { change: 'compatible', after, differences: texts });
  }

  /** Nobody has run it; or control is gone, and the logs say where it stood. */
  async #begin(own: OwnPlan, seen: number): Promise<PlanEntry | null> {
    const { mayMove, newestVersion } = this.#options;
    const version = (await newestVersion(own.topology)) ?? firstVersion;
    const change = seen > 0 ? 'restored' : 'first';
    const entry = this.#entry(own, { version, change, after: seen, differences: [] });
    // A command looks at what there is, and there is nothing to disagree with.
    if (!mayMove) return { ...entry, number: seen };
    return (await this.#store.put(entry)) === 'put' ? entry : null;
  }

  async #put(
    own: OwnPlan,
    newest: PlanEntry,
    move: { change: PlanChange; after: number; differences: readonly string[] },
  ): Promise<PlanEntry | null> {
    const { refusedBuilds, version } = newest;
    const entry = { ...this.#entry(own, { ...move, version }), refusedBuilds };
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

function isRefusal(error: unknown): error is StreamError {
  return (
    error instanceof StreamError &&
    (error.code === 'STREAM_BUILD_SUPERSEDED' || error.code === 'STREAM_DECISION_NEEDED')
  );
}
