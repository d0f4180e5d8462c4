import { MemoryAppendStore, MemoryObjectStore } from '../adapters/memory-stores';
import type { Topology } from '../dataflow';
import { compileStage } from '../execution';
import { openLakeTable, type LakeTable } from '../lake/lake-table';
import { tableFolder } from '../lake/names';
import type { Clock, HubMessage } from '../model/ports';
import type { StagePlan } from '../model/program';
import type { TablePlan } from '../model/table';
import { plan } from '../planner';
import { noStateLimits, StateBudget } from '../state/state-budget';
import { Runtime } from '../task/runtime';
import { defaultStageLimits, type StageServices } from '../task/services';
import { ownPlans, planAdoption } from '../world/own-plans';
import { MemoryHub, MemorySender } from './memory-hub';
import type { Seeded } from './seeded';
import { StageWatch } from './watched-stage';

/** The worker is gone with all that it had in memory; nothing of ours catches it. */
class WorkerDied extends Error {}

/** What a trigger hands over at once, where nothing decides otherwise. */
const batchMessagesMax = 256;
/** Rows are written when a worker tends its tasks, whatever a table's own limits say. */
const flushWhenTended = { rowsMax: Infinity, bytesMax: Infinity, ageMaxMs: 0 };

export interface Partitions {
  /** Of each source's hub. */
  readonly source: number;
  /** Of each hub between stages. */
  readonly exchange: number;
}

interface HubPartition {
  readonly stage: StagePlan;
  readonly partition: number;
}

/**
 * The engine in one process on stores and hubs in memory, under a clock that stands still unless it is
 * moved: the real runtime, commit log and lake, and a worker that can be replaced by another.
 */
export class MemoryEngine {
  readonly appends: MemoryAppendStore;
  readonly objects = new MemoryObjectStore();
  readonly lake = new MemoryObjectStore();
  readonly watch = new StageWatch();
  readonly clock: Clock = { nowMs: () => this.#nowMs };
  /** Decides cuts and turns; null: each stage's partitions one after the other, in whole batches. */
  chance: Seeded | null = null;
  /** The point at which the worker dies, once. */
  diesAt: string | null = null;
  #nowMs = 0;
  #topology: Topology;
  readonly #partitions: Partitions;
  readonly #hubs = new Map<string, MemoryHub>();
  /** Messages that were handed to a worker which returned them as done, by function and partition. */
  readonly #handedOver = new Map<string, number>();
  #stages: readonly StagePlan[] = [];
  #worker: Runtime;
  #workers = 0;
  #builds = 1;
  #ids = 0;
  #isDraining = false;

  constructor(topology: Topology, partitions: Partitions) {
    this.appends = new MemoryAppendStore(this.clock);
    this.#topology = topology;
    this.#partitions = partitions;
    this.#plan();
    this.#worker = this.#newWorker();
  }

  get topology(): Topology {
    return this.#topology;
  }

  get stages(): readonly StagePlan[] {
    return this.#stages;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Time does not go back. */
  moveClock(toMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, toMs);
  }

  hub(name: string): MemoryHub | undefined {
    return this.#hubs.get(name);
  }

  /** The worker is gone; another begins with what stands in the log. */
  replaceWorker(): void {
    this.#worker = this.#newWorker();
  }

  /** Another build of the topology takes over, with a worker of its own. */
  replaceBuild(topology: Topology): void {
    this.#topology = topology;
    this.#builds += 1;
    this.#plan();
    this.#worker = this.#newWorker();
  }

  /** Until every message is processed and every row is in its table. */
  async settle(): Promise<void> {
    do {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        await this.#deliver(next);
        if (this.chance !== null && this.chance.below(8) === 0) await this.#tend();
      }
      await this.#tend();
    } while (this.#next() !== undefined);
  }

  /** Moves the time of every source on; null: to its end, as a drain does. */
  async moveEventTime(toMs: number | null): Promise<void> {
    await this.settle();
    this.watch.drainToMs = toMs;
    this.#isDraining = true;
    try {
      await this.settle();
    } finally {
      this.#isDraining = false;
      this.watch.drainToMs = null;
    }
  }

  #plan(): void {
    this.#stages = plan([this.#topology]).stages.map((stage) => ({
      ...stage,
      tables: stage.tables.map((table) => ({ ...table, flush: flushWhenTended })),
    }));
    for (const { input } of this.#stages) {
      if (this.#hubs.has(input.hub)) continue;
      const partitionCount = this.#partitions[input.kind];
      this.#hubs.set(
        input.hub,
        new MemoryHub({ partitionCount, createdAtMs: 0, clock: this.clock }),
      );
    }
  }

  #newWorker(): Runtime {
    this.#workers += 1;
    const writer = `worker-${this.#workers}`;
    const stages = this.#stages.map((plan) => ({ plan, services: this.#services(plan, writer) }));
    const [first] = stages;
    if (first === undefined) throw new Error('a topology has a stage');
    return new Runtime({
      stages: stages.map(({ plan: planned, services }) => ({
        stage: this.watch.over(compileStage(planned, [this.#topology])),
        services,
      })),
      plans: planAdoption(first.services, {
        build: { id: `build-${this.#builds}`, builtAtMs: this.#builds },
        plans: ownPlans([this.#topology], stages),
        mayMove: true,
      }),
      hubCheckIntervalMs: Infinity,
      isDraining: async () => this.#isDraining,
    });
  }

  #services(stage: StagePlan, writer: string): StageServices {
    const randomness = { uniqueId: () => `id-${(this.#ids += 1)}` };
    const telemetry = { emit: () => undefined };
    const faultPoint = (point: string): void => {
      if (point !== this.diesAt) return;
      this.diesAt = null;
      throw new WorkerDied(point);
    };
    const tables = new Map<string, LakeTable>();
    const lakeTable = (table: TablePlan): LakeTable => {
      const opened =
        tables.get(table.name) ??
        openLakeTable({
          ...{ objects: this.lake, plan: table, folder: tableFolder(table.name) },
          ...{ clock: this.clock, randomness, telemetry, faultPoint },
        });
      tables.set(table.name, opened);
      return opened;
    };
    return {
      appends: this.appends,
      objects: this.objects,
      hub: this.#hubOf(stage),
      checkpoints: null,
      sender: new MemorySender(this.#hubs),
      lakeTable,
      clock: this.clock,
      sleep: async (milliseconds) => this.moveClock(this.#nowMs + milliseconds),
      ...{ randomness, telemetry, faultPoint, writer },
      limits: defaultStageLimits,
      stateBudget: new StateBudget(noStateLimits),
    };
  }

  #hubOf({ input }: StagePlan): MemoryHub {
    const hub = this.#hubs.get(input.hub);
    if (hub === undefined) throw new Error(`no hub ${input.hub}`);
    return hub;
  }

  /** A partition with messages that no worker has done: the first, or any where chance decides. */
  #next(): HubPartition | undefined {
    const waiting: HubPartition[] = [];
    for (const stage of this.#stages) {
      for (let partition = 0; partition < this.#hubOf(stage).partitionCount; partition += 1) {
        if (this.#waiting({ stage, partition }).length === 0) continue;
        if (this.chance === null) return { stage, partition };
        waiting.push({ stage, partition });
      }
    }
    return waiting[this.chance?.below(waiting.length) ?? 0];
  }

  #waiting({ partition, stage }: HubPartition): readonly HubMessage[] {
    const done = this.#handedOver.get(`${stage.functionName}/${partition}`) ?? 0;
    return this.#hubOf(stage).messages(partition).slice(done);
  }

  /** Hands over a batch as a trigger does; one whose worker died comes again. */
  async #deliver(next: HubPartition): Promise<void> {
    const { partition, stage } = next;
    const waiting = this.#waiting(next);
    const most = Math.min(waiting.length, batchMessagesMax);
    const messages = waiting.slice(0, this.chance === null ? most : 1 + this.chance.below(most));
    const isDone = await this.#survives((worker) =>
      worker.processBatch({
        functionName: stage.functionName,
        partition: String(partition),
        messages,
        deadlineMs: Infinity,
      }),
    );
    if (!isDone) return;
    const name = `${stage.functionName}/${partition}`;
    this.#handedOver.set(name, (this.#handedOver.get(name) ?? 0) + messages.length);
  }

  /**
   * Tasks that the worker does not hold are looked after as after a long time without anybody: they say that
   * what they sent has arrived. Else each look at them would send it again, for the clock stands still.
   */
  async #tend(): Promise<void> {
    let isDone = false;
    while (!isDone) {
      isDone = await this.#survives(async (worker) => {
        const held = new Set(worker.heldTasks().map(nameOfTask));
        for (const task of this.#tasks()) {
          if (held.has(nameOfTask(task))) continue;
          await worker.tendTask({ ...task, deadlineMs: Infinity, isRecovery: true });
        }
        await worker.tendHeld(Infinity);
      });
    }
  }

  #tasks(): { functionName: string; partition: string }[] {
    return this.#stages.flatMap((stage) =>
      Array.from({ length: this.#hubOf(stage).partitionCount }, (_, partition) => ({
        functionName: stage.functionName,
        partition: String(partition),
      })),
    );
  }

  /** False: the worker died at it, and another has taken its place. */
  async #survives(work: (worker: Runtime) => Promise<unknown>): Promise<boolean> {
    try {
      await work(this.#worker);
      return true;
    } catch (error) {
      const met: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
      if (!met.some((one) => one instanceof WorkerDied)) throw error;
      this.replaceWorker();
      return false;
    }
  }
}

function nameOfTask(task: { readonly functionName: string; readonly partition: string }): string {
  return `${task.functionName}/${task.partition}`;
}
