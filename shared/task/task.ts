import type { CommitRecord, Cursor } from '../model/commit';
import { StreamError } from '../model/errors';
import type { HubMessage, HubPartitionBounds } from '../model/ports';
import { hubOf } from '../commit-log/incarnations';
import type { Bequest } from '../commit-log/task-log-options';
import { MessageOpener } from '../ingest/decode';
import { killedWorker, type Try } from './attempts';
import { cutSmaller, noSuspicion, takenOn, type CommitCut, type TakenOn } from './commit-cut';
import { lastWriteMs, readIncarnation } from './incarnations';
import { countEvents, runRange } from './run-range';
import type { StageServices } from './services';
import { isLimitOfState } from '../state/state-budget';
import { DriftGuard } from './source-drift';
import { forgetStaleCheckpoint } from './stale-checkpoint';
import { comeToRest } from './rest';
import type { RestFacts } from '../time/claims';
import { endTime, noteInput, tellEnd, tick, type TickRequest, patienceOf } from './tick';
import { NextRange } from './next-range';
import { findBeginning } from './promoted-hub';
import { hubIsBehind, lastReadOf } from './promotion';
import { settleLetters, type SettledLetter, type SettleRequest } from './settle-letters';
import { TaskHold, type CommitMeans, type TaskOptions } from './task-hold';
import type { TaskState } from './task-state';
import type { TaskAddress } from '../model/task-address';

export interface BatchReport {
  readonly committedEvents: number;
  readonly commits: number;
  readonly duplicateMessages: number;
  /** False when the deadline came first: the rest is read from the hub with the next batch. */
  readonly isComplete: boolean;
}

/** What `tend` may do, and until when. */
export interface TendRequest {
  readonly deadlineMs: number;
  readonly isDraining: boolean;
  /** Somebody has found that this task's input waits: it is read however short the wait was. */
  readonly isRecovery?: boolean;
  /** Messages of one read of waiting input: fewer where a larger read has failed. */
  readonly messagesMax?: number;
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
  readonly #hold: TaskHold;
  readonly #options: TaskOptions;
  readonly #services: StageServices;
  readonly #opener: MessageOpener;
  /** Commits of more events were too large for one append. */
  #eventsThatMayFit = Infinity;
  #turn: Promise<unknown> = Promise.resolve();
  /** When input last came to this process, by its clock; 0: never. Idleness is judged by it. */
  #lastInputAtMs = 0;
  readonly #drift: DriftGuard;

  private constructor(options: TaskOptions, hold: TaskHold) {
    this.#hold = hold;
    this.#options = options;
    this.#services = options.services;
    this.#opener = new MessageOpener(options.services.randomness.uniqueId());
    this.address = options.address;
    this.#drift = new DriftGuard(options);
  }

  /** Loads the task from its log. */
  static async open(options: TaskOptions): Promise<Task> {
    return new Task(options, await TaskHold.open(options));
  }

  get cursor(): Cursor {
    return this.#hold.cursor;
  }

  get state(): TaskState {
    return this.#hold.state;
  }

  /** The birth of its log; 0: it has not committed yet. */
  get epoch(): number {
    return this.#hold.state.epoch ?? 0;
  }

  get watermarkMs(): number | null {
    return this.#hold.program.watermarkMs;
  }

  /**
   * Takes in a batch: drops what is committed, reads what is missing before it from the hub, and
   * commits until all of it is in the log or the deadline comes.
   */
  async process(messages: readonly HubMessage[], deadlineMs: number): Promise<BatchReport> {
    return this.#exclusively(async () => {
      const before = { events: this.#hold.state.ledger.read, commit: this.#hold.state.commit };
      const duplicateMessages = messages.length - this.#nextRange().fresh(messages).length;
      if (messages.length > 0) this.#lastInputAtMs = this.#services.clock.nowMs();
      const isComplete = await this.#commitAll(messages, deadlineMs);
      return {
        committedEvents: this.#hold.state.ledger.read - before.events,
        commits: this.#hold.state.commit - before.commit,
        ...{ duplicateMessages, isComplete },
      };
    });
  }

  async #commitAll(
    messages: readonly HubMessage[],
    deadlineMs: number,
    means: CommitMeans = {},
  ): Promise<boolean> {
    const { clock, limits } = this.#services;
    let conflicts = 0;
    let failures = 0;
    const next = this.#nextRange();
    const isLeft = (): boolean => next.isInDoubt(messages) || next.fresh(messages).length > 0;
    while (this.#hold.program.isFiringDue || isLeft()) {
      if (this.#hold.commitsByThisProcess > 0 && clock.nowMs() >= deadlineMs) return false;
      if (!this.#hold.program.isFiringDue && (await this.#drift.mustWait())) return false;
      try {
        await this.#hold.prepare();
        // Where an earlier commit left results due those fire first, alone.
        const { isFiringDue } = this.#hold.program;
        const range = isFiringDue ? [] : await next.of(messages);
        if (range.length === 0 && !isFiringDue) return true;
        const outcome = await this.#commitOnce(range, { deadlineMs, means });
        if (outcome === 'committed') await this.#hold.deliver();
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

  /**
   * The commit order, all of it: attempt (only under suspicion), process, one append; then the
   * outputs leave. Whatever is refused is rolled back and tried again on what the log now says.
   */
  async #commitOnce(
    range: readonly HubMessage[],
    request: { readonly deadlineMs: number; readonly means: CommitMeans },
  ): Promise<'committed' | 'conflict'> {
    const { faultPoint } = this.#services;
    const attempt =
      range.length === 0 ? noSuspicion : await this.#beginAttempt(range, request.deadlineMs);
    if (attempt === 'conflict') return 'conflict';
    await faultPoint('stage.before-process');
    const draft = this.#process(range, { ...request, ...attempt });
    await faultPoint('stage.after-process');
    const outcome = await this.#hold.append(draft);
    if (outcome === 'committed') this.#hold.reports.waited(range);
    return outcome;
  }

  /** Writes the attempt record where suspicion asks for one: before any of the range is decoded. */
  async #beginAttempt(
    range: readonly HubMessage[],
    deadlineMs: number,
  ): Promise<'conflict' | TakenOn> {
    const { clock, limits, telemetry } = this.#services;
    const { attempts } = this.#hold;
    const next = attempts.next(range.length);
    if (next.kind === 'plain') return takenOn(next);
    if (next.kind === 'quarantine') {
      // Whoever tried it last may live and be at it at this moment. A host that ends batches sooner
      // than that would end this process too, again and again.
      const waitMs = Math.min(
        limits.quarantineAfterMs,
        Math.floor((deadlineMs - clock.nowMs()) / 2),
      );
      if (!(await this.#hold.staysQuiet(Math.max(0, waitMs)))) return 'conflict';
      const { what } = next;
      telemetry.emit('error', 'task.quarantine', { ...this.address, cursor: this.cursor, what });
      const error = killedWorker(what, next.attempts);
      return { messages: 1, eventsMax: 1, quarantineFirst: { what, error } };
    }
    if (next.kind === 'try') {
      if (!(await this.#recordAttempt(next))) return 'conflict';
      if (next.scope !== 'decoding') return takenOn({ ...next, scope: next.scope });
    }
    const [first] = range;
    const { plan } = this.#options.stage;
    const held = first && countEvents({ plan, opener: this.#opener }, first, this.cursor);
    const events = attempts.counted(held ?? 0);
    if (!(await this.#recordAttempt(events))) return 'conflict';
    return takenOn({ scope: 'events', count: events.count });
  }

  /** False when somebody else has written to the log. */
  async #recordAttempt({
    attempt,
    count,
    scope,
    suspectEvents,
    suspectMessages,
  }: Try): Promise<boolean> {
    const { clock, faultPoint, writer } = this.#services;
    await faultPoint('stage.before-attempt');
    const record = {
      ...({ kind: 'attempt', writer, startedAtMs: clock.nowMs(), from: this.cursor } as const),
      ...{ attempt, scope, count, suspectMessages, suspectEvents },
    };
    if ((await this.#hold.appendAttempt(record)) === 'conflict') {
      await this.#hold.catchUp();
      return false;
    }
    this.#hold.attempts.began(record);
    await faultPoint('stage.after-attempt');
    return true;
  }

  /** Runs the range and encodes its commit, cutting it smaller until the record fits one append. */
  #process(
    range: readonly HubMessage[],
    run: TakenOn & { deadlineMs: number; means: CommitMeans },
  ): CommitRecord {
    const { clock, limits } = this.#services;
    const bytesMax = limits.log.blockBytesMax;
    let cut: CommitCut = {
      eventsMax: Math.min(run.eventsMax, this.#eventsThatMayFit),
      resultsMax: limits.firedResultsMax,
      quarantineFirst: run.quarantineFirst,
      refuseFirstResult: null,
    };
    this.#hold.outputs.attempts = this.#hold.attempts.attemptNumber();
    const processingTimeMs = clock.nowMs();
    for (;;) {
      this.#hold.program.beginCommit(cut.resultsMax, cut.refuseFirstResult);
      const result = runRange({
        plan: this.#options.stage.plan,
        program: this.#hold.program,
        producers: this.#hold.producers,
        topologyVersion: this.#hold.topologyVersion,
        outputs: this.#hold.outputs,
        opener: this.#opener,
        clock,
        messages: range.slice(0, run.messages),
        from: this.cursor,
        eventsMax: cut.eventsMax,
        deadlineMs: run.deadlineMs,
        quarantineFirst: cut.quarantineFirst,
        gapReason: 'retention',
      });
      const last = result.messages > 0 ? range[result.messages - 1] : undefined;
      noteInput(this.#hold, this.#options.stage.plan, last, clock.nowMs());
      const content = {
        ...{ ...result, processingTimeMs },
        firstEnqueuedAtMs: last === undefined ? null : (range[0]?.enqueuedTimeMs ?? null),
        lastEnqueuedAtMs: last?.enqueuedTimeMs ?? null,
      };
      const draft = this.#hold.draft(content, 'events', run.means);
      if (draft !== null) {
        // The next commit need not find it out again; what it holds may be smaller.
        if (cut.eventsMax < run.eventsMax) this.#eventsThatMayFit = 2 * cut.eventsMax;
        return draft;
      }
      this.#hold.rollback();
      cut = cutSmaller(cut, { events: result.events, bytesMax });
    }
  }

  async #recoverFrom(
    error: unknown,
    wait: { failures: number; deadlineMs: number },
  ): Promise<void> {
    this.#hold.rollback();
    const { clock, limits, sleep, telemetry } = this.#services;
    // Whoever waits with the batch keeps the worker from the tasks that would make room.
    if (isLimitOfState(error)) throw error;
    const isRetried = error instanceof StreamError && error.disposition === 'retry';
    const delayMs = Math.min(
      limits.retryLastDelayMs,
      limits.retryFirstDelayMs * 2 ** (wait.failures - 1),
    );
    if (!isRetried || clock.nowMs() + delayMs >= wait.deadlineMs) throw error;
    telemetry.emit('warn', 'task.retry', { ...this.address, delayMs, error: error.message });
    await sleep(delayMs);
    await this.#hold.catchUp().catch((cause: unknown) => {
      if (!(cause instanceof StreamError) || cause.code !== 'STREAM_STORE_UNAVAILABLE') throw cause;
      // The log re-reads its tail before the next append: trying again is safe.
      telemetry.emit('warn', 'task.retry', { ...this.address, error: cause.message });
    });
  }

  /**
   * What time asks for: due flushes, idleness of a source (a journalled tick), and input that
   * waits although nobody commits it. Repeatable by anyone at any time. Returns true when another
   * process has been committing to this task.
   */
  async tend(request: TendRequest): Promise<boolean> {
    return this.#exclusively(async () => {
      await this.#hold.prepare();
      await this.#hold.maintenance.stepWhileQuiet();
      await this.#hold.delivery.flushDue();
      const { hub, limits } = this.#services;
      const quietMs = await this.#quietMs();
      const patienceMs = patienceOf(this.#options.stage.plan, limits);
      const { isDraining, isRecovery = false } = request;
      const isReleased = await this.#drift.isReleased();
      if (quietMs < patienceMs && !isDraining && !isRecovery && !isReleased) return false;
      const commitBefore = this.#hold.state.commit;
      await this.#hold.catchUp();
      if (this.#hold.state.commit > commitBefore) return true;
      const asOfMs = this.#services.clock.nowMs();
      const bounds = await hub.bounds(this.address.partition);
      await this.#assertHubGoesOn(bounds);
      const last = bounds.isEmpty ? -1 : bounds.lastSequenceNumber;
      if (last >= this.cursor.sequenceNumber) {
        const isStalled = quietMs >= limits.stallAfterMs || isRecovery || isReleased;
        if (isStalled) await this.#readStalled(last, request);
      } else {
        // What a batch or a tick made due and had no time to fire: no input may come to do it.
        await this.#commitAll([], request.deadlineMs);
        await this.#moveTime({ quietMs, asOfMs, ...request });
        if (isDraining) await this.#hold.delivery.flushAll();
        await comeToRest(this.#hold, this.#options.stage.plan);
      }
      return false;
    });
  }

  /**
   * Whether this task may be claimed to be idle: what others have committed is taken in first. Null: it has
   * something to do, or is not quiet.
   */
  async restFacts(): Promise<RestFacts | null> {
    return this.#exclusively(async () => {
      await this.#hold.catchUp();
      const isQuiet = (await this.#quietMs()) >= this.#services.limits.claimEveryMs / 2;
      return isQuiet ? this.#hold.restFacts() : null;
    });
  }

  /** Time since input last came or was committed; in a log without a commit, since it was begun. */
  async #quietMs(): Promise<number> {
    const { appends, clock } = this.#services;
    const lastMs = Math.max(this.#lastInputAtMs, this.#hold.state.lastCommittedAtMs);
    return clock.nowMs() - (lastMs > 0 ? lastMs : await lastWriteMs(appends, this.address));
  }

  /** A partition that brings nothing may have lost its tail with the region that it was in. */
  async #assertHubGoesOn(bounds: HubPartitionBounds): Promise<void> {
    if (hubIsBehind(bounds, this.#hold.state.summary)) await this.#nextRange().assertLastHeld();
  }

  #nextRange(): NextRange {
    return new NextRange({ address: this.address, hold: this.#hold, services: this.#services });
  }

  async #readStalled(lastSequenceNumber: number, request: TendRequest): Promise<void> {
    const { clock, hub, limits, telemetry } = this.#services;
    const { deadlineMs, messagesMax = limits.gapReadMessagesMax } = request;
    if (await this.#drift.mustWait()) return;
    telemetry.emit('warn', 'task.stalled', {
      ...this.address,
      cursor: this.cursor,
      lastSequenceNumber,
    });
    await forgetStaleCheckpoint({ ...this.#services, address: this.address });
    while (this.cursor.sequenceNumber <= lastSequenceNumber && clock.nowMs() < deadlineMs) {
      const messages = await readIncarnation(hub, this.address, {
        partitionId: this.address.partition,
        firstSequenceNumber: this.cursor.sequenceNumber,
        lastSequenceNumber,
        messagesMax,
      });
      if (messages.length === 0) return;
      if (!(await this.#commitAll(messages, deadlineMs))) return;
    }
  }

  async #moveTime(request: TickRequest & { readonly isDraining: boolean }): Promise<void> {
    const { plan } = this.#options.stage;
    const means = request.isDraining
      ? await endTime(this.#hold, plan)
      : await tick(this.#hold, plan, request);
    // What the tick made due fires in commits of its own, as many as it takes.
    if (means !== null) await this.#commitAll([], request.deadlineMs, means);
  }

  /** Redrives or discards dead letters of this task; see settle-letters.ts. */
  async settleLetters(request: SettleRequest): Promise<readonly SettledLetter[]> {
    return this.#exclusively(() =>
      settleLetters(this.#hold, { ...request, plan: this.#options.stage.plan }, this.#services),
    );
  }

  /** This process no longer works on the task: others may have its memory. */
  readonly letGo = (): void => this.#hold.letGo();

  /** Outputs leave and the log is left ready: for a drain or before the task is let go. */
  async close(): Promise<void> {
    await this.#exclusively(() => this.#hold.delivery.sendOutbox());
  }

  /** Its hub was promoted and its life has ended: another one goes on with what it holds. */
  get isEndedByPromotion(): boolean {
    return this.#hold.log.isEndedByPromotion;
  }

  /**
   * Ends this life's log and hands its state on; outputs leave first. May be repeated.
   * @param incarnation of the heir: on the same hub it goes on where that, promoted, has what was not read
   */
  async bequeath(incarnation: string): Promise<Bequest | null> {
    return this.#exclusively(async () => {
      for (let isSealed = false; !isSealed;) {
        await this.#hold.catchUp();
        await this.#hold.delivery.sendOutbox();
        await this.#hold.delivery.flushAll();
        isSealed = await this.#hold.seal();
      }
      const { cursor, state } = this.#hold;
      const isSameHub = hubOf(incarnation) === hubOf(this.address.incarnation);
      if (!isSameHub) return state.bequestToNewHub();
      const { clock, hub } = this.#services;
      const last = lastReadOf(state.summary);
      const beginning = await findBeginning(hub, this.address, { last, cursor });
      return state.bequestToPromotedHub(beginning, clock.nowMs());
    });
  }

  /**
   * Ends the log of a partition that is no more: its windows close, its outputs leave, and consumers
   * need not wait for it again. May be repeated.
   */
  async end(): Promise<void> {
    await this.#exclusively(async () => {
      const { clock } = this.#services;
      for (let isSealed = false; !isSealed;) {
        await this.#hold.catchUp();
        if (!this.#hold.log.isEnded) {
          await this.#hold.prepare();
          await endTime(this.#hold, this.#options.stage.plan, { isEnding: true });
          while (this.#hold.program.isFiringDue) {
            await this.#commitAll([], clock.nowMs(), { isEnding: true });
          }
          await tellEnd(this.#hold);
        }
        await this.#hold.delivery.sendOutbox();
        await this.#hold.delivery.flushAll();
        isSealed = await this.#hold.seal();
      }
    });
  }

  /**
   * One at a time: the host's batch, a tend, a close. What one of them gathered and could not commit
   * is not for the next, which may be waiting already.
   */
  async #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const run = async (): Promise<Result> => {
      try {
        return await work();
      } catch (error) {
        this.#hold.rollback();
        throw error;
      }
    };
    const turn = this.#turn.then(run, run);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
