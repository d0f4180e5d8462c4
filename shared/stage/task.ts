import { TaskLog } from '../commit-log/task-log';
import { emptyLedger } from '../model/commit';
import type { CommitRecord, Cursor, Gap, LogRecord, WatermarkReason } from '../model/commit';
import { StreamError } from '../model/errors';
import type { HubMessage } from '../model/ports';
import type { Program } from '../model/program';
import { Producers } from '../exchange/producers';
import { Attempts } from './attempts';
import { BatchOutputs } from './batch-outputs';
import { Delivery } from './delivery';
import { encodeDraft, type Draft } from './draft';
import { countEvents, runRange } from './run-range';
import type { CompiledStage, StageServices } from './services';
import { TaskState } from './task-state';

/** The watermark of a drained topology: no event is older than this. */
export const drainedWatermarkMs = Number.MAX_SAFE_INTEGER;
const idleDoublingsMax = 10;
const noSuspicion = { eventsMax: Infinity, quarantineFirst: null };

export interface TaskAddress {
  readonly topology: string;
  readonly stage: string;
  /** The input hub's creation time, 15 digits, so that names sort by age. */
  readonly incarnation: string;
  readonly partition: string;
}

export interface BatchReport {
  readonly committedEvents: number;
  readonly commits: number;
  readonly duplicateMessages: number;
  /** False when the deadline came first: the rest is read from the hub with the next batch. */
  readonly isComplete: boolean;
}

/** What a task is opened with. */
export interface TaskOptions {
  readonly stage: CompiledStage;
  readonly address: TaskAddress;
  readonly services: StageServices;
  /** Tasks of this stage: consumers of its exchanges wait for all of them. */
  readonly taskCount: number;
  readonly exchangePartitionCounts: readonly number[];
  /** Where a task without a commit begins. */
  readonly firstSequenceNumber: number;
  /** State of an earlier incarnation to begin with. */
  readonly inherited: Uint8Array | null;
}

/**
 * One stage × one hub partition: the unit of order, state, commit and recovery. Any number of
 * processes may hold the same task at once: the log's append position decides whose commit counts.
 *
 * Delivery: each input event takes effect exactly once in state, tables and ledger; exchange
 * messages are sent at least once and admitted once by their ordinals.
 */
export class Task {
  readonly address: TaskAddress;
  readonly #options: TaskOptions;
  readonly #services: StageServices;
  readonly #log: TaskLog;
  #state: TaskState;
  #program: Program;
  #outputs: BatchOutputs;
  #producers: Producers;
  readonly #attempts: Attempts;
  #delivery: Delivery;
  #turn: Promise<unknown> = Promise.resolve();
  /** When input last came, by this process's clock: idleness is judged by it. */
  #lastInputAtMs: number;
  #commitsByThisProcess = 0;

  private constructor(options: TaskOptions, log: TaskLog, state: TaskState) {
    this.#options = options;
    this.#services = options.services;
    this.address = options.address;
    this.#log = log;
    this.#attempts = new Attempts(options.services.writer);
    this.#lastInputAtMs = options.services.clock.nowMs();
    this.#state = state;
    const bound = this.#bind(state);
    this.#outputs = bound.outputs;
    this.#program = bound.program;
    this.#producers = bound.producers;
    this.#delivery = bound.delivery;
  }

  /** Loads the task from its log (snapshot, then tail), finishing what a dead worker left half-done. */
  static async open(options: TaskOptions): Promise<Task> {
    const { address, services, stage } = options;
    const log = await TaskLog.open({
      appends: services.appends,
      objects: services.objects,
      clock: services.clock,
      path: address,
      writer: services.writer,
      limits: services.limits.log,
      faultPoint: services.faultPoint,
      telemetry: services.telemetry,
      initialSnapshot: options.inherited,
    });
    const loaded = await log.load();
    const task = new Task(options, log, TaskState.fromSnapshot(stage.plan, loaded.snapshot));
    task.#apply(loaded.records);
    task.#program.afterRollback();
    await task.#finishRoll();
    services.telemetry.emit('info', 'task.opened', {
      ...address,
      commit: task.#state.commit,
      records: loaded.records.length,
    });
    return task;
  }

  get cursor(): Cursor {
    return this.#state.cursor ?? { sequenceNumber: this.#options.firstSequenceNumber, index: 0 };
  }

  get state(): TaskState {
    return this.#state;
  }

  get watermarkMs(): number | null {
    return this.#program.watermarkMs;
  }

  /**
   * Takes in a batch: drops what is committed, reads what is missing before it from the hub, and
   * commits until all of it is in the log or the deadline comes.
   */
  async process(messages: readonly HubMessage[], deadlineMs: number): Promise<BatchReport> {
    return this.#exclusively(async () => {
      const before = { events: this.#state.ledger.read, commit: this.#state.commit };
      const duplicateMessages = messages.length - this.#fresh(messages).length;
      if (messages.length > 0) this.#lastInputAtMs = this.#services.clock.nowMs();
      const isComplete = await this.#commitAll(messages, deadlineMs);
      return {
        committedEvents: this.#state.ledger.read - before.events,
        commits: this.#state.commit - before.commit,
        duplicateMessages,
        isComplete,
      };
    });
  }

  async #commitAll(messages: readonly HubMessage[], deadlineMs: number): Promise<boolean> {
    const { clock, limits } = this.#services;
    let conflicts = 0;
    let failures = 0;
    while (this.#program.isFiringDue || this.#fresh(messages).length > 0) {
      if (this.#commitsByThisProcess > 0 && clock.nowMs() >= deadlineMs) return false;
      try {
        await this.#prepare();
        const outcome = await this.#commitOnce(await this.#nextRange(messages), deadlineMs);
        if (outcome === 'committed') await this.#deliver();
        else conflicts += 1;
        failures = 0;
      } catch (error) {
        failures += 1;
        await this.#recoverFrom(error, { failures, deadlineMs });
      }
      if (conflicts > limits.commitConflictsMax) {
        throw new StreamError(
          'STREAM_COMMIT_CONTENDED',
          'others keep winning the tail of this log',
          { details: { ...this.address, conflicts } },
        );
      }
    }
    return true;
  }

  /** What must be so before a commit: earlier outputs have left, and the log has room. */
  async #prepare(): Promise<void> {
    await this.#delivery.sendOutbox();
    if (this.#log.shouldRoll()) await this.#roll();
  }

  /** The messages of the next commit; none when due windows alone are left. */
  async #nextRange(messages: readonly HubMessage[]): Promise<readonly HubMessage[]> {
    const fresh = this.#fresh(messages);
    return fresh.length === 0 ? [] : this.#contiguous(fresh);
  }

  /** Messages that are not wholly committed. */
  #fresh(messages: readonly HubMessage[]): readonly HubMessage[] {
    const { sequenceNumber } = this.cursor;
    const first = messages[0];
    if (first === undefined || first.sequenceNumber >= sequenceNumber) return messages;
    return messages.filter((message) => message.sequenceNumber >= sequenceNumber);
  }

  /** The batch itself, or what is missing before it: read from the hub, for the host skipped it. */
  async #contiguous(fresh: readonly HubMessage[]): Promise<readonly HubMessage[]> {
    const first = fresh[0];
    const { sequenceNumber } = this.cursor;
    if (first === undefined || first.sequenceNumber <= sequenceNumber) return fresh;
    const missing = await this.#services.hub.read({
      partitionId: this.address.partition,
      firstSequenceNumber: sequenceNumber,
      lastSequenceNumber: first.sequenceNumber - 1,
      messagesMax: this.#services.limits.gapReadMessagesMax,
    });
    const wanted = missing.filter((message) => message.sequenceNumber < first.sequenceNumber);
    this.#services.telemetry.emit('warn', 'task.gap', {
      ...this.address,
      fromSequenceNumber: sequenceNumber,
      toSequenceNumber: first.sequenceNumber - 1,
      foundMessages: wanted.length,
    });
    return wanted.length > 0 ? wanted : fresh;
  }

  /**
   * The commit order, all of it: attempt (only under suspicion), process, one append; then the
   * outputs leave. Whatever is refused is rolled back and tried again on what the log now says.
   */
  async #commitOnce(
    range: readonly HubMessage[],
    deadlineMs: number,
  ): Promise<'committed' | 'conflict'> {
    const { faultPoint } = this.#services;
    const attempt = range.length === 0 ? noSuspicion : await this.#beginAttempt(range);
    if (attempt === 'conflict') return 'conflict';
    await faultPoint('stage.before-process');
    const draft = this.#process(range, { deadlineMs, ...attempt });
    await faultPoint('stage.after-process');
    return this.#append(draft);
  }

  /** Writes the attempt record where suspicion asks for one. */
  async #beginAttempt(
    range: readonly HubMessage[],
  ): Promise<'conflict' | { eventsMax: number; quarantineFirst: StreamError | null }> {
    const { clock, faultPoint, telemetry, writer } = this.#services;
    // Counting decodes: it is done only when a record may have to be written.
    const available = this.#attempts.isSettled()
      ? Infinity
      : Math.max(1, countEvents(this.#options.stage.plan, range, this.cursor));
    const next = this.#attempts.next(available);
    if (next.kind === 'plain') return { eventsMax: next.events, quarantineFirst: null };
    if (next.kind === 'quarantine') {
      const message = `the worker died in each of ${next.attempts} attempts; this event was alone in the last`;
      telemetry.emit('error', 'task.quarantine', { ...this.address, cursor: this.cursor });
      return {
        eventsMax: 1,
        quarantineFirst: new StreamError('STREAM_EVENT_KILLED_WORKER', message),
      };
    }
    await faultPoint('stage.before-attempt');
    const record = {
      kind: 'attempt',
      writer,
      startedAtMs: clock.nowMs(),
      from: this.cursor,
      events: next.events,
      attempt: next.attempt,
      suspectEvents: next.suspectEvents,
    } as const;
    if ((await this.#log.append(record)) === 'conflict') {
      await this.#catchUp();
      return 'conflict';
    }
    this.#attempts.began(record);
    await faultPoint('stage.after-attempt');
    return { eventsMax: next.events, quarantineFirst: null };
  }

  /** Runs the range and encodes its commit, halving it until the record fits one append. */
  #process(
    range: readonly HubMessage[],
    run: { deadlineMs: number; eventsMax: number; quarantineFirst: StreamError | null },
  ): Draft {
    const { clock, limits } = this.#services;
    let { eventsMax, quarantineFirst } = run;
    let resultsMax = limits.firedResultsMax;
    this.#outputs.attempts = this.#attempts.attemptNumber();
    for (;;) {
      this.#program.beginCommit(resultsMax);
      const result = runRange({
        plan: this.#options.stage.plan,
        program: this.#program,
        producers: this.#producers,
        outputs: this.#outputs,
        clock,
        messages: range,
        from: this.cursor,
        eventsMax,
        deadlineMs: run.deadlineMs,
        quarantineFirst,
        gapReason: 'retention',
      });
      const draft = this.#draft(result, 'events');
      if (draft.bytes <= limits.log.blockBytesMax) return draft;
      this.#rollback();
      if (result.events > 1) {
        eventsMax = Math.ceil(result.events / 2);
      } else if (resultsMax > 1) {
        resultsMax = Math.ceil(resultsMax / 4);
      } else {
        quarantineFirst = new StreamError(
          'STREAM_EVENT_TOO_LARGE',
          `what this one event makes takes ${draft.bytes} bytes, a commit holds ${limits.log.blockBytesMax}`,
        );
      }
    }
  }

  /** Encodes what was gathered as the next commit. */
  #draft(
    result: Pick<CommitRecord, 'to' | 'messages' | 'inputHash' | 'ledger' | 'gaps'>,
    reason: WatermarkReason,
    isIdle = false,
  ): Draft {
    this.#program.beforeCommit();
    return encodeDraft({
      task: this.#state,
      outputs: this.#outputs,
      producer: {
        producer: `${this.address.stage}/${this.address.partition}`,
        producers: this.#options.taskCount,
      },
      services: this.#services,
      result,
      from: this.cursor,
      watermarkMs: this.#program.watermarkMs,
      watermarkReason: reason,
      isIdle,
    });
  }

  async #append(draft: Draft): Promise<'committed' | 'conflict'> {
    if ((await this.#log.append(draft.record)) === 'conflict') {
      this.#rollback();
      await this.#catchUp();
      return 'conflict';
    }
    this.#state.settleCommit(draft.record, draft.rows);
    this.#outputs.clear();
    this.#attempts.applyCommit(draft.record.ledger.read);
    this.#commitsByThisProcess += 1;
    this.#assertStateFits();
    await this.#services.faultPoint('stage.after-commit');
    return 'committed';
  }

  /** After the commit: outputs leave, each repeatable from the log. */
  async #deliver(): Promise<void> {
    await this.#delivery.sendOutbox();
    await this.#delivery.flushDue();
  }

  async #roll(): Promise<void> {
    // A generation opens with nothing owed: outputs leave before the snapshot is taken.
    await this.#delivery.sendOutbox();
    await this.#delivery.flushAll();
    const outcome = await this.#log.roll(() => this.#state.snapshot());
    if (outcome === 'conflict') await this.#catchUp();
    else await this.#retireOld();
  }

  /** Deletes generations that are past their retention: nothing in them is owed since the roll. */
  async #retireOld(): Promise<void> {
    const { clock, limits } = this.#services;
    for (const { generation, modifiedAtMs } of await this.#log.formerGenerations()) {
      if (clock.nowMs() - modifiedAtMs >= limits.logRetentionMs) await this.#log.retire(generation);
    }
  }

  async #finishRoll(): Promise<void> {
    while (this.#log.needsRoll) {
      await this.#delivery.sendOutbox();
      await this.#delivery.flushAll();
      await this.#log.finishRoll(this.#state.snapshot());
      this.#apply(await this.#log.catchUp());
    }
  }

  /** Takes in what others appended. Nothing of ours may be half-done. */
  async #catchUp(): Promise<void> {
    this.#apply(await this.#log.catchUp());
    this.#program.afterRollback();
    await this.#finishRoll();
  }

  #apply(records: readonly LogRecord[]): void {
    for (const record of records) {
      if (record.kind === 'commit') {
        this.#state.applyCommit(record);
        this.#attempts.applyCommit(record.ledger.read);
      } else if (record.kind === 'attempt') {
        this.#attempts.applyAttempt(record);
      }
    }
  }

  #rollback(): void {
    this.#state.keyed.rollback(0);
    this.#outputs.clear();
    this.#program.afterRollback();
  }

  async #recoverFrom(
    error: unknown,
    wait: { failures: number; deadlineMs: number },
  ): Promise<void> {
    this.#rollback();
    const { clock, limits, sleep, telemetry } = this.#services;
    // Contended: this view of the log is useless, the runtime opens the task anew.
    const isTransient =
      error instanceof StreamError &&
      error.disposition === 'retry' &&
      error.code !== 'STREAM_COMMIT_CONTENDED';
    const delayMs = Math.min(
      limits.retryLastDelayMs,
      limits.retryFirstDelayMs * 2 ** (wait.failures - 1),
    );
    if (!isTransient || clock.nowMs() + delayMs >= wait.deadlineMs) throw error;
    telemetry.emit('warn', 'task.retry', { ...this.address, delayMs, error: error.message });
    await sleep(delayMs);
    await this.#catchUp().catch((cause: unknown) => {
      if (!(cause instanceof StreamError) || cause.code !== 'STREAM_STORE_UNAVAILABLE') throw cause;
      // The log re-reads its tail before the next append: trying again is safe.
      telemetry.emit('warn', 'task.retry', { ...this.address, error: cause.message });
    });
  }

  #assertStateFits(): void {
    const { stateKeysMax } = this.#services.limits;
    const keys = this.#state.keyed.keyCount();
    if (keys <= stateKeysMax) return;
    throw new StreamError(
      'STREAM_STATE_TOO_LARGE',
      `this task holds ${keys} keys, ${stateKeysMax} are allowed: use more partitions, shorter windows or a lower lateness`,
      { details: { ...this.address } },
    );
  }

  /**
   * What time asks for: due flushes, idleness of a source (a journalled tick), and input that
   * waits although nobody commits it. Repeatable by anyone at any time. Returns true when another
   * process has been committing to this task.
   */
  async tend(request: { deadlineMs: number; isDraining: boolean }): Promise<boolean> {
    return this.#exclusively(async () => {
      await this.#prepare();
      await this.#delivery.flushDue();
      const { clock, hub, limits } = this.#services;
      const quietMs = clock.nowMs() - Math.max(this.#lastInputAtMs, this.#state.lastCommittedAtMs);
      const patienceMs = Math.min(limits.stallAfterMs, this.#options.stage.plan.idleAfterMs);
      if (quietMs < patienceMs && !request.isDraining) return false;
      const commitBefore = this.#state.commit;
      await this.#catchUp();
      if (this.#state.commit > commitBefore) return true;
      const bounds = await hub.bounds(this.address.partition);
      const last = bounds.isEmpty ? -1 : bounds.lastSequenceNumber;
      if (last >= this.cursor.sequenceNumber) {
        if (quietMs >= limits.stallAfterMs) await this.#readStalled(last, request.deadlineMs);
      } else {
        await this.#tick({ quietMs, ...request });
        if (request.isDraining) await this.#delivery.flushAll();
      }
      return false;
    });
  }

  async #readStalled(lastSequenceNumber: number, deadlineMs: number): Promise<void> {
    const { hub, limits, telemetry } = this.#services;
    telemetry.emit('warn', 'task.stalled', {
      ...this.address,
      cursor: this.cursor,
      lastSequenceNumber,
    });
    const messages = await hub.read({
      partitionId: this.address.partition,
      firstSequenceNumber: this.cursor.sequenceNumber,
      lastSequenceNumber,
      messagesMax: limits.gapReadMessagesMax,
    });
    await this.#commitAll(messages, deadlineMs);
  }

  /**
   * Moves a quiet source's watermark by wall clock, and says so in the log. Ticks that follow each
   * other without input between them come at doubled intervals: an idle task costs little.
   */
  async #tick(request: {
    quietMs: number;
    isDraining: boolean;
    deadlineMs: number;
  }): Promise<void> {
    const { plan } = this.#options.stage;
    const isDrained = this.#program.watermarkMs === drainedWatermarkMs;
    if (plan.input.kind !== 'source' || isDrained) return;
    const ticks = this.#state.keyed.store<{ atCommit: number; count: number }>('$tick');
    const last = ticks.get('last');
    const count = last?.atCommit === this.#state.commit ? last.count : 0;
    const waitMs = plan.idleAfterMs * 2 ** Math.min(count, idleDoublingsMax);
    if (!request.isDraining && request.quietMs < waitMs) return;
    ticks.put('last', { atCommit: this.#state.commit + 1, count: count + 1 });
    this.#program.beginCommit(0);
    const { eventTimeMaxMs, watermarkMs } = this.#program;
    if (request.isDraining) {
      this.#program.advanceWatermark(drainedWatermarkMs);
    } else if (eventTimeMaxMs !== null) {
      this.#program.advanceWatermark(Math.max(eventTimeMaxMs, watermarkMs ?? 0) + request.quietMs);
    }
    const nothing = { messages: 0, inputHash: 0, ledger: emptyLedger, gaps: [] as Gap[] };
    const reason = request.isDraining ? 'drain' : 'idle';
    const draft = this.#draft({ to: this.cursor, ...nothing }, reason, true);
    if ((await this.#append(draft)) === 'committed') await this.#deliver();
    // What the tick made due fires in commits of its own, as many as it takes.
    await this.#commitAll([], request.deadlineMs);
  }

  /** Outputs leave and the log is left ready: for a drain or before the task is let go. */
  async close(): Promise<void> {
    await this.#exclusively(() => this.#delivery.sendOutbox());
  }

  /** Ends this incarnation's log and hands its state on; outputs leave first. May be repeated. */
  async bequeath(): Promise<Uint8Array> {
    return this.#exclusively(async () => {
      for (let isSealed = false; !isSealed;) {
        await this.#catchUp();
        await this.#delivery.sendOutbox();
        await this.#delivery.flushAll();
        isSealed = await this.#seal();
      }
      this.#state.cursor = null;
      return this.#state.snapshot();
    });
  }

  /** False when somebody appended first: what they appended has to leave too. */
  async #seal(): Promise<boolean> {
    try {
      await this.#log.seal();
      return true;
    } catch (error) {
      if (error instanceof StreamError && error.code === 'STREAM_COMMIT_CONTENDED') return false;
      throw error;
    }
  }

  #bind(state: TaskState): {
    outputs: BatchOutputs;
    program: Program;
    producers: Producers;
    delivery: Delivery;
  } {
    const { stage, exchangePartitionCounts } = this.#options;
    const outputs = new BatchOutputs(stage.plan, state.keyed, exchangePartitionCounts);
    return {
      outputs,
      program: stage.bind(state.keyed, outputs),
      producers: new Producers(state.keyed),
      delivery: new Delivery({
        address: this.address,
        plan: stage.plan,
        state,
        services: this.#services,
      }),
    };
  }

  /** One at a time: the host's batch, a tend, a close. */
  async #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
