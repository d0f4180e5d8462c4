import { messagesOfIncarnation } from './batch-order';
import { IdleClaims } from './claimant';
import { SourceDrift } from './source-drift';
import { bothOf, forEachOf } from './each-of';
import { bequeathed, endFormerPartitions } from './former-lives';
import { HaltMarks } from './halt-marks';
import { HeldTasks, letGoAfter } from './held-tasks';
import { assertMayBegin, findInheritance, lastWriteMs, nextLife } from './incarnations';
import { newestLife } from '../commit-log/incarnations';
import type { LedgerCounts } from '../model/commit';
import { asksToReopen, StreamError } from '../model/errors';
import type { HubDescription } from '../model/ports';
import {
  elsewhere,
  nothingCommitted,
  type BatchRequest,
  type TendTaskReport,
  type TendTaskRequest,
} from './runtime-requests';
import type { CompiledStage, StageServices } from './services';
import { assertSameCountAsOthers } from './other-logs';
import { isLimitOfState } from '../state/state-budget';
import { isFence, isSuperseded, unlessSuperseded } from '../model/superseded';
import { tellPromotion } from './stale-checkpoint';
import { withoutPlans, type TaskPlans } from './task-plans';
import type { SettledLetter, SettleRequest } from './settle-letters';
import { Task, type BatchReport } from './task';
import type { TendRequest } from './upkeep';
import type { TaskAddress } from '../model/task-address';

interface StageEntry {
  readonly stage: CompiledStage;
  readonly services: StageServices;
  readonly tasks: HeldTasks;
  readonly halts: HaltMarks;
  hub: Promise<HubDescription> | null;
  hubCheckedAtMs: number;
}

/** A task whose log went on without this process is opened anew so often within one batch. */
const openingsMax = 5;

export interface RuntimeOptions {
  readonly stages: readonly { readonly stage: CompiledStage; readonly services: StageServices }[];
  readonly hubCheckIntervalMs: number;
  /** Which version and plan of a topology this process may commit to. Default: nobody keeps plans. */
  readonly plans?: TaskPlans;
  /** True while the topology is to end: sources are drained and everything is flushed. */
  readonly isDraining: (topology: string) => Promise<boolean>;
}

/** All tasks that this process holds in memory, by function name and partition. */
export class Runtime {
  readonly #stages: ReadonlyMap<string, StageEntry>;
  readonly #options: RuntimeOptions;
  readonly #plans: TaskPlans;
  readonly #claims: IdleClaims;
  readonly #drift = new SourceDrift();

  constructor(options: RuntimeOptions) {
    this.#options = options;
    this.#plans = options.plans ?? withoutPlans;
    this.#claims = new IdleClaims(
      options.stages.map(({ services, stage }) => ({ plan: stage.plan, services })),
      (topology, error) => this.#noteFence(topology, error),
    );
    this.#stages = new Map(
      options.stages.map(({ stage, services }) => [
        stage.plan.functionName,
        {
          ...{ stage, services, tasks: new HeldTasks(), hub: null, hubCheckedAtMs: 0 },
          halts: new HaltMarks(stage.plan, services),
        },
      ]),
    );
  }

  /** A trigger's batch. What it rejects with is for the host's log: the log of commits decides. */
  async processBatch(request: BatchRequest): Promise<BatchReport> {
    for (let opening = 1; ; opening += 1) {
      try {
        return await this.#processOnce(request);
      } catch (error) {
        // Another build reads it: the batch goes back uncommitted, and nobody need look into it.
        if (isSuperseded(error)) return nothingCommitted(request);
        const isMended = asksToReopen(error) || isFence(error);
        if (!isMended || opening >= openingsMax) throw error;
      }
    }
  }

  async #processOnce(request: BatchRequest): Promise<BatchReport> {
    const { deadlineMs, messages, partition } = request;
    const entry = this.#entry(request.functionName);
    await this.#checkIncarnation(entry);
    const task = await this.#task(entry, partition);
    const first = messages[0];
    const isSuspect = first !== undefined && first.sequenceNumber < task.cursor.sequenceNumber;
    if (isSuspect || first?.sequenceNumber === 0) {
      // Committed already, or the first events of a hub that was recreated: only the hub can tell.
      await this.#checkIncarnationNow(entry);
    }
    const current = await this.#task(entry, partition);
    const { createdAtMs } = await this.#hub(entry);
    const own = messagesOfIncarnation(messages, createdAtMs);
    if (own.length < messages.length) {
      entry.services.telemetry.emit('warn', 'task.messages-of-former-hub', {
        ...current.address,
        messages: messages.length - own.length,
      });
    }
    return this.#letGoOnFailure(entry, partition, () => current.process(own, deadlineMs));
  }

  /** Looks after the tasks that this process works on. Rejects at its end with what failed. */
  async tendHeld(deadlineMs: number): Promise<void> {
    const tended: Task[] = [];
    const tend = forEachOf(this.#stages.values(), async (entry) => {
      if (entry.tasks.size === 0) return;
      const isDraining = await this.#options.isDraining(entry.stage.plan.topology);
      await this.#checkIncarnation(entry);
      await forEachOf(Array.from(entry.tasks), async ([partition, opening]) => {
        if (entry.services.clock.nowMs() >= deadlineMs) return;
        await unlessSuperseded(async () => {
          const task = await opening;
          const isElsewhere = await this.#tend(entry, partition, task, { deadlineMs, isDraining });
          if (isElsewhere) entry.tasks.delete(partition);
          else if (!isDraining) tended.push(task);
        });
      });
    });
    await bothOf(tend, () => this.#claims.claim(tended, { isPeriodic: true }));
  }

  /**
   * Looks after tasks that no process seems to work on: those of every stage whose log nobody has
   * written to for `abandonedAfterMs`. One process at a time does this, by a timer trigger. Rejects at
   * its end with what failed.
   */
  async tendAbandoned(request: {
    readonly deadlineMs: number;
    readonly abandonedAfterMs: number;
  }): Promise<void> {
    const opened: Task[] = [];
    const tended: Task[] = [];
    const tend = forEachOf(this.#stages.values(), async (entry) => {
      const { services, stage } = entry;
      const isDraining = await this.#options.isDraining(stage.plan.topology);
      await this.#checkIncarnation(entry);
      const hub = await this.#hub(entry);
      await forEachOf(hub.partitionIds, async (partition) => {
        if (services.clock.nowMs() >= request.deadlineMs) return;
        if (entry.tasks.has(partition)) return;
        await unlessSuperseded(async () => {
          const { version } = await this.#plans.adopted(stage.plan.topology);
          const place = taskOf(stage, version, partition);
          const incarnation = await newestLife(services.appends, place, hub);
          const address = { ...place, incarnation };
          const writtenAtMs = await lastWriteMs(services.appends, address);
          if (services.clock.nowMs() - writtenAtMs < request.abandonedAfterMs) return;
          // Not kept: who gets the partition's input holds the task.
          const task = await this.#open(entry, partition);
          opened.push(task);
          await this.#tend(entry, partition, task, { deadlineMs: request.deadlineMs, isDraining });
          if (!isDraining) tended.push(task);
        });
      });
    });
    await bothOf(tend, () => this.#claims.claim(tended, { isPeriodic: false })).finally(() => {
      for (const task of opened) task.letGo();
    });
  }

  /**
   * Looks after one task, held or not, as the supervisor asks: another process may hold it or look
   * after it at the same time. Rejects as a batch does.
   */
  async tendTask(request: TendTaskRequest): Promise<TendTaskReport> {
    return (await unlessSuperseded(() => this.#tendTask(request))) ?? elsewhere;
  }

  async #tendTask(request: TendTaskRequest): Promise<TendTaskReport> {
    const entry = this.#entry(request.functionName);
    const isDraining = await this.#options.isDraining(entry.stage.plan.topology);
    await this.#checkIncarnation(entry);
    return this.#withTask(entry, request.partition, async (task, isHeld) => {
      const before = { commit: task.state.commit, read: task.state.ledger.read };
      const isElsewhere = await this.#tend(entry, request.partition, task, {
        ...request,
        isDraining,
      });
      if (isElsewhere && isHeld) entry.tasks.delete(request.partition);
      if (!isElsewhere && !isDraining) await this.#claims.claim([task], { isPeriodic: false });
      const { commit, ledger, pendingOutbox } = task.state;
      return {
        commit,
        commits: commit - before.commit,
        events: ledger.read - before.read,
        isOutboxSent: pendingOutbox.length === 0,
        isElsewhere,
        nextSequenceNumber: task.cursor.sequenceNumber,
      };
    });
  }

  /** Redrives or discards dead letters of one task, wherever it is held. Repeatable. */
  async settleLetters(
    request: SettleRequest & { readonly functionName: string; readonly partition: string },
  ): Promise<readonly SettledLetter[]> {
    const entry = this.#entry(request.functionName);
    await this.#checkIncarnation(entry);
    return this.#withTask(entry, request.partition, (task) =>
      this.#letGoOnFailure(entry, request.partition, () => task.settleLetters(request)),
    );
  }

  /** Not kept when opened for this alone: who gets the partition's input holds the task. */
  async #withTask<Result>(
    entry: StageEntry,
    partition: string,
    work: (task: Task, isHeld: boolean) => Promise<Result>,
  ): Promise<Result> {
    const held = entry.tasks.get(partition);
    const task = await (held ?? this.#open(entry, partition));
    return held === undefined ? letGoAfter(task, (one) => work(one, false)) : work(task, true);
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
    const sinceMs = nowMs - entry.hubCheckedAtMs;
    // A clock that was set back must not keep a worker from asking.
    if (sinceMs >= 0 && sinceMs < this.#options.hubCheckIntervalMs) return;
    entry.hubCheckedAtMs = nowMs;
    await this.#letGoOfFormerHub(entry, known);
  }

  async #checkIncarnationNow(entry: StageEntry): Promise<void> {
    await this.#letGoOfFormerHub(entry, await this.#hub(entry));
  }

  async #letGoOfFormerHub(entry: StageEntry, known: HubDescription): Promise<void> {
    const asked = entry.hub;
    const current = await entry.services.hub.describe();
    // Where somebody else has asked meanwhile, this answer may be the older one.
    if (entry.hub !== asked) return;
    const { plan } = entry.stage;
    const partitions = current.partitionIds.length;
    if (current.createdAtMs === known.createdAtMs) {
      if (partitions === known.partitionIds.length) return;
      entry.services.telemetry.emit('warn', 'hub.partitions-changed', {
        ...{ hub: plan.input.hub, partitions, formerly: known.partitionIds.length },
      });
      entry.hub = Promise.resolve(current);
      entry.tasks.clear();
      return;
    }
    entry.services.telemetry.emit('warn', 'hub.recreated', {
      hub: plan.input.hub,
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
    try {
      const task = await this.#openFromLog(entry, partition);
      entry.halts.opened(partition);
      return task;
    } catch (error) {
      this.#noteFence(entry.stage.plan.topology, error);
      await entry.halts.failed(partition, error);
      throw error;
    }
  }

  /** A log is written under another plan: this process asks which, and lets go of the topology's tasks. */
  #noteFence(topology: string, error: unknown): void {
    if (!isFence(error)) return;
    this.#plans.fenced(topology, error.details.found);
    for (const { stage, tasks } of this.#stages.values()) {
      if (stage.plan.topology === topology) tasks.clear();
    }
  }

  async #openFromLog(entry: StageEntry, partition: string): Promise<Task> {
    const { services, stage } = entry;
    const { appends } = services;
    const plan = await this.#plans.adopted(stage.plan.topology);
    const { version } = plan;
    let hub = await this.#hub(entry);
    let inheritance = await findInheritance(appends, taskOf(stage, version, partition), hub);
    if (!inheritance.isBegun) {
      // A log begins seldom, and only that of the hub as it is now.
      await this.#checkIncarnationNow(entry);
      hub = await this.#hub(entry);
      inheritance = await findInheritance(appends, taskOf(stage, version, partition), hub);
    }
    const bounds = await services.hub.bounds(partition);
    const options = {
      stage,
      services,
      plan,
      taskCount: hub.partitionIds.length,
      exchangePartitionCounts: await Promise.all(
        stage.plan.exchanges.map((exchange) => services.sender.partitionCount(exchange.hub)),
      ),
      firstSequenceNumber: Math.max(0, bounds.firstSequenceNumber),
      ...this.#drift.optionsOf(stage.plan, services, taskOf(stage, version, partition)),
    };
    if (inheritance.isBegun) {
      const task = await Task.open({ ...options, address: inheritance.address, inherited: null });
      if (!task.isEndedByPromotion) return task;
      task.letGo();
      inheritance = nextLife(inheritance);
    }
    const { address, earlier } = inheritance;
    const inherited =
      (await bequeathed({ ...options, address }, earlier)) ??
      (await this.#plans.bequest(address, stage.plan));
    await assertSameCountAsOthers({ ...options, address });
    // Once, by whoever begins the first log of the new hub, and before it begins.
    const isFirst = partition === hub.partitionIds[0];
    if (isFirst) await endFormerPartitions({ ...options, address }, hub);
    const beforeBegin = async (): Promise<void> => {
      await assertMayBegin(appends, address, earlier);
      await this.#plans.assertMayBegin(address);
    };
    const begun = await Task.open({ ...options, address, inherited, beforeBegin });
    await tellPromotion(services, address, inherited?.summary.promotion ?? null);
    return begun;
  }

  /** True: another process is committing to the task. */
  async #tend(
    entry: StageEntry,
    partition: string,
    task: Task,
    request: TendRequest,
  ): Promise<boolean> {
    const isHeld = entry.tasks.has(partition);
    try {
      const isElsewhere = await this.#letGoOnFailure(entry, partition, () => task.tend(request));
      if (!isElsewhere) await entry.halts.wentOn(partition);
      return isElsewhere;
    } catch (error) {
      if (!(error instanceof StreamError) || error.code !== 'STREAM_HUB_PROMOTED') throw error;
      // No input may come to do it: the next life begins, and says what was lost.
      if (isHeld) return this.#tend(entry, partition, await this.#task(entry, partition), request);
      return letGoAfter(await this.#open(entry, partition), (next) =>
        this.#tend(entry, partition, next, request),
      );
    }
  }

  /**
   * A task that failed is opened anew from its log the next time: memory is never the truth. One that a limit
   * refused more state is as its log says: to load it again for each batch would cost as much as it holds.
   */
  async #letGoOnFailure<Result>(
    entry: StageEntry,
    partition: string,
    work: () => Promise<Result>,
  ): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (!isLimitOfState(error)) entry.tasks.delete(partition);
      if (error instanceof StreamError && error.code === 'STREAM_HUB_RECREATED') {
        entry.hubCheckedAtMs = 0;
      }
      this.#noteFence(entry.stage.plan.topology, error);
      await entry.halts.failed(partition, error);
      throw error;
    }
  }
}

function taskOf(
  { plan: { name: stage, topology } }: CompiledStage,
  version: string,
  partition: string,
): Omit<TaskAddress, 'incarnation'> {
  return { topology, version, stage, partition };
}
