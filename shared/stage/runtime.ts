import { findEarlierIncarnation, lastWriteMs } from './incarnations';
import type { LedgerCounts } from '../model/commit';
import { StreamError } from '../model/errors';
import type { HubDescription, HubMessage } from '../model/ports';
import type { CompiledStage, StageServices } from './services';
import { Task, type BatchReport } from './task';
import type { TaskAddress } from './task-hold';

interface StageEntry {
  readonly stage: CompiledStage;
  readonly services: StageServices;
  readonly tasks: Map<string, Promise<Task>>;
  hub: Promise<HubDescription> | null;
  hubCheckedAtMs: number;
}

/** A task whose log went on without this process is opened anew so often within one batch. */
const openingsMax = 5;

export interface BatchRequest {
  readonly functionName: string;
  readonly partition: string;
  readonly messages: readonly HubMessage[];
  readonly deadlineMs: number;
}

export interface RuntimeOptions {
  readonly stages: readonly { readonly stage: CompiledStage; readonly services: StageServices }[];
  readonly hubCheckIntervalMs: number;
  /** True while the topology is to end: sources are drained and everything is flushed. */
  readonly isDraining: (topology: string) => Promise<boolean>;
}

/** All tasks that this process holds in memory, by function name and partition. */
export class Runtime {
  readonly #stages: ReadonlyMap<string, StageEntry>;
  readonly #options: RuntimeOptions;

  constructor(options: RuntimeOptions) {
    this.#options = options;
    this.#stages = new Map(
      options.stages.map(({ stage, services }) => [
        stage.plan.functionName,
        { stage, services, tasks: new Map(), hub: null, hubCheckedAtMs: 0 },
      ]),
    );
  }

  /** A trigger's batch. What it rejects with is for the host's log: the log of commits decides. */
  async processBatch(request: BatchRequest): Promise<BatchReport> {
    for (let opening = 1; ; opening += 1) {
      try {
        return await this.#processOnce(request);
      } catch (error) {
        const isContended =
          error instanceof StreamError && error.code === 'STREAM_COMMIT_CONTENDED';
        if (!isContended || opening >= openingsMax) throw error;
      }
    }
  }

  async #processOnce(request: BatchRequest): Promise<BatchReport> {
    const { deadlineMs, messages, partition } = request;
    const entry = this.#entry(request.functionName);
    await this.#checkIncarnation(entry);
    const task = await this.#task(entry, partition);
    const first = messages[0];
    if (first !== undefined && first.sequenceNumber < task.cursor.sequenceNumber) {
      // Committed already, or the first events of a hub that was recreated: only the hub can tell.
      entry.hubCheckedAtMs = 0;
      await this.#checkIncarnation(entry);
    }
    const current = await this.#task(entry, partition);
    return this.#letGoOnFailure(entry, partition, () => current.process(messages, deadlineMs));
  }

  /** Looks after the tasks that this process works on. */
  async tendHeld(deadlineMs: number): Promise<void> {
    for (const entry of this.#stages.values()) {
      if (entry.tasks.size === 0) continue;
      const isDraining = await this.#options.isDraining(entry.stage.plan.topology);
      await this.#checkIncarnation(entry);
      for (const [partition, opening] of Array.from(entry.tasks)) {
        if (entry.services.clock.nowMs() >= deadlineMs) return;
        const task = await opening;
        const isElsewhere = await this.#letGoOnFailure(entry, partition, () =>
          task.tend({ deadlineMs, isDraining }),
        );
        if (isElsewhere) entry.tasks.delete(partition);
      }
    }
  }

  /**
   * Looks after tasks that no process seems to work on: those of every stage whose log nobody has
   * written to for `abandonedAfterMs`. One process at a time does this, by a timer trigger.
   */
  async tendAbandoned(request: {
    readonly deadlineMs: number;
    readonly abandonedAfterMs: number;
  }): Promise<void> {
    for (const entry of this.#stages.values()) {
      const { services, stage } = entry;
      const isDraining = await this.#options.isDraining(stage.plan.topology);
      const hub = await this.#hub(entry);
      for (const partition of hub.partitionIds) {
        if (services.clock.nowMs() >= request.deadlineMs) return;
        if (entry.tasks.has(partition)) continue;
        const address = addressOf(stage, hub, partition);
        const writtenAtMs = await lastWriteMs(services.appends, address);
        if (services.clock.nowMs() - writtenAtMs < request.abandonedAfterMs) continue;
        // Not kept: who gets the partition's input holds the task.
        const task = await this.#open(entry, partition);
        await task.tend({ deadlineMs: request.deadlineMs, isDraining });
      }
    }
  }

  heldTasks(): { functionName: string; partition: string }[] {
    return Array.from(this.#stages, ([functionName, { tasks }]) =>
      Array.from(tasks.keys(), (partition) => ({ functionName, partition })),
    ).flat();
  }

  /** What every task of a stage says of the events it has read, from its log. */
  async ledgers(functionName: string): Promise<readonly LedgerCounts[]> {
    const entry = this.#entry(functionName);
    const { partitionIds } = await this.#hub(entry);
    return Promise.all(
      partitionIds.map(async (partition) => (await this.#task(entry, partition)).state.ledger),
    );
  }

  #entry(functionName: string): StageEntry {
    const entry = this.#stages.get(functionName);
    if (entry === undefined) throw new Error(`No stage has the function ${functionName}`);
    return entry;
  }

  #hub(entry: StageEntry): Promise<HubDescription> {
    if (entry.hub === null) {
      entry.hubCheckedAtMs = entry.services.clock.nowMs();
      entry.hub = entry.services.hub.describe();
      entry.hub.catch(() => {
        entry.hub = null;
      });
    }
    return entry.hub;
  }

  /** Lets go of all tasks of a stage whose hub is not the one they were opened on. */
  async #checkIncarnation(entry: StageEntry): Promise<void> {
    const known = await this.#hub(entry);
    const nowMs = entry.services.clock.nowMs();
    if (nowMs - entry.hubCheckedAtMs < this.#options.hubCheckIntervalMs) return;
    entry.hubCheckedAtMs = nowMs;
    const current = await entry.services.hub.describe();
    if (current.createdAtMs === known.createdAtMs) return;
    entry.services.telemetry.emit('warn', 'hub.recreated', {
      hub: entry.stage.plan.input.hub,
      createdAtMs: current.createdAtMs,
      formerlyCreatedAtMs: known.createdAtMs,
    });
    entry.hub = Promise.resolve(current);
    entry.tasks.clear();
  }

  #task(entry: StageEntry, partition: string): Promise<Task> {
    let task = entry.tasks.get(partition);
    if (task === undefined) {
      task = this.#open(entry, partition);
      entry.tasks.set(partition, task);
      task.catch(() => entry.tasks.delete(partition));
    }
    return task;
  }

  async #open(entry: StageEntry, partition: string): Promise<Task> {
    const { services, stage } = entry;
    const hub = await this.#hub(entry);
    const bounds = await services.hub.bounds(partition);
    const options = {
      stage,
      services,
      taskCount: hub.partitionIds.length,
      exchangePartitionCounts: await Promise.all(
        stage.plan.exchanges.map((exchange) => services.sender.partitionCount(exchange.hub)),
      ),
      firstSequenceNumber: Math.max(0, bounds.firstSequenceNumber),
    };
    const address = addressOf(stage, hub, partition);
    const earlier = await findEarlierIncarnation(services.appends, address);
    const inherited =
      earlier === null
        ? null
        : await (await Task.open({ ...options, address: earlier, inherited: null })).bequeath();
    return Task.open({ ...options, address, inherited });
  }

  /** A task that failed is opened anew from its log the next time: memory is never the truth. */
  async #letGoOnFailure<Result>(
    entry: StageEntry,
    partition: string,
    work: () => Promise<Result>,
  ): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      entry.tasks.delete(partition);
      throw error;
    }
  }
}

function addressOf(stage: CompiledStage, hub: HubDescription, partition: string): TaskAddress {
  return {
    topology: stage.plan.topology,
    stage: stage.plan.name,
    incarnation: String(hub.createdAtMs).padStart(15, '0'),
    partition,
  };
}
