/** Keeps a hub full: sends as fast as the SDK can while no partition is too far behind. */
import { PartitionSender } from './partition-sender';

const waitPauseMs = 20;
/**
 * A partition may be this many chunks before the slowest, so that windows of all close in time. When
 * it is, and has nothing left to read, it still gets a chunk now and then: a source that falls idle
 * no longer holds the watermark back, and what it brings later is late.
 */
const aheadMax = 200;
const trickleIntervalMs = 2_000;

/** Where the events come from. */
export interface ChunkSource {
  /** Asked for once per chunk. Null: there are no more. */
  chunk(partition: number, chunk: number): Promise<readonly Uint8Array[] | null>;
}

export interface HubLoadOptions {
  readonly connectionString: string;
  readonly hub: string;
  readonly partitionCount: number;
  readonly source: ChunkSource;
  /** Events of a partition that were committed. */
  readonly read: (partition: number) => number;
  /** Sent and not yet committed, per partition, at most. */
  readonly backlogMax: number;
}

interface PartitionLoad {
  readonly sender: PartitionSender;
  readonly extras: (readonly Uint8Array[])[];
  chunks: number;
  sent: number;
  pausedUntilMs: number;
  sentAtMs: number;
  /** Its source has no more chunks. */
  isEmpty: boolean;
  isSending: boolean;
}

export class HubLoad {
  readonly hub: string;
  readonly #options: HubLoadOptions;
  readonly #partitions: PartitionLoad[];
  #loops: Promise<unknown> = Promise.resolve();
  #isOver = false;
  /** No partition goes beyond it while it is set. */
  #holdAtChunk: number | null = null;
  #lastChunk: number | null = null;
  #silence: Promise<void> = Promise.resolve();

  constructor(options: HubLoadOptions) {
    this.#options = options;
    this.hub = options.hub;
    this.#partitions = Array.from({ length: options.partitionCount }, (_, partition) => ({
      sender: new PartitionSender(options.connectionString, options.hub, partition),
      extras: [],
      chunks: 0,
      sent: 0,
      pausedUntilMs: 0,
      sentAtMs: 0,
      isEmpty: false,
      isSending: false,
    }));
  }

  get sent(): number {
    return this.#partitions.reduce((total, { sent }) => total + sent, 0);
  }

  sentTo(partition: number): number {
    return this.#partitions[partition]?.sent ?? 0;
  }

  /** Chunks of every partition, when all have sent the same number of them. */
  get chunks(): number {
    return Math.max(...this.#partitions.map(({ chunks }) => chunks));
  }

  get askedFor(): number {
    return this.#partitions.reduce((total, { sender }) => total + sender.askedFor, 0);
  }

  start(): void {
    this.#loops = Promise.all(this.#partitions.map((_, partition) => this.#run(partition)));
    // Whoever awaits `finish` hears of a failure; until then it is not unhandled.
    this.#loops.catch(() => undefined);
  }

  /** Rejects when a sender fails. */
  get failed(): Promise<never> {
    return this.#loops.then(() => new Promise<never>(() => undefined));
  }

  /** Sends these before the partition's next chunk. */
  inject(partition: number, bodies: readonly Uint8Array[]): void {
    this.#partitions[partition]?.extras.push(bodies);
  }

  pause(partition: number, milliseconds: number): void {
    const load = this.#partitions[partition];
    if (load !== undefined) load.pausedUntilMs = Date.now() + milliseconds;
  }

  /** Events of a partition that were sent and not yet committed. */
  backlogOf(partition: number): number {
    return this.sentTo(partition) - this.#options.read(partition);
  }

  /**
   * Runs something while nothing is sent and everything sent was read. All partitions have sent as many
   * chunks then: what comes after the silence is later, in event time, than what came before.
   */
  whileQuiet(work: () => Promise<void>): Promise<void> {
    // One after the other: when one has ended, events come again that the next must see read.
    const silence = this.#silence.then(() => this.#quietly(work));
    this.#silence = silence.catch(() => undefined);
    return silence;
  }

  async #quietly(work: () => Promise<void>): Promise<void> {
    this.#holdAtChunk = this.chunks;
    try {
      await until(
        () =>
          this.#isOver ||
          this.#partitions.every(
            ({ chunks, isEmpty, isSending }, partition) =>
              !isSending &&
              (isEmpty || chunks === this.#holdAtChunk) &&
              this.backlogOf(partition) <= 0,
          ),
      );
      if (this.#isOver) return;
      await work();
      for (const { sender } of this.#partitions) sender.beginAnew();
    } finally {
      this.#holdAtChunk = null;
    }
  }

  /** Every partition sends as many chunks as the foremost, and what was put in between; then no more. */
  async finish(): Promise<void> {
    this.#lastChunk = this.chunks;
    await this.#loops;
    for (const { sender } of this.#partitions) await sender.check();
  }

  async #run(partition: number): Promise<void> {
    const load = this.#partitions[partition];
    if (load === undefined) return;
    for (;;) {
      await until(() => this.#isOver || this.#maySend(load, partition));
      if (this.#isOver) return;
      // What held may have changed while this was on its way here.
      if (!this.#maySend(load, partition)) continue;
      load.isSending = true;
      try {
        // While all are brought level, what was put in between waits.
        const extra = this.#holdAtChunk === null ? load.extras.shift() : undefined;
        if (extra === undefined && this.#lastChunk !== null && load.chunks >= this.#lastChunk)
          return;
        const bodies = extra ?? (await this.#nextChunk(load, partition));
        if (bodies === null) {
          if (this.#lastChunk !== null) return;
          load.isEmpty = true;
          // The source is empty; what is put in between is still sent.
          load.pausedUntilMs = Date.now() + waitPauseMs;
          continue;
        }
        await load.sender.send(bodies);
        load.sent += bodies.length;
        load.sentAtMs = Date.now();
      } finally {
        load.isSending = false;
      }
    }
  }

  /** Counted when it is begun: whoever asks how far the partitions are means those on their way, too. */
  async #nextChunk(load: PartitionLoad, partition: number): Promise<readonly Uint8Array[] | null> {
    const chunk = load.chunks;
    load.chunks += 1;
    const bodies = await this.#options.source.chunk(partition, chunk);
    if (bodies === null) load.chunks = chunk;
    return bodies;
  }

  #maySend(load: PartitionLoad, partition: number): boolean {
    if (this.#lastChunk !== null) return true;
    if (this.#holdAtChunk !== null) return load.chunks < this.#holdAtChunk;
    if (Date.now() < load.pausedUntilMs) return false;
    if (load.extras.length > 0) return true;
    const backlog = this.backlogOf(partition);
    const slowest = Math.min(...this.#partitions.map(({ chunks }) => chunks));
    if (load.chunks - slowest < aheadMax) return backlog < this.#options.backlogMax;
    return backlog <= 0 && Date.now() - load.sentAtMs >= trickleIntervalMs;
  }

  /** Stops in the middle: nothing more is sent. */
  async close(): Promise<void> {
    this.#isOver = true;
    await Promise.allSettled(this.#partitions.map(({ sender }) => sender.close()));
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, waitPauseMs));
}
