/**
 * A topology run in one process on memory stores and hubs under a simulated clock: the real engine,
 * commit log and lake, with workers that can die at any fault point.
 */
import { parquetReadObjects } from 'hyparquet';
import { tableFolder } from '../../shared/lake/names';
import { listLiveFiles } from '../../shared/lake/table-reader';
import { MemoryAppendStore, MemoryObjectStore } from '../../shared/adapters/memory-stores';
import type {
  AppendStore,
  HostCheckpoints,
  ObjectStore,
  Telemetry,
} from '../../shared/model/ports';
import type { BuildIdentity } from '../../shared/model/topology-plan';
import type { StagePlan } from '../../shared/model/program';
import { plan } from '../../shared/planner';
import { noStateLimits, StateBudget } from '../../shared/state/state-budget';
import type { Runtime } from '../../shared/task/runtime';
import {
  defaultStageLimits,
  type StageLimits,
  type StageServices,
} from '../../shared/task/services';
import type { Topology } from '../../shared/dataflow';
import type { DecisionWorld } from '../../shared/operations/decisions/standing-plan';
import { MemoryHub } from '../../shared/testing/memory-hub';
import { memoryRuntime, memoryServices } from '../../shared/testing/memory-services';
import { ownPlans } from '../../shared/world/own-plans';

/** Thrown at a fault point: the worker is gone, with all it had in memory. */
export class WorkerDied extends Error {}

export interface StageWorldOptions {
  readonly topologies: readonly Topology[];
  readonly partitionCount: number;
  readonly hubCheckIntervalMs?: number;
  readonly exchangePartitionCount?: number;
  readonly limits?: Partial<StageLimits>;
  readonly appends?: AppendStore;
  readonly flushRowsMax?: number;
}

export class StageWorld {
  readonly stages: readonly StagePlan[];
  readonly hubs = new Map<string, MemoryHub>();
  readonly appends: AppendStore;
  readonly objects: ObjectStore = new MemoryObjectStore();
  readonly lake = new MemoryObjectStore();
  readonly capture = new MemoryObjectStore();
  readonly events: { event: string; fields: Readonly<Record<string, unknown>> }[] = [];
  checkpoints: HostCheckpoints | null = null;
  nowMs = Date.UTC(2026, 5, 1);
  isDraining = false;
  /** Of the workers that begin from here on: one process. */
  stateBudget = new StateBudget(noStateLimits);
  /** What others do while a worker sleeps. */
  onSleep: () => Promise<void> = async () => undefined;
  readonly #options: StageWorldOptions;
  #workers = 0;
  #ids = 0;

  constructor(options: StageWorldOptions) {
    this.#options = options;
    this.appends = options.appends ?? new MemoryAppendStore();
    this.stages = this.#stagesOf(options.topologies);
    for (const { input } of this.stages) {
      const partitionCount =
        input.kind === 'source'
          ? options.partitionCount
          : (options.exchangePartitionCount ?? options.partitionCount);
      this.hubs.set(input.hub, new MemoryHub({ partitionCount, createdAtMs: 1_000 }));
    }
  }

  #stagesOf(topologies: readonly Topology[]): readonly StagePlan[] {
    return plan(topologies).stages.map((stagePlan) => ({
      ...stagePlan,
      tables: stagePlan.tables.map((table) => ({
        ...table,
        flush: { ...table.flush, rowsMax: this.#options.flushRowsMax ?? 100 },
      })),
    }));
  }

  hub(name: string): MemoryHub {
    const hub = this.hubs.get(name);
    if (hub === undefined) throw new Error(`no hub ${name}`);
    return hub;
  }

  /** A worker with nothing in memory; it dies (throws WorkerDied) when `dieAt` says so. */
  worker(dieAt: (point: string) => boolean = () => false): Runtime {
    return this.#worker(dieAt, null, this.#options.topologies);
  }

  /** A worker of a build: its own topologies, and the plans in the store. */
  workerOf(
    build: BuildIdentity,
    topologies: readonly Topology[],
    dieAt: (point: string) => boolean = () => false,
  ): Runtime {
    return this.#worker(dieAt, build, topologies);
  }

  /** Where decisions are taken, with the code of a build. */
  decisionWorld(
    build: BuildIdentity,
    topologies: readonly Topology[],
    dieAt: (point: string) => boolean = () => false,
  ): DecisionWorld {
    const stages = this.#stagesOf(topologies);
    const [first] = stages;
    const [own] = ownPlans(
      topologies,
      stages.map((one) => ({ plan: one })),
    );
    if (first === undefined || own === undefined) throw new Error('a build without a stage');
    return { services: this.#services(first, 'decider', dieAt), build, own };
  }

  #worker(
    dieAt: (point: string) => boolean,
    identity: BuildIdentity | null,
    topologies: readonly Topology[],
  ): Runtime {
    this.#workers += 1;
    const writer = `worker-${this.#workers}`;
    return memoryRuntime(
      { identity, topologies, stages: this.#stagesOf(topologies) },
      (stagePlan) => this.#services(stagePlan, writer, dieAt),
      {
        hubCheckIntervalMs: this.#options.hubCheckIntervalMs ?? 0,
        isDraining: async () => this.isDraining,
      },
    );
  }

  /** Every stage with the world as a worker sees it: for surveys and jobs. */
  served(
    writer: string,
    dieAt: (point: string) => boolean = () => false,
  ): { plan: StagePlan; services: StageServices }[] {
    return this.stages.map((stagePlan) => ({
      plan: stagePlan,
      services: this.#services(stagePlan, writer, dieAt),
    }));
  }

  #services(
    stagePlan: StagePlan,
    writer: string,
    dieAt: (point: string) => boolean,
  ): StageServices {
    const telemetry: Telemetry = {
      emit: (_level, event, fields) => this.events.push({ event, fields }),
    };
    const faultPoint = (point: string): void => {
      if (dieAt(point)) throw new WorkerDied(point);
    };
    const world = {
      ...{ appends: this.appends, objects: this.objects, lake: this.lake, hubs: this.hubs },
      ...{ checkpoints: this.checkpoints, stateBudget: this.stateBudget, telemetry },
      clock: { nowMs: () => this.nowMs },
      sleep: async (milliseconds: number) => {
        this.nowMs += milliseconds;
        await this.onSleep();
      },
      randomness: { uniqueId: () => `id-${(this.#ids += 1)}` },
      limits: { ...defaultStageLimits, ...this.#options.limits },
      checkpointEvery: 10,
    };
    return memoryServices(world, { writer, faultPoint }, stagePlan);
  }

  /** Hands all a hub partition holds from a message on to a worker, in batches of a size. */
  async deliver(
    runtime: Runtime,
    request: { stage: string; partition: number; from?: number; batchSize?: number },
  ): Promise<void> {
    const stagePlan = this.stage(request.stage);
    const messages = this.hub(stagePlan.input.hub)
      .messages(request.partition)
      .filter(({ sequenceNumber }) => sequenceNumber >= (request.from ?? 0));
    const batchSize = request.batchSize ?? 100;
    for (let start = 0; start < messages.length; start += batchSize) {
      await runtime.processBatch({
        functionName: stagePlan.functionName,
        partition: String(request.partition),
        messages: messages.slice(start, start + batchSize),
        deadlineMs: Infinity,
      });
    }
  }

  stage(name: string): StagePlan {
    const found = this.stages.find((candidate) => candidate.name === name);
    if (found === undefined)
      throw new Error(`no stage ${name}: ${this.stages.map((s) => s.name).join()}`);
    return found;
  }

  /** Delivers every stage in order and drains: what a run without faults would do from here. */
  async finish(runtime: Runtime, batchSize = 100): Promise<void> {
    this.isDraining = true;
    for (const stagePlan of this.stages) {
      const partitions = (await this.hub(stagePlan.input.hub).describe()).partitionIds;
      for (const partition of partitions) {
        await this.deliver(runtime, {
          stage: stagePlan.name,
          partition: Number(partition),
          batchSize,
        });
      }
      await runtime.tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: -Infinity });
      await runtime.tendHeld(Infinity);
    }
  }

  /** The rows of a table as its Delta log shows them, as sorted JSON texts in column order. */
  async rows(table: string): Promise<string[]> {
    const tablePlan = this.stages
      .flatMap(({ tables }) => tables)
      .find(({ name }) => name === table);
    if (tablePlan === undefined) throw new Error(`no table ${table}`);
    const rows: string[] = [];
    for (const file of await listLiveFiles({ objects: this.lake, folder: tableFolder(table) })) {
      const bytes = await this.lake.get(file.name);
      if (bytes === undefined) throw new Error(`the live file ${file.name} is gone`);
      const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
      for (const row of await parquetReadObjects({ file: buffer as ArrayBuffer })) {
        const cells = tablePlan.columns.map(({ name }) => plainCell(row[name]));
        rows.push(JSON.stringify(cells));
      }
    }
    return rows.sort();
  }
}

function plainCell(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Date ? value.getTime() : value;
}
