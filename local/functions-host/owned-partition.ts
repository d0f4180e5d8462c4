import type { PartitionPlace } from './hub-reading/event-processor';
import type { HubEvent } from './hub-reading/hub-event';

export interface OwnedPartitionOptions {
  /** One invocation for all events of a batch; else one for each event. */
  readonly isMany: boolean;
  readonly maxEventBatchSize: number;
  readonly minEventBatchSize: number;
  readonly maxWaitTimeMs: number;
  /** A checkpoint after this many batches. */
  readonly batchCheckpointFrequency: number;
  /** When the checkpoint was made that reading began from; null: there was none. */
  readonly checkpointedAtMs: number | null;
  /** What still runs for an earlier claim of the same partition. */
  readonly after: Promise<void>;
  /** Invokes the function with all its retries, until the signal ends them. Never rejects. */
  readonly run: (
    batch: readonly HubEvent[],
    context: PartitionPlace,
    invocation: { readonly signal: AbortSignal; readonly isCheckpointing: boolean },
  ) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/**
 * One claim of one partition: batches strictly one after the other, and the checkpoint rule. After a
 * batch with all its retries, success or not, its last event is checkpointed (at least once
 * delivery); not when the claim is lost or the host stops, so that the batch comes again.
 */
export class OwnedPartition {
  readonly #options: OwnedPartitionOptions;
  readonly #ended = new AbortController();
  /** Events that wait for more: fewer than the minimum batch size, between two deliveries. */
  readonly #waiting: HubEvent[] = [];
  #timer: NodeJS.Timeout | null = null;
  #work: Promise<void>;
  #isDraining = false;
  #isFirst = true;
  #batchesSinceCheckpoint = 0;
  #processed: { readonly event: HubEvent; readonly context: PartitionPlace } | null = null;

  constructor(options: OwnedPartitionOptions) {
    this.#options = options;
    this.#work = options.after;
  }

  /** Settles when nothing runs for this claim any more. */
  get settled(): Promise<void> {
    return this.#work;
  }

  /** Takes events in; resolves when they are processed, or wait with too few others. Never rejects. */
  take(events: readonly HubEvent[], context: PartitionPlace): Promise<void> {
    return this.#inTurn(() => this.#dispatch(events, context));
  }

  /** The claim is over, for another owner or for the host's end: no checkpoint from now on. */
  abandon(): Promise<void> {
    this.#ended.abort();
    this.#dropWaiting();
    return this.#work;
  }

  /** Lets the batch in flight end, retries and checkpoint included, and takes no other. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#dropWaiting();
    await this.#work;
    await this.#inTurn(async () => {
      if (this.#processed !== null) await this.#checkpoint(this.#processed);
    });
  }

  get #isOver(): boolean {
    return this.#isDraining || this.#ended.signal.aborted;
  }

  async #dispatch(events: readonly HubEvent[], context: PartitionPlace): Promise<void> {
    if (this.#isOver) return;
    const { isMany, maxEventBatchSize, minEventBatchSize } = this.#options;
    if (!isMany) return this.#runSingly(events, context);
    if (minEventBatchSize <= 1) return this.#run(events, context);
    this.#waiting.push(...events);
    while (this.#waiting.length >= minEventBatchSize && !this.#isOver) {
      this.#stopTimer();
      await this.#run(this.#waiting.splice(0, maxEventBatchSize), context);
    }
    if (this.#waiting.length > 0) this.#timer ??= this.#waitForMore(context);
  }

  async #run(batch: readonly HubEvent[], context: PartitionPlace): Promise<void> {
    const event = batch.at(-1);
    if (event === undefined) return;
    this.#batchesSinceCheckpoint += 1;
    const isCheckpointing = this.#batchesSinceCheckpoint >= this.#options.batchCheckpointFrequency;
    const { signal } = this.#ended;
    await this.#options.run(batch, context, { signal, isCheckpointing });
    await this.#processedUpTo(event, context, isCheckpointing);
  }

  /** Cardinality one: every event is an invocation, what the SDK delivered is one batch still. */
  async #runSingly(events: readonly HubEvent[], context: PartitionPlace): Promise<void> {
    this.#batchesSinceCheckpoint += 1;
    const isCheckpointing = this.#batchesSinceCheckpoint >= this.#options.batchCheckpointFrequency;
    const { signal } = this.#ended;
    let last: HubEvent | undefined;
    for (const event of events) {
      if (this.#isOver) break;
      await this.#options.run([event], context, { signal, isCheckpointing });
      if (!signal.aborted) last = event;
    }
    if (last !== undefined) await this.#processedUpTo(last, context, isCheckpointing);
  }

  async #processedUpTo(
    event: HubEvent,
    context: PartitionPlace,
    isCheckpointing: boolean,
  ): Promise<void> {
    this.#isFirst = false;
    if (this.#ended.signal.aborted) return;
    this.#processed = { event, context };
    if (isCheckpointing) await this.#checkpoint(this.#processed);
  }

  async #checkpoint(processed: {
    readonly event: HubEvent;
    readonly context: PartitionPlace;
  }): Promise<void> {
    if (this.#ended.signal.aborted) return;
    await processed.context.updateCheckpoint(processed.event);
    this.#batchesSinceCheckpoint = 0;
    this.#processed = null;
  }

  #waitForMore(context: PartitionPlace): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = null;
      void this.#inTurn(async () => {
        if (this.#isOver) return;
        await this.#run(this.#waiting.splice(0, this.#options.maxEventBatchSize), context);
      });
    }, this.#waitMs());
  }

  /**
   * Before the first batch of a claim part of the wait has passed with the owner before: as much as
   * the checkpoint is old, and all of it when there is none.
   */
  #waitMs(): number {
    const { checkpointedAtMs, maxWaitTimeMs } = this.#options;
    if (!this.#isFirst) return maxWaitTimeMs;
    if (checkpointedAtMs === null) return 0;
    return Math.max(0, maxWaitTimeMs - (Date.now() - checkpointedAtMs));
  }

  #dropWaiting(): void {
    this.#stopTimer();
    this.#waiting.length = 0;
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(work).catch(this.#options.onError);
    return this.#work;
  }
}
