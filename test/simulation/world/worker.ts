import { openLakeTable, type LakeTable } from '../../../shared/lake/lake-table';
import { tableFolder, tableShape } from '../../../shared/lake/names';
import { isTransient, StreamError } from '../../../shared/model/errors';
import type {
  AppendStore,
  Clock,
  FaultPoint,
  HubMessage,
  ObjectStore,
} from '../../../shared/model/ports';
import type { StagePlan } from '../../../shared/model/program';
import type { TablePlan } from '../../../shared/model/table';
import { guardedSender, guardedTable } from '../../../shared/breaker/guarded-sinks';
import { Runtime } from '../../../shared/task/runtime';
import type { CompiledStage, StageLimits, StageServices } from '../../../shared/task/services';
import type { Faults } from './faults';
import { noStateLimits, StateBudget } from '../../../shared/state/state-budget';
import type { Host, Slot } from './host';
import { HubCalls, type WatchedHub } from './hubs';
import type { Random } from './random';
import type { Actor, Scheduler } from './scheduler';
import { StoreCalls, type DownSinks, type Outage } from './stores';

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
  readonly stages: readonly CompiledStage[];
  readonly limits: StageLimits;
  readonly hubCheckIntervalMs: number;
  readonly tending: Tending;
  /** Tables and exchanges have circuit breakers, as in production. */
  readonly isGuarded: boolean;
  readonly downSinks: DownSinks;
  readonly isDraining: () => boolean;
  /** A worker lives and left a batch undone, or waits long: its attempt looks like a death to others. */
  readonly onGaveUp: (actor: Actor) => void;
  /** A worker, or a call of it, stands still for long. */
  readonly onFrozen: (actor: Actor) => void;
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
  };
  readonly #world: WorkerWorld;
  readonly #runtime: Runtime;
  readonly #clock: Clock;
  readonly #pumped = new Set<Slot>();
  #ids = 0;

  constructor(actor: Actor, world: WorkerWorld) {
    this.actor = actor;
    this.#world = world;
    this.#clock = { nowMs: () => world.scheduler.nowMs + actor.clockOffsetMs };
    const stages = world.stages.map((stage) => ({ stage, services: this.#services(stage) }));
    this.served = stages.map(({ services, stage }) => ({ plan: stage.plan, services }));
    this.#runtime = new Runtime({
      stages,
      hubCheckIntervalMs: world.hubCheckIntervalMs,
      isDraining: async () => world.isDraining(),
    });
    const stores = new StoreCalls({ ...world, actor: this.actor });
    this.recovery = {
      runtime: this.#runtime,
      appends: stores.appendStore(world.appends),
      objects: stores.objectStore(world.objects),
      clock: this.#clock,
      faultPoint: (point) => this.#faultPoint(point),
      worker: actor.name,
    };
  }

  start(): void {
    this.#spawn(() => this.#claim());
    const { tending } = this.#world;
    if (tending !== 'by the supervisor alone') this.#spawn(() => this.#tendHeld());
    if (tending === 'by workers') this.#spawn(() => this.#tendAbandoned());
  }

  uniqueId(): string {
    return `${this.actor.name}-${(this.#ids += 1)}`;
  }

  async #faultPoint(point: string): Promise<void> {
    // Named points are where a death hurts most: more of them die here than elsewhere.
    if (this.#world.faults.strikes('crash', 0.01)) this.#world.host.onCrash(this.actor);
    // Where it died, this never goes on.
    await this.#world.scheduler.step(this.actor, point);
  }

  #services(stage: CompiledStage): StageServices {
    const { appends, hubs, isGuarded, lake, limits, objects, scheduler } = this.#world;
    const reach = { ...this.#world, actor: this.actor };
    const stores = new StoreCalls(reach);
    const hubCalls = new HubCalls(reach);
    const hub = hubs.get(stage.plan.input.hub);
    if (hub === undefined) throw new Error(`no hub ${stage.plan.input.hub}`);
    const clock = this.#clock;
    const randomness = { uniqueId: () => this.uniqueId() };
    const telemetry = { emit: () => undefined };
    const faultPoint = (point: string): Promise<void> => this.#faultPoint(point);
    const lakeObjects = stores.objectStore(lake, () => this.#world.downSinks.tables);
    const breakers = {
      ...{ appends: stores.appendStore(appends), clock, telemetry, worker: this.actor.name },
    };
    const tables = new Map<string, LakeTable>();
    const lakeTable = (plan: TablePlan): LakeTable => {
      const shape = tableShape(plan);
      let opened = tables.get(shape);
      if (opened === undefined) {
        const folder = tableFolder(plan.name);
        const tools = { clock, randomness, telemetry, faultPoint };
        opened = openLakeTable({
          ...tools,
          plan,
          folder,
          objects: lakeObjects,
          checkpointEvery: 10,
        });
        if (isGuarded) opened = guardedTable(opened, plan.name, breakers);
        tables.set(shape, opened);
      }
      return opened;
    };
    const sender = hubCalls.sender(hubs);
    return {
      appends: stores.appendStore(appends),
      objects: stores.objectStore(objects),
      hub: hubCalls.reader(hub),
      checkpoints: null,
      sender: isGuarded ? guardedSender(sender, breakers) : sender,
      lakeTable,
      clock,
      sleep: (milliseconds) => scheduler.sleep(this.actor, 'backs off', milliseconds),
      randomness,
      telemetry,
      faultPoint,
      writer: this.actor.name,
      limits,
      stateBudget: new StateBudget(noStateLimits),
    };
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
        if (one instanceof StreamError && isTransient(one)) {
          this.#world.scheduler.note(this.actor, `gave up: ${one.message}`);
        } else {
          this.#world.onUnexpected(one);
        }
      }
      this.#world.onGaveUp(this.actor);
    }
  }
}
