import { guardedSender, guardedTable } from '../../../shared/breaker/guarded-sinks';
import { openLakeTable, type LakeTable } from '../../../shared/lake/lake-table';
import { tableFolder, tableShape } from '../../../shared/lake/names';
import type { AppendStore, Clock, FaultPoint, ObjectStore } from '../../../shared/model/ports';
import type { TablePlan } from '../../../shared/model/table';
import { noStateLimits, StateBudget } from '../../../shared/state/state-budget';
import type { DeliveryServices } from '../../../shared/task/delivery';
import type { StageServices } from '../../../shared/task/services';
import { HubCalls } from './hubs';
import type { Actor } from './scheduler';
import { StoreCalls } from './stores';
import type { WorkerWorld } from './worker';

/** The world as one process sees it: every call of it is a step, and may go wrong. */
export class ProcessServices {
  readonly clock: Clock;
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly faultPoint: FaultPoint;
  readonly #actor: Actor;
  readonly #world: WorkerWorld;
  readonly #hubCalls: HubCalls;
  readonly #lakeObjects: ObjectStore;
  #ids = 0;

  constructor(actor: Actor, world: WorkerWorld) {
    this.#actor = actor;
    this.#world = world;
    const reach = { ...world, actor };
    const stores = new StoreCalls(reach);
    this.#hubCalls = new HubCalls(reach);
    this.clock = { nowMs: () => world.scheduler.nowMs + actor.clockOffsetMs };
    this.appends = stores.appendStore(world.appends);
    this.objects = stores.objectStore(world.objects);
    this.#lakeObjects = stores.objectStore(world.lake, () => world.downSinks.tables);
    this.faultPoint = (point) => this.#faultPoint(point);
  }

  uniqueId(): string {
    return `${this.#actor.name}-${(this.#ids += 1)}`;
  }

  /** Of one stage: what it reads is a hub of its own. */
  ofStage(hubName: string): StageServices {
    const hub = this.#world.hubs.get(hubName);
    if (hub === undefined) throw new Error(`no hub ${hubName}`);
    return { ...this.forDelivery(), hub: this.#hubCalls.reader(hub), checkpoints: null };
  }

  /** What delivers, and what decides. */
  forDelivery(): DeliveryServices {
    const { hubs, isGuarded, limits, scheduler } = this.#world;
    const { appends, clock, faultPoint, objects } = this;
    const telemetry = { emit: () => undefined };
    const randomness = { uniqueId: () => this.uniqueId() };
    const breakers = { ...{ appends, clock, telemetry, worker: this.#actor.name } };
    const tables = new Map<string, LakeTable>();
    const lakeTable = (plan: TablePlan): LakeTable => {
      const shape = tableShape(plan);
      let opened = tables.get(shape);
      if (opened === undefined) {
        opened = openLakeTable({
          ...{ clock, randomness, telemetry, faultPoint, plan, checkpointEvery: 10 },
          ...{ folder: tableFolder(plan.name), objects: this.#lakeObjects },
        });
        if (isGuarded) opened = guardedTable(opened, plan.name, breakers);
        tables.set(shape, opened);
      }
      return opened;
    };
    const sender = this.#hubCalls.sender(hubs);
    return {
      ...{ appends, objects, lakeTable, clock, randomness, telemetry, faultPoint, limits },
      sender: isGuarded ? guardedSender(sender, breakers) : sender,
      sleep: (milliseconds) => scheduler.sleep(this.#actor, 'backs off', milliseconds),
      writer: this.#actor.name,
      stateBudget: new StateBudget(noStateLimits),
    };
  }

  async #faultPoint(point: string): Promise<void> {
    // Named points are where a death hurts most: more of them die here than elsewhere.
    if (this.#world.faults.strikes('crash', 0.01)) this.#world.host.onCrash(this.#actor);
    // Where it died, this never goes on.
    await this.#world.scheduler.step(this.#actor, point);
  }
}
