import { MemoryAppendStore, MemoryObjectStore } from '../adapters/memory-stores';
import type { Topology } from '../dataflow';
import { isTransient } from '../model/errors';
import type { Clock, HubMessage } from '../model/ports';
import type { StagePlan } from '../model/program';
import { plan } from '../planner';
import { noStateLimits, StateBudget } from '../state/state-budget';
import type { Runtime } from '../task/runtime';
import { defaultStageLimits, type StageServices } from '../task/services';
import { Faults, WorkerDied } from './faults';
import { MemoryHub } from './memory-hub';
import {
  memoryRuntime,
  memoryServices,
  type MemoryBuild,
  type MemoryWorld,
} from './memory-services';
import type { Seeded } from './seeded';
import { StageWatch } from './watched-stage';

/** What a trigger hands over at once, where nothing decides otherwise. */
const batchMessagesMax = 256;
/** Rows are written when a worker tends its tasks, whatever a table's own limits say. */
const flushWhenTended = { rowsMax: Infinity, bytesMax: Infinity, ageMaxMs: 0 };

export interface EngineOptions {
  readonly partitions: Partitions;
  /** Whole values travel over exchanges, so that an event that was late there can be told whole. */
  readonly isWhole: boolean;
}

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

interface Worker {
  readonly build: MemoryBuild;
  runtime: Runtime;
}

/**
 * The engine in one process on stores and hubs in memory, under a clock that stands still unless it is
 * moved: the real runtime, commit log and lake, and workers that can be replaced by others.
 */
export class MemoryEngine {
  readonly appends: MemoryAppendStore;
  readonly lake = new MemoryObjectStore();
  readonly watch = new StageWatch();
  readonly faults = new Faults();
  readonly clock: Clock = { nowMs: () => this.#nowMs };
  /** Decides cuts and turns; null: each stage's partitions one after the other, in whole batches. */
  chance: Seeded | null = null;
  #nowMs = 0;
  readonly #partitions: Partitions;
  readonly #isWhole: boolean;
  readonly #hubs = new Map<string, MemoryHub>();
  readonly #world: MemoryWorld;
  /** Messages that were handed to a worker which returned them as done, by function and partition. */
  readonly #handedOver = new Map<string, number>();
  /** One of each build that runs, the newest build last. */
  #workers: readonly Worker[] = [];
  #topology: Topology;
  #stages: readonly StagePlan[] = [];
  #workersBegun = 0;
  #buildsBegun = 0;
  /** Batches handed over so far. */
  #turns = 0;
  #ids = 0;
  #isDraining = false;
  /** A worker has let go of tasks that nobody may have looked at since. */
  #isAnyLeft = false;

  constructor(topology: Topology, { isWhole, partitions }: EngineOptions) {
    this.#isWhole = isWhole;
    this.appends = new MemoryAppendStore(this.clock);
    this.#topology = topology;
    this.#partitions = partitions;
    this.#world = {
      appends: this.faults.over(this.appends, 'appends', 'STREAM_STORE_UNAVAILABLE'),
      objects: this.faults.over(new MemoryObjectStore(), 'objects', 'STREAM_STORE_UNAVAILABLE'),
      lake: this.faults.over(this.lake, 'lake', 'STREAM_STORE_UNAVAILABLE'),
      ...{ hubs: this.#hubs, checkpoints: null, clock: this.clock },
      sleep: async (milliseconds) => this.moveClock(this.#nowMs + milliseconds),
      randomness: { uniqueId: () => `id-${(this.#ids += 1)}` },
      telemetry: { emit: () => undefined },
      limits: defaultStageLimits,
      stateBudget: new StateBudget(noStateLimits),
    };
    this.begin(topology, { isAlone: true });
  }

  /** Of the newest build. */
  get topology(): Topology {
    return this.#topology;
  }

  /** Of the newest build. */
  get stages(): readonly StagePlan[] {
    return this.#stages;
  }

  get batches(): number {
    return this.#turns;
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

  /** The workers are gone; one of the newest build begins with what stands in the log. */
  replaceWorkers(): void {
    const newest = this.#workers.at(-1);
    if (newest !== undefined) this.#workers = [this.#workerOf(newest.build)];
  }

  /** A build of the topology begins, with a worker of its own: alone, or beside those that run. */
  begin(topology: Topology, { isAlone }: { readonly isAlone: boolean }): void {
    this.#buildsBegun += 1;
    this.#topology = topology;
    this.#stages = plan([topology]).stages.map((stage) => ({
      ...stage,
      tables: stage.tables.map((table) => ({ ...table, flush: flushWhenTended })),
    }));
    for (const { input } of this.#stages) {
      if (this.#hubs.has(input.hub)) continue;
      const partitionCount = this.#partitions[input.kind];
      const hub = new MemoryHub({ partitionCount, createdAtMs: 0, clock: this.clock });
      this.#hubs.set(input.hub, hub);
    }
    const identity = { id: `build-${this.#buildsBegun}`, builtAtMs: this.#buildsBegun };
    const begun = this.#workerOf({ topologies: [topology], stages: this.#stages, identity });
    this.#workers = [...(isAlone ? [] : this.#workers), begun];
  }

  /** Until every message is processed and every row is in its table. */
  async settle(): Promise<void> {
    await this.#deliverAll();
    do {
      await this.#tendAbandoned();
      this.#isAnyLeft = false;
      await this.#deliverAll();
    } while (this.#isAnyLeft);
  }

  async #deliverAll(): Promise<void> {
    do {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        await this.#deliver(next);
        if (this.chance !== null && this.chance.below(8) === 0) await this.#tendHeld();
      }
      await this.#tendHeld();
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

  #workerOf(build: MemoryBuild): Worker {
    return { build, runtime: this.#newRuntime(build) };
  }

  #newRuntime(build: MemoryBuild): Runtime {
    this.#workersBegun += 1;
    const worker = { writer: `worker-${this.#workersBegun}`, faultPoint: this.faults.point };
    const servicesOf = (stage: StagePlan): StageServices => {
      const services = memoryServices(this.#world, worker, stage);
      return {
        ...services,
        hub: this.faults.over(services.hub, 'hub', 'STREAM_HUB_UNAVAILABLE'),
        sender: this.faults.over(services.sender, 'sender', 'STREAM_HUB_UNAVAILABLE'),
      };
    };
    return memoryRuntime(build, servicesOf, {
      hubCheckIntervalMs: Infinity,
      isDraining: async () => this.#isDraining,
      over: (stage) => this.watch.over(stage),
      isWhole: this.#isWhole,
    });
  }

  /** A partition with messages that no worker has done: the first, or any where chance decides. */
  #next(): HubPartition | undefined {
    const waiting: HubPartition[] = [];
    for (const stage of this.#stages) {
      const { partitionCount } = this.#hubOf(stage);
      for (let partition = 0; partition < partitionCount; partition += 1) {
        if (this.#waiting({ stage, partition }).length === 0) continue;
        if (this.chance === null) return { stage, partition };
        waiting.push({ stage, partition });
      }
    }
    return waiting[this.chance?.below(waiting.length) ?? 0];
  }

  #hubOf({ input }: StagePlan): MemoryHub {
    const hub = this.#hubs.get(input.hub);
    if (hub === undefined) throw new Error(`no hub ${input.hub}`);
    return hub;
  }

  #waiting(of: HubPartition): readonly HubMessage[] {
    return this.#hubOf(of.stage).messages(of.partition).slice(this.#doneOf(of));
  }

  #doneOf({ partition, stage }: HubPartition): number {
    return this.#handedOver.get(`${stage.functionName}/${partition}`) ?? 0;
  }

  /** Hands over a batch as a trigger does; one that failed, or whose worker died, comes again. */
  async #deliver(next: HubPartition): Promise<void> {
    const { partition, stage } = next;
    const { functionName } = stage;
    const waiting = this.#waiting(next);
    const most = Math.min(waiting.length, batchMessagesMax);
    const messages = waiting.slice(0, this.chance === null ? most : 1 + this.chance.below(most));
    let isDone = false;
    const hasGoneOn = await this.#survives(this.#takerOf(functionName), async (runtime) => {
      const batch = { functionName, partition: String(partition), messages, deadlineMs: Infinity };
      // A build that another has taken over from gives its batches back.
      isDone = (await runtime.processBatch(batch)).isComplete;
    });
    const isSkipped =
      !hasGoneOn && messages.length < waiting.length && this.faults.skipsFailedBatch();
    if (!isDone && !isSkipped) return;
    const done = this.#doneOf(next) + messages.length;
    this.#handedOver.set(
      `${functionName}/${partition}`,
      done - this.faults.messagesAgain(Math.min(done, batchMessagesMax)),
    );
  }

  /** Builds that run beside each other take turns. */
  #takerOf(functionName: string): Worker {
    const takers = this.#workers.filter(({ build }) =>
      build.stages.some((stage) => stage.functionName === functionName),
    );
    this.#turns += 1;
    const taker = takers[this.chance?.below(takers.length) ?? this.#turns % takers.length];
    if (taker === undefined) throw new Error(`nobody has the function ${functionName}`);
    return taker;
  }

  async #tendHeld(): Promise<void> {
    for (const worker of this.#workers) {
      await this.#untilDone(worker, (runtime) => runtime.tendHeld(Infinity));
    }
  }

  /**
   * Tasks that no worker holds are looked after as after a long time without anybody: they say that what they
   * sent has arrived. Else each look at them would send it again, for the clock stands still.
   */
  async #tendAbandoned(): Promise<void> {
    const newest = this.#workers.at(-1);
    if (newest === undefined) return;
    await this.#untilDone(newest, async (runtime) => {
      const held = new Set(
        this.#workers.flatMap((worker) => worker.runtime.heldTasks().map(nameOfTask)),
      );
      for (const task of this.#tasks()) {
        if (held.has(nameOfTask(task))) continue;
        await runtime.tendTask({ ...task, deadlineMs: Infinity, isRecovery: true });
      }
    });
  }

  #tasks(): { functionName: string; partition: string }[] {
    return this.#stages.flatMap((stage) =>
      Array.from({ length: this.#hubOf(stage).partitionCount }, (_, partition) => ({
        functionName: stage.functionName,
        partition: String(partition),
      })),
    );
  }

  async #untilDone(worker: Worker, work: (runtime: Runtime) => Promise<void>): Promise<void> {
    while (!(await this.#survives(worker, work))) continue;
  }

  /** False: it failed in a way that passes, or the worker died and another of its build took its place. */
  async #survives(worker: Worker, work: (runtime: Runtime) => Promise<unknown>): Promise<boolean> {
    try {
      await work(worker.runtime);
      this.faults.wentOn();
      return true;
    } catch (error) {
      const met: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
      const isDead = met.some((one) => one instanceof WorkerDied);
      const mayFail = isDead || this.faults.areSeeded;
      const isPassing = met.every((one) => one instanceof WorkerDied || isTransient(one));
      if (!mayFail || !isPassing) throw error;
      this.#isAnyLeft = true;
      if (isDead) worker.runtime = this.#newRuntime(worker.build);
      return false;
    }
  }
}

function nameOfTask(task: { readonly functionName: string; readonly partition: string }): string {
  return `${task.functionName}/${task.partition}`;
}
