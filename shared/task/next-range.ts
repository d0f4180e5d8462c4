import type { HubMessage } from '../model/ports';
import { StreamError } from '../model/errors';
import { promotionWriterPrefix } from '../commit-log/names';
import type { TaskAddress } from '../model/task-address';
import { contiguousPrefix, freshMessages } from './batch-order';
import { readIncarnation } from './incarnations';
import { doubtful, hubPromoted, isPromoted } from './promoted-hub';
import { lastReadOf, ownMessages, type ReadMessage } from './promotion';
import type { StageServices } from './services';
import type { TaskHold } from './task-hold';

/**
 * What of a batch a task commits next: the batch itself, or what is missing before it, read from the hub. Asks
 * the hub whether it still holds what was read of it, where that is in doubt; one answer holds for one batch.
 */
export class NextRange {
  readonly #address: TaskAddress;
  readonly #hold: TaskHold;
  readonly #services: StageServices;
  /** Messages that the hub has been found to hold since the batch came. */
  readonly #held = new Set<string>();
  /** The hub does not hold what is in the batch: the host has kept it from before a promotion. */
  #isStale = false;

  constructor(task: {
    readonly address: TaskAddress;
    readonly hold: TaskHold;
    readonly services: StageServices;
  }) {
    this.#address = task.address;
    this.#hold = task.hold;
    this.#services = task.services;
  }

  /** The messages of this life of the hub that are not wholly committed. */
  fresh(messages: readonly HubMessage[]): readonly HubMessage[] {
    return freshMessages(this.#own(messages), this.#hold.cursor.sequenceNumber);
  }

  #own(messages: readonly HubMessage[]): readonly HubMessage[] {
    return ownMessages(messages, this.#hold.state.summary?.promotion ?? null);
  }

  isInDoubt(messages: readonly HubMessage[]): boolean {
    return this.#doubts(messages).length > 0;
  }

  #doubts(messages: readonly HubMessage[]): readonly ReadMessage[] {
    const last = lastReadOf(this.#hold.state.summary);
    const doubts = doubtful(last, this.#own(messages));
    if (doubts.length === 0) return doubts;
    return doubts.filter((one) => !this.#held.has(nameOf(one)) && (!this.#isStale || one === last));
  }

  /**
   * The messages of the next commit; none where nothing of the batch is in the hub.
   * @throws StreamError STREAM_HUB_PROMOTED when this life of the task was ended
   */
  async of(messages: readonly HubMessage[]): Promise<readonly HubMessage[]> {
    await this.#settle(this.#doubts(messages));
    const fresh = this.fresh(messages);
    const [first] = fresh;
    if (first === undefined) return [];
    const { cursor } = this.#hold;
    const isTrusted = this.#isTrusted(first);
    if (isTrusted && first.sequenceNumber <= cursor.sequenceNumber) return contiguousPrefix(fresh);
    const last = isTrusted ? first.sequenceNumber - 1 : (fresh.at(-1) ?? first).sequenceNumber;
    const missing = await this.#readUntil(last);
    await this.#settle(this.#doubts(missing));
    if (!isTrusted) return missing;
    this.#services.telemetry.emit('warn', 'task.gap', {
      ...this.#address,
      fromSequenceNumber: cursor.sequenceNumber,
      toSequenceNumber: last,
      foundMessages: missing.length,
      // What lies between was in the hub and is there no more: nobody will ever read it.
      lostMessages: (missing[0] ?? first).sequenceNumber - cursor.sequenceNumber,
    });
    return missing.length > 0 ? missing : contiguousPrefix(fresh);
  }

  /**
   * In a promoted hub a batch may be of the region before: where nothing of the life was read yet, and where
   * it is older than what was, the hub itself has to say what has that number.
   */
  #isTrusted(first: HubMessage): boolean {
    if (this.#isStale) return false;
    const { lastEnqueuedAtMs = null, promotion = null } = this.#hold.state.summary ?? {};
    if (promotion !== null && promotion.fromEnqueuedMs === null) return false;
    return first.enqueuedTimeMs >= (lastEnqueuedAtMs ?? -Infinity);
  }

  async #readUntil(lastSequenceNumber: number): Promise<readonly HubMessage[]> {
    const { sequenceNumber } = this.#hold.cursor;
    const read = await readIncarnation(this.#services.hub, this.#address, {
      partitionId: this.#address.partition,
      firstSequenceNumber: sequenceNumber,
      lastSequenceNumber,
      messagesMax: this.#services.limits.gapReadMessagesMax,
    });
    return freshMessages(read, sequenceNumber).filter(
      (message) => message.sequenceNumber <= lastSequenceNumber,
    );
  }

  /** Where what was read is lost this life ends; where only what was not read yet, the hub itself is read. */
  async #settle(doubts: readonly ReadMessage[]): Promise<void> {
    if (doubts.length === 0) return;
    const { hub } = this.#services;
    const isLost = await isPromoted(hub, this.#address, doubts);
    const last = lastReadOf(this.#hold.state.summary);
    const isLastLost = isLost && last !== null && (await isPromoted(hub, this.#address, [last]));
    if (isLastLost) return this.#endLife();
    if (isLost) this.#isStale = true;
    else for (const one of doubts) this.#held.add(nameOf(one));
    if (last !== null) this.#held.add(nameOf(last));
  }

  /**
   * Asks whether the hub still holds what was read last, where its end gives cause to.
   * @throws StreamError STREAM_HUB_PROMOTED when this life of the task was ended
   */
  async assertLastHeld(): Promise<void> {
    const last = lastReadOf(this.#hold.state.summary);
    const { sequenceNumber } = this.#hold.cursor;
    // Not known when it was enqueued: that the hub ends before it tells enough.
    const unknown = { sequenceNumber: sequenceNumber - 1, enqueuedTimeMs: NaN };
    const isLost = await isPromoted(this.#services.hub, this.#address, [last ?? unknown]);
    if (isLost) await this.#endLife();
  }

  /** Ends the task's life on the hub: whoever opens it next goes on with the next one. Outputs leave first. */
  async #endLife(): Promise<never> {
    const { state } = this.#hold;
    const { commit } = state;
    for (let isSealed = false; !isSealed;) {
      await this.#hold.catchUp();
      if (state.commit !== commit) throw goneOn(this.#address);
      await this.#hold.delivery.sendOutbox();
      await this.#hold.delivery.flushAll();
      isSealed = await this.#hold.seal(promotionWriterPrefix);
    }
    const facts = { cursor: this.#hold.cursor, commit };
    this.#services.telemetry.emit('error', 'task.hub-promoted', { ...this.#address, ...facts });
    throw hubPromoted(this.#address, facts);
  }
}

const nameOf = ({ enqueuedTimeMs, sequenceNumber }: ReadMessage): string =>
  `${sequenceNumber}/${enqueuedTimeMs}`;

/** What others have read since has to be asked of, too. */
function goneOn(address: TaskAddress): StreamError {
  return new StreamError(
    'STREAM_COMMIT_CONTENDED',
    'others have gone on with a task whose hub seems to have been promoted: it is opened anew and looked at again',
    { details: { ...address } },
  );
}
