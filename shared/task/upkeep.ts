import { hubOf } from '../commit-log/incarnations';
import type { Bequest } from '../commit-log/task-log-options';
import type { HubPartitionBounds } from '../model/ports';
import type { StagePlan } from '../model/program';
import type { TaskAddress } from '../model/task-address';
import type { CommitLoop } from './commit-loop';
import { lastWriteMs, readIncarnation } from './incarnations';
import { findBeginning } from './promoted-hub';
import { hubIsBehind, lastReadOf } from './promotion';
import { comeToRest } from './rest';
import type { StageServices } from './services';
import type { DriftGuard } from './source-drift';
import { forgetStaleCheckpoint } from './stale-checkpoint';
import type { TaskHold, TaskOptions } from './task-hold';
import { endTime, patienceOf, tellEnd, tick, type TickRequest } from './tick';

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
 * What a task asks for beside its input: time moves on, rows and messages leave, input that nobody commits is
 * read, and a log comes to its end. Nobody else may use the hold meanwhile.
 */
export class Upkeep {
  readonly #address: TaskAddress;
  readonly #hold: TaskHold;
  readonly #loop: CommitLoop;
  readonly #drift: DriftGuard;
  readonly #plan: StagePlan;
  readonly #services: StageServices;
  /** When input last came to this process, by its clock; 0: never. Idleness is judged by it. */
  #lastInputAtMs = 0;

  constructor(
    options: TaskOptions,
    hold: TaskHold,
    parts: { readonly loop: CommitLoop; readonly drift: DriftGuard },
  ) {
    this.#address = options.address;
    this.#hold = hold;
    this.#loop = parts.loop;
    this.#drift = parts.drift;
    this.#plan = options.stage.plan;
    this.#services = options.services;
  }

  inputCame(): void {
    this.#lastInputAtMs = this.#services.clock.nowMs();
  }

  /**
   * What time asks for: due flushes, idleness of a source (a journalled tick), and input that
   * waits although nobody commits it. Repeatable by anyone at any time. Returns true when another
   * process has been committing to this task.
   */
  async tend(request: TendRequest): Promise<boolean> {
    await this.#hold.prepare();
    await this.#hold.maintenance.stepWhileQuiet();
    await this.#hold.delivery.flushDue();
    const { hub, limits } = this.#services;
    const quietMs = await this.quietMs();
    const patienceMs = patienceOf(this.#plan, limits);
    const { isDraining, isRecovery = false } = request;
    const isReleased = await this.#drift.isReleased();
    if (quietMs < patienceMs && !isDraining && !isRecovery && !isReleased) return false;
    const commitBefore = this.#hold.state.commit;
    await this.#hold.catchUp();
    if (this.#hold.state.commit > commitBefore) return true;
    const asOfMs = this.#services.clock.nowMs();
    const bounds = await hub.bounds(this.#address.partition);
    await this.#assertHubGoesOn(bounds);
    const last = bounds.isEmpty ? -1 : bounds.lastSequenceNumber;
    if (last >= this.#hold.cursor.sequenceNumber) {
      const isStalled = quietMs >= limits.stallAfterMs || isRecovery || isReleased;
      if (isStalled) await this.#readStalled(last, request);
    } else {
      // What a batch or a tick made due and had no time to fire: no input may come to do it.
      await this.#loop.commitAll([], request.deadlineMs);
      await this.#moveTime({ quietMs, asOfMs, ...request });
      if (isDraining) await this.#hold.delivery.flushAll();
      await comeToRest(this.#hold, this.#plan);
    }
    return false;
  }

  /** Time since input last came or was committed; in a log without a commit, since it was begun. */
  async quietMs(): Promise<number> {
    const { appends, clock } = this.#services;
    const lastMs = Math.max(this.#lastInputAtMs, this.#hold.state.lastCommittedAtMs);
    return clock.nowMs() - (lastMs > 0 ? lastMs : await lastWriteMs(appends, this.#address));
  }

  /** A partition that brings nothing may have lost its tail with the region that it was in. */
  async #assertHubGoesOn(bounds: HubPartitionBounds): Promise<void> {
    if (hubIsBehind(bounds, this.#hold.state.summary))
      await this.#loop.nextRange().assertLastHeld();
  }

  async #readStalled(lastSequenceNumber: number, request: TendRequest): Promise<void> {
    const { clock, hub, limits, telemetry } = this.#services;
    const { deadlineMs, messagesMax = limits.gapReadMessagesMax } = request;
    if (await this.#drift.mustWait()) return;
    telemetry.emit('warn', 'task.stalled', {
      ...this.#address,
      cursor: this.#hold.cursor,
      lastSequenceNumber,
    });
    await forgetStaleCheckpoint({ ...this.#services, address: this.#address });
    while (this.#hold.cursor.sequenceNumber <= lastSequenceNumber && clock.nowMs() < deadlineMs) {
      const messages = await readIncarnation(hub, this.#address, {
        partitionId: this.#address.partition,
        firstSequenceNumber: this.#hold.cursor.sequenceNumber,
        lastSequenceNumber,
        messagesMax,
      });
      if (messages.length === 0) return;
      if (!(await this.#loop.commitAll(messages, deadlineMs))) return;
    }
  }

  async #moveTime(request: TickRequest & { readonly isDraining: boolean }): Promise<void> {
    const means = request.isDraining
      ? await endTime(this.#hold, this.#plan)
      : await tick(this.#hold, this.#plan, request);
    // What the tick made due fires in commits of its own, as many as it takes.
    if (means !== null) await this.#loop.commitAll([], request.deadlineMs, means);
  }

  /**
   * Ends this life's log and hands its state on; outputs leave first. May be repeated.
   * @param incarnation of the heir: on the same hub it goes on where that, promoted, has what was not read
   */
  async bequeath(incarnation: string): Promise<Bequest | null> {
    for (let isSealed = false; !isSealed;) {
      await this.#hold.catchUp();
      await this.#hold.delivery.sendOutbox();
      await this.#hold.delivery.flushAll();
      isSealed = await this.#hold.seal();
    }
    const { cursor, state } = this.#hold;
    const isSameHub = hubOf(incarnation) === hubOf(this.#address.incarnation);
    if (!isSameHub) return state.bequestToNewHub();
    const { clock, hub } = this.#services;
    const last = lastReadOf(state.summary);
    const beginning = await findBeginning(hub, this.#address, { last, cursor });
    return state.bequestToPromotedHub(beginning, clock.nowMs());
  }

  /**
   * Ends the log of a partition that is no more: its windows close, its outputs leave, and consumers
   * need not wait for it again. May be repeated.
   */
  async end(): Promise<void> {
    const { clock } = this.#services;
    for (let isSealed = false; !isSealed;) {
      await this.#hold.catchUp();
      if (!this.#hold.log.isEnded) {
        await this.#hold.prepare();
        await endTime(this.#hold, this.#plan, { isEnding: true });
        while (this.#hold.program.isFiringDue) {
          await this.#loop.commitAll([], clock.nowMs(), { isEnding: true });
        }
        await tellEnd(this.#hold);
      }
      await this.#hold.delivery.sendOutbox();
      await this.#hold.delivery.flushAll();
      isSealed = await this.#hold.seal();
    }
  }
}
