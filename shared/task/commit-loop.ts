import { MessageOpener } from '../ingest/decode';
import type { CommitRecord } from '../model/commit';
import { StreamError } from '../model/errors';
import type { HubMessage } from '../model/ports';
import type { TaskAddress } from '../model/task-address';
import { isLimitOfState } from '../state/state-budget';
import { killedWorker, type Try } from './attempts';
import { cutSmaller, noSuspicion, takenOn, type CommitCut, type TakenOn } from './commit-cut';
import { NextRange } from './next-range';
import { countEvents, runRange } from './run-range';
import type { StageServices } from './services';
import type { DriftGuard } from './source-drift';
import type { CommitMeans, TaskHold, TaskOptions } from './task-hold';
import { noteInput } from './tick';

/**
 * The commit order of one task: messages are taken in, in order and without a hole, until all of them are in
 * the log or the deadline comes. Nobody else may use the hold meanwhile.
 */
export class CommitLoop {
  readonly #address: TaskAddress;
  readonly #hold: TaskHold;
  readonly #options: TaskOptions;
  readonly #services: StageServices;
  readonly #opener: MessageOpener;
  readonly #drift: DriftGuard;
  /** Commits of more events were too large for one append. */
  #eventsThatMayFit = Infinity;

  constructor(options: TaskOptions, hold: TaskHold, drift: DriftGuard) {
    this.#address = options.address;
    this.#hold = hold;
    this.#options = options;
    this.#services = options.services;
    this.#opener = new MessageOpener(options.services.randomness.uniqueId());
    this.#drift = drift;
  }

  /**
   * Commits what is due, and all messages that are not committed yet.
   * @returns false: the rest has to wait, for the deadline has come or time here is too far ahead of others'
   */
  async commitAll(
    messages: readonly HubMessage[],
    deadlineMs: number,
    means: CommitMeans = {},
  ): Promise<boolean> {
    const { clock, limits } = this.#services;
    let conflicts = 0;
    let failures = 0;
    const next = this.nextRange();
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
          { details: { ...this.#address, conflicts } },
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
      telemetry.emit('error', 'task.quarantine', {
        ...this.#address,
        cursor: this.#hold.cursor,
        what,
      });
      const error = killedWorker(what, next.attempts);
      return { messages: 1, eventsMax: 1, quarantineFirst: { what, error } };
    }
    if (next.kind === 'try') {
      if (!(await this.#recordAttempt(next))) return 'conflict';
      if (next.scope !== 'decoding') return takenOn({ ...next, scope: next.scope });
    }
    const [first] = range;
    const { plan } = this.#options.stage;
    const held = first && countEvents({ plan, opener: this.#opener }, first, this.#hold.cursor);
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
      ...({
        kind: 'attempt',
        writer,
        startedAtMs: clock.nowMs(),
        from: this.#hold.cursor,
      } as const),
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
        from: this.#hold.cursor,
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
    telemetry.emit('warn', 'task.retry', { ...this.#address, delayMs, error: error.message });
    await sleep(delayMs);
    await this.#hold.catchUp().catch((cause: unknown) => {
      if (!(cause instanceof StreamError) || cause.code !== 'STREAM_STORE_UNAVAILABLE') throw cause;
      // The log re-reads its tail before the next append: trying again is safe.
      telemetry.emit('warn', 'task.retry', { ...this.#address, error: cause.message });
    });
  }

  nextRange(): NextRange {
    return new NextRange({ address: this.#address, hold: this.#hold, services: this.#services });
  }
}
