import { isTransient, StreamError } from '../../../shared/model/errors';
import type {
  AppendStore,
  Clock,
  FaultPoint,
  HubMessage,
  ObjectStore,
} from '../../../shared/model/ports';
import type { StagePlan } from '../../../shared/model/program';
import type { PlanAdoption } from '../../../shared/operations/decisions/plan-adoption';
import { drainMarks } from '../../../shared/operations/decisions/drain-mark';
import { Runtime } from '../../../shared/task/runtime';
import type { StageLimits, StageServices } from '../../../shared/task/services';
import { planAdoption } from '../../../shared/world/own-plans';
import type { SimulatedBuild } from './builds';
import type { Faults } from './faults';
import type { Host, Slot } from './host';
import type { WatchedHub } from './hubs';
import type { Random } from './random';
import type { Actor, Scheduler } from './scheduler';
import { ProcessServices } from './services';
import type { DownSinks, Outage } from './stores';

/** Who looks after tasks that time asks something of, and after those that nobody holds. */
export type Tending = 'by workers' | 'by workers and the supervisor' | 'by the supervisor alone';

/** What all workers of a run share. */
export interface WorkerWorld {
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly random: Random;
  readonly outage: Outage;
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly lake: ObjectStore;
  readonly hubs: ReadonlyMap<string, WatchedHub>;
  readonly host: Host;
  /** Oldest first: workers of any of them run at the same time. */
  readonly builds: readonly SimulatedBuild[];
  readonly limits: StageLimits;
  readonly hubCheckIntervalMs: number;
  readonly tending: Tending;
  /** Tables and exchanges have circuit breakers, as in production. */
  readonly isGuarded: boolean;
  readonly downSinks: DownSinks;
  readonly isDraining: () => boolean;
  /** Some of the run's decisions drain the version that there is: workers look for their mark. */
  readonly areVersionsDrained: boolean;
  /** A worker lives and left a batch undone, or waits long: its attempt looks like a death to others. */
  readonly onGaveUp: (actor: Actor) => void;
  /** A worker, or a call of it, stands still for long. */
  readonly onFrozen: (actor: Actor) => void;
  /** A worker stands still until somebody decides: true where its build may. */
  readonly onUndecided: (build: SimulatedBuild) => boolean;
  /** A worker's own mistake: an error that no fault explains. */
  readonly onUnexpected: (error: unknown) => void;
}

const abandonedAfterMs = 10_000;

/** A process of the function app: the real engine, its triggers fed by a simulated host. */
export class SimulatedWorker {
  readonly actor: Actor;
  /** The stages as this worker serves them. */
  readonly served: readonly { readonly plan: StagePlan; readonly services: StageServices }[];
  /** What the activities of the supervisor and of jobs run on. */
  readonly recovery: {
    readonly runtime: Runtime;
    readonly appends: AppendStore;
    readonly objects: ObjectStore;
    readonly clock: Clock;
    readonly faultPoint: FaultPoint;
    readonly worker: string;
    readonly versionOf: (topology: string) => Promise<string>;
    readonly isDraining: (topology: string) => Promise<boolean>;
  };
  readonly build: SimulatedBuild;
  readonly #world: WorkerWorld;
  readonly #runtime: Runtime;
  readonly #clock: Clock;
  readonly #services: ProcessServices;
  readonly #pumped = new Set<Slot>();

  constructor(actor: Actor, build: SimulatedBuild, world: WorkerWorld) {
    this.actor = actor;
    this.build = build;
    this.#world = world;
    const services = (this.#services = new ProcessServices(actor, world));
    const { appends, clock, faultPoint, objects } = services;
    this.#clock = clock;
    const stages = build.stages.map((stage) => ({
      stage,
      services: services.ofStage(stage.plan.input.hub),
    }));
    this.served = stages.map(({ services: own, stage }) => ({ plan: stage.plan, services: own }));
    const plans: PlanAdoption = planAdoption(services.forDelivery(), {
      ...{ build: build.identity, plans: [build.own], mayMove: true },
    });
    const versionOf = (topology: string): Promise<string> => plans.versionOf(topology);
    const marks = drainMarks({ control: objects, clock, versionOf });
    const isDraining = async (topology: string): Promise<boolean> =>
      world.isDraining() || (world.areVersionsDrained && (await marks(topology)));
    const { hubCheckIntervalMs } = world;
    this.#runtime = new Runtime({ stages, hubCheckIntervalMs, plans, isDraining });
    this.recovery = {
      ...{ runtime: this.#runtime, appends, objects, clock, faultPoint },
      ...{ worker: actor.name, versionOf, isDraining },
    };
  }

  start(): void {
    this.#spawn(() => this.#claim());
    const { tending } = this.#world;
    if (tending !== 'by the supervisor alone') this.#spawn(() => this.#tendHeld());
    if (tending === 'by workers') this.#spawn(() => this.#tendAbandoned());
  }

  uniqueId(): string {
    return this.#services.uniqueId();
  }

  #spawn(work: () => Promise<void>): void {
    work().catch((error: unknown) => this.#world.onUnexpected(error));
  }

  async #claim(): Promise<void> {
    const { host, random, scheduler } = this.#world;
    for (;;) {
      await scheduler.sleep(this.actor, 'looks for partitions', random.between(500, 3_000));
      for (const slot of host.slots) {
        if (this.#pumped.has(slot) || !host.claim(slot, this.actor)) continue;
        this.#pumped.add(slot);
        this.#spawn(() => this.#pump(slot));
      }
    }
  }

  /** One partition's batches, one after the other, for as long as the host believes it is ours. */
  async #pump(slot: Slot): Promise<void> {
    const { host, random, scheduler } = this.#world;
    let position = slot.checkpoint;
    while (host.holds(slot, this.actor)) {
      const batch = host.nextBatch(slot, position);
      if (batch.messages.length === 0) {
        await scheduler.sleep(this.actor, 'waits for input', random.between(300, 3_000));
      } else {
        await scheduler.step(this.actor, `takes ${batch.messages.length} of ${slot.name}`);
        await this.#guard(() => this.#process(slot, batch.messages));
      }
      // As the real host does it: what came of the batch makes no difference to the checkpoint.
      position = batch.next;
      host.checkpoint(slot, this.actor, position);
    }
    this.#pumped.delete(slot);
  }

  async #process(slot: Slot, messages: readonly HubMessage[]): Promise<void> {
    const { functionName, partition } = slot;
    const deadlineMs = this.#clock.nowMs() + this.#world.host.batchTimeMs();
    const batch = { functionName, partition, messages, deadlineMs };
    const { isComplete } = await this.#runtime.processBatch(batch);
    if (!isComplete) this.#world.onGaveUp(this.actor);
  }

  async #tendHeld(): Promise<void> {
    for (;;) {
      const pauseMs = this.#world.random.between(1_000, 4_000);
      await this.#world.scheduler.sleep(this.actor, 'will tend', pauseMs);
      await this.#guard(() => this.#runtime.tendHeld(this.#clock.nowMs() + 60_000));
    }
  }

  async #tendAbandoned(): Promise<void> {
    for (;;) {
      const pauseMs = this.#world.random.between(8_000, 15_000);
      await this.#world.scheduler.sleep(this.actor, 'will tend the abandoned', pauseMs);
      const deadlineMs = this.#clock.nowMs() + 60_000;
      await this.#guard(() => this.#runtime.tendAbandoned({ deadlineMs, abandonedAfterMs }));
    }
  }

  /** What may be tried again is the host's to log; everything else is a mistake of the engine. */
  async #guard(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // Who looks after several tasks tells of all that failed.
      const met: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
      for (const one of met) {
        if (this.#isForgiven(one)) {
          this.#world.scheduler.note(this.actor, `gave up: ${String(one)}`);
        } else {
          this.#world.onUnexpected(one);
        }
      }
      this.#world.onGaveUp(this.actor);
    }
  }

  #isForgiven(error: unknown): boolean {
    if (isTransient(error)) return true;
    if (!(error instanceof StreamError)) return false;
    return error.code === 'STREAM_DECISION_NEEDED' && this.#world.onUndecided(this.build);
  }
}
