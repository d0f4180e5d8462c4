import { generationName } from '../commit-log/names';
import { limitsOf } from '../commit-log/limits';
import { TaskLog } from '../commit-log/task-log';
import type { Bequest } from '../commit-log/task-log-options';
import {
  type AttemptRecord,
  type CommitRecord,
  type Cursor,
  type LogRecord,
  type Tick,
  type WatermarkReason,
} from '../model/commit';
import { invariant, StreamError } from '../model/errors';
import { fencedBy } from '../model/superseded';
import type { AdoptedPlan } from '../model/topology-plan';
import type { Program } from '../model/program';
import { Producers, producingStages } from '../delivery/exchange/producers';
import type { RestFacts } from '../time/claims';
import { positionOf } from '../time/position';
import { assertFollows } from './assert-follows';
import { Attempts } from './attempts';
import { BatchOutputs } from './batch-outputs';
import { CommitReports } from './commit-reports';
import { Delivery } from './delivery';
import { draftCommit, nothingRead, type CommitContent } from './draft';
import { KeptState } from './kept-state';
import { assertSameCount, countKnown, noteCount } from './partition-counts';
import { assertNotRestored } from './restored-log';
import type { CompiledStage, StageServices } from './services';
import { placeOfNext } from './summary';
import { LogMaintenance } from './log-maintenance';
import { lateByOperator } from './summary';
import { TaskState } from './task-state';
import { leastSizeOfParts, type StateAccount } from '../state/state-budget';
import type { TaskAddress } from '../model/task-address';

/** What a commit says beside what is in it. */
export interface CommitMeans {
  /** The task ends: nothing will ever come of it again. */
  readonly isEnding?: boolean;
  /** Wall clock asked for the commit. */
  readonly tick?: Tick;
}

/** What a task is opened with. */
export interface TaskOptions {
  readonly stage: CompiledStage;
  readonly address: TaskAddress;
  readonly services: StageServices;
  /** The plan under which this process commits. */
  readonly plan: AdoptedPlan;
  /** Tasks of this stage: consumers of its exchanges wait for all of them. */
  readonly taskCount: number;
  readonly exchangePartitionCounts: readonly number[];
  /** Where a task without a commit begins. */
  readonly firstSequenceNumber: number;
  /** State of an earlier incarnation to begin with. */
  readonly inherited: Bequest | null;
  /** How far a source task is ahead of the slowest one, in milliseconds of event time; 0: not that is known. */
  readonly aheadByMs?: () => Promise<number>;
  /** Keeps a log from beginning that must not; see TaskLogOptions. */
  readonly beforeBegin?: () => Promise<void>;
}

/**
 * One process's hold on a task: its log, and the state, program and outputs as of the last record
 * read. Other processes may hold the same task: an append tells who was first.
 */
export class TaskHold {
  readonly log: TaskLog;
  readonly state: TaskState;
  readonly program: Program;
  readonly outputs: BatchOutputs;
  readonly producers: Producers;
  readonly attempts: Attempts;
  readonly delivery: Delivery;
  readonly reports: CommitReports;
  readonly maintenance: LogMaintenance;
  readonly #kept: KeptState;
  commitsByThisProcess = 0;
  readonly #options: TaskOptions;
  readonly #services: StageServices;
  readonly #account: StateAccount;
  /** What was read of the log could not be taken in. */
  #failure: Error | null = null;

  private constructor(
    options: TaskOptions,
    log: TaskLog,
    { account, state }: { account: StateAccount; state: TaskState },
  ) {
    const { address, exchangePartitionCounts, services, stage } = options;
    this.#options = options;
    this.#services = services;
    this.#account = account;
    this.log = log;
    this.state = state;
    this.attempts = new Attempts(services.writer);
    this.outputs = new BatchOutputs({
      plan: stage.plan,
      state: state.keyed,
      exchangePartitionCounts,
      blockBytesMax: services.limits.log.blockBytesMax,
    });
    this.program = stage.bind(state.keyed, this.outputs, address);
    this.producers = new Producers(state.keyed, producingStages(stage.plan.input));
    this.delivery = new Delivery({ address, plan: stage.plan, state, services });
    this.reports = new CommitReports(address, services);
    this.#kept = new KeptState({
      ...{ keyed: state.keyed, address, plan: options.plan, tables: stage.plan.tables },
      hasRows: (table) => (state.pendingRows.get(table)?.length ?? 0) > 0,
      telemetry: services.telemetry,
    });
    this.maintenance = new LogMaintenance({
      ...{ log, state, address, services },
      attempts: this.attempts,
    });
  }

  /** Loads the task from its log (snapshot, then tail), finishing what a dead worker left half-done. */
  static async open(options: TaskOptions): Promise<TaskHold> {
    const account = options.services.stateBudget.open({ ...options.address });
    try {
      return await TaskHold.#open(options, account);
    } catch (error) {
      account.close();
      throw error;
    }
  }

  static async #open(options: TaskOptions, account: StateAccount): Promise<TaskHold> {
    const { address, services, stage } = options;
    const log = await TaskLog.open({
      appends: services.appends,
      objects: services.objects,
      clock: services.clock,
      path: address,
      writer: services.writer,
      limits: limitsOf(address, services.limits.log),
      faultPoint: services.faultPoint,
      telemetry: services.telemetry,
      inherited: options.inherited,
      ...(options.beforeBegin === undefined ? {} : { beforeBegin: options.beforeBegin }),
    });
    const loaded = await log.load((bytes) => account.assertRoom(leastSizeOfParts(bytes)));
    const state = await TaskState.fromBase(stage.plan, loaded, {
      ...services,
      // Others may be loaded at the same time: what is taken is counted as it comes.
      onPart: (size) => {
        account.assertRoom(size);
        account.holds(size);
      },
    });
    const hold = new TaskHold(options, log, { account, state });
    hold.#takeIn(loaded.records);
    const task = { address, log, plan: stage.plan, state: hold.state, services };
    const known = countKnown({ plan: stage.plan, keyed: hold.state.keyed });
    assertSameCount(stage.plan, { found: options.taskCount, known });
    await assertNotRestored(task, async () => hold.#takeIn(await log.catchUp()));
    await hold.#finishRoll();
    hold.#kept.check();
    account.assertRoom(state.keyed.size);
    account.holds(state.keyed.size);
    services.telemetry.emit('info', 'task.opened', {
      ...address,
      commit: hold.state.commit,
      records: loaded.records.length,
    });
    hold.#reportRowsWithoutTable();
    return hold;
  }

  /** This process no longer works on the task: others may have its memory. */
  letGo(): void {
    this.#account.close();
  }

  /** A table was taken out of the topology: what of it is not in the lake stays in the log alone. */
  #reportRowsWithoutTable(): void {
    for (const [table, commit] of this.state.rowsWithoutTable) {
      const throughCommit = this.state.flushedThrough.get(table) ?? 0;
      if (throughCommit >= commit) continue;
      this.#services.telemetry.emit('error', 'task.rows-without-table', {
        ...this.#options.address,
        table,
        flushedThroughCommit: throughCommit,
        lastCommitWithRows: commit,
        remedy: `put table ${table} back into the topology and drain it before you take it out`,
      });
    }
  }

  get cursor(): Cursor {
    return this.state.cursor ?? { sequenceNumber: this.#options.firstSequenceNumber, index: 0 };
  }

  /** What other versions sent is not for this task. */
  get topologyVersion(): string {
    return this.#options.address.version;
  }

  /** Encodes what was gathered as the next commit. */
  draft(
    content: CommitContent,
    reason: WatermarkReason,
    { isEnding = false, tick }: CommitMeans = {},
  ): CommitRecord | null {
    const { incarnation, partition, stage } = this.#options.address;
    const isSource = this.#options.stage.plan.input.kind === 'source';
    this.program.beforeCommit();
    const { stage: compiled, taskCount } = this.#options;
    noteCount({ plan: compiled.plan, keyed: this.state.keyed }, taskCount);
    this.#kept.note();
    return draftCommit({
      task: this.state,
      log: placeOfNext(this.log, this.#options.plan.number),
      outputs: this.outputs,
      producer: {
        ...{ stage, partition, incarnation },
        ...{ topologyVersion: this.topologyVersion, planNumber: this.#options.plan.number },
        producers: this.#options.taskCount,
      },
      services: this.#services,
      content,
      from: this.cursor,
      watermarkMs: this.program.watermarkMs,
      watermarkReason: reason,
      exchangeTime: (exchange) => this.program.exchangeTime(exchange),
      // Behind an exchange, what it has been told of: a claim of idleness further on may be void by it.
      through: isSource
        ? { [`${stage}/${partition}`]: positionOf(incarnation, content.to) }
        : this.producers.heard(),
      ...{ isEnding, tick: tick ?? null },
      late: lateByOperator(this.reports.counting(this.program.takeCounters())),
      isFiringDue: this.program.isFiringDue,
      nextTimerDueMs: this.program.nextDueMs,
    });
  }

  /**
   * Wall clock has nothing to move any more: every window that an event of this task can be in is closed, here
   * and in later stages, and all of them know its time.
   */
  isTimeAtRest(): boolean {
    const { openForMs } = this.#options.stage.plan;
    const { eventTimeMaxMs, isFiringDue, watermarkMs } = this.program;
    if (openForMs === null || isFiringDue) return false;
    const isClosed =
      eventTimeMaxMs === null || (watermarkMs ?? -Infinity) >= eventTimeMaxMs + openForMs;
    return isClosed && !this.isAwaited() && this.isTimeTold();
  }

  /** Windows before an exchange are open: their results are still to come, though no input comes. */
  isAwaited(): boolean {
    return this.#options.stage.plan.exchanges.some(
      (_, exchange) => this.program.exchangeTime(exchange).isAwaited,
    );
  }

  /** All partitions of all exchanges know how far time is here. */
  isTimeTold(): boolean {
    return this.outputs.outboxes.every((outbox, exchange) =>
      outbox.isTimeTold(this.program.exchangeTime(exchange).watermarkMs),
    );
  }

  /** Whether this task may be claimed to be idle; null: it has something to do first. */
  restFacts(): RestFacts | null {
    const { address } = this.#options;
    if (this.program.isFiringDue || this.state.pendingOutbox.length > 0 || !this.isTimeTold()) {
      return null;
    }
    return {
      epoch: this.state.epoch ?? 0,
      cursor: positionOf(address.incarnation, this.cursor),
      state: this.isAwaited() ? 'awaited' : 'rests',
    };
  }

  /** A commit that time or an operator asks for. What is due fires in the next ones. */
  draftWithoutInput(reason: WatermarkReason, means: CommitMeans): CommitRecord {
    const processingTimeMs = this.#services.clock.nowMs();
    const content = { ...nothingRead, to: this.cursor, processingTimeMs };
    const draft = this.draft(content, reason, means);
    invariant(draft !== null, 'a commit without input fits one append');
    return draft;
  }

  /** @throws StreamError STREAM_STATE_TOO_LARGE, STREAM_WORKER_FULL: nothing was appended */
  async append(record: CommitRecord): Promise<'committed' | 'conflict'> {
    try {
      this.#account.assertFits(this.state.keyed.size);
    } catch (error) {
      this.rollback();
      await this.#tellSurvival();
      throw error;
    }
    const turn = await this.takeTurn();
    const { generation, position } = this.log;
    const isRefused = turn === 'conflict' || (await this.log.append(record)) === 'conflict';
    if (isRefused) {
      this.rollback();
      await this.catchUp();
      return 'conflict';
    }
    this.state.settleCommit(record, { generation, position });
    this.outputs.clear();
    this.attempts.applyCommit(record);
    this.commitsByThisProcess += 1;
    this.reports.committed(record, this.producers.droppedEvents);
    this.#account.holds(this.state.keyed.size);
    await this.#services.faultPoint('stage.after-commit');
    return 'committed';
  }

  async #tellSurvival(): Promise<void> {
    const survived = this.attempts.survived();
    if (survived === null) return;
    const { clock, writer } = this.#services;
    const record = {
      kind: 'attempt',
      writer,
      startedAtMs: clock.nowMs(),
      from: this.cursor,
    } as const;
    // `conflict`: somebody else is at it, and tells of their own try.
    if ((await this.appendAttempt({ ...record, ...survived })) === 'appended') {
      this.attempts.survivalTold();
    }
  }

  /**
   * What a build appends first to a log that is written under a plan before its own: from then on no older
   * build can append. Costs nothing once the log knows.
   */
  async takeTurn(): Promise<'appended' | 'conflict'> {
    const { buildId, hash, number } = this.#options.plan;
    this.#assertTurn();
    if ((this.log.plan?.number ?? 0) === number) return 'appended';
    const { clock, faultPoint, writer } = this.#services;
    await faultPoint('stage.before-plan');
    const outcome = await this.log.append({
      kind: 'plan',
      writer,
      writtenAtMs: clock.nowMs(),
      plan: { number, hash, buildId },
    });
    if (outcome === 'appended') await faultPoint('stage.after-plan');
    return outcome;
  }

  async appendAttempt(record: AttemptRecord): Promise<'appended' | 'conflict'> {
    return (await this.takeTurn()) === 'conflict' ? 'conflict' : this.log.append(record);
  }

  /** Another build goes on with the task: what this process would make of it is of a former plan. */
  #assertTurn(): void {
    this.#assertWhole();
    const { address, plan } = this.#options;
    const known = this.log.plan;
    if (known === null || known.number <= plan.number) return;
    const { hash, number } = known;
    throw fencedBy(generationName(address, this.log.generation), { number, hash }, { ...address });
  }

  /** After the commit: outputs leave, each repeatable from the log. */
  async deliver(): Promise<void> {
    await this.delivery.sendOutbox();
    await this.delivery.flushDue();
  }

  /** What must be so before a commit: earlier outputs have left, and the log has room. */
  async prepare(): Promise<void> {
    this.#assertWhole();
    await this.delivery.sendOutbox();
    await this.#flushFormerTables();
    if (!this.attempts.isNothingSuspected()) return;
    await this.maintenance.step();
    if (this.log.shouldRoll() && (await this.maintenance.roll()) === 'conflict') {
      await this.catchUp();
    }
  }

  /**
   * Rows for tables as a former plan had them leave before this one writes to the log: a snapshot that comes later
   * knows the tables of now alone.
   */
  async #flushFormerTables(): Promise<void> {
    if (!this.#kept.hasOtherTables()) return;
    for (const table of Array.from(this.state.pendingRows.keys())) {
      try {
        await this.delivery.flushTable(table);
      } catch (error) {
        const isHopeless = error instanceof StreamError && error.disposition === 'halt';
        if (!isHopeless || !this.#kept.isTableGivenUp(table)) throw error;
        this.#giveUpRows(table, error);
      }
    }
  }

  #giveUpRows(table: string, error: StreamError): void {
    const rows = this.state.pendingRows.get(table) ?? [];
    this.state.pendingRows.delete(table);
    this.#services.telemetry.emit('error', 'task.rows-given-up', {
      ...this.#options.address,
      table,
      rows: rows.reduce((sum, { count }) => sum + count, 0),
      error: error.message,
    });
  }

  async #finishRoll(): Promise<void> {
    while (this.log.needsRoll) {
      await this.log.finishRoll(this.state.summary, null);
      this.#takeIn(await this.log.catchUp());
    }
  }

  /** Takes in what others appended. Nothing of ours may be half-done. */
  async catchUp(): Promise<void> {
    this.#takeIn(await this.log.catchUp());
    await this.#finishRoll();
    this.#account.holds(this.state.keyed.size);
  }

  /** The program reads its fields anew where the state changed under it: that costs all keys. */
  #takeIn(records: readonly LogRecord[]): void {
    this.#assertWhole();
    if (records.length === 0) return;
    try {
      this.#assertTurn();
      this.#takeInAll(records);
    } catch (error) {
      // The log has handed them over: who uses this hold again would write from a state that lacks them.
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }

  #takeInAll(records: readonly LogRecord[]): void {
    const blob = generationName(this.#options.address, this.log.generation);
    for (const record of records) {
      if (record.kind === 'commit') assertFollows(record, this.state, blob);
      this.state.take(record);
      this.attempts.read(record, this.state.baseCommit);
    }
    this.program.afterRollback();
  }

  /** Whoever waited for its turn on a task that was given up meanwhile fails as the one before did. */
  #assertWhole(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Waits, and says whether nobody has appended meanwhile. Nothing of ours may be half-done. */
  async staysQuiet(milliseconds: number): Promise<boolean> {
    const { generation, position } = this.log;
    await this.#services.sleep(milliseconds);
    await this.catchUp();
    return this.log.generation === generation && this.log.position === position;
  }

  rollback(): void {
    this.state.keyed.rollback(0);
    this.outputs.clear();
    this.program.takeCounters();
    this.program.afterRollback();
  }

  /**
   * False when somebody appended first: what they appended has to leave too.
   * @param prefix of the seal's writer, where it tells why the log ends
   */
  async seal(prefix?: string): Promise<boolean> {
    this.#assertWhole();
    try {
      await this.log.seal(prefix);
      return true;
    } catch (error) {
      if (error instanceof StreamError && error.code === 'STREAM_COMMIT_CONTENDED') return false;
      throw error;
    }
  }
}
