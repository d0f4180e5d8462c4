import type { PartitionLink } from './partition-link';
import { EventBuffer } from './event-buffer';
import { EventDecoder } from './event-decoder';
import type { HubConnections } from './hub-connection';
import { HubError } from './hub-error';
import { selectorOf, type HubEvent, type ReadPosition } from './hub-event';

/** As .NET's receiver: the first event of a batch that is not full waits so long for others. */
const lingerMs = 20;
/** Everybody reads with this level: of two readers the later one wins. */
const ownerLevel = 0;

export interface ReadingOptions {
  readonly eventHubName: string;
  readonly consumerGroup: string;
  readonly identifier: string;
  readonly maxBatchSize: number;
  /** Events that a partition has waiting at most, those on their way among them. */
  readonly prefetchCount: number;
  readonly retry: {
    readonly isFixed: boolean;
    /** After so many failures in a row reading begins again at the checkpoint. */
    readonly maxRetries: number;
    readonly delayMs: number;
    readonly maxDelayMs: number;
  };
}

export type EndReason = 'ownershipLost' | 'shutdown' | 'failed';

export interface PartitionReaderOptions extends ReadingOptions {
  readonly connections: HubConnections;
  readonly partitionId: string;
  /** Called first: prepares the partition and says where reading begins. */
  readonly begin: () => Promise<ReadPosition>;
  /** A batch in order, of this partition alone, one at a time. */
  readonly onEvents: (events: readonly HubEvent[]) => Promise<void>;
  readonly onError: (error: Error) => void;
  /** Called once, when reading is over, be it that a batch is in the works still. */
  readonly onEnd: (reason: EndReason) => void;
}

/**
 * Reads one partition from a position on. A lost link or connection is made again after the last event
 * that came; what cannot be mended so ends the reader.
 *
 * Delivery: at least once from the position on, in order; while the reader lives, each event once.
 */
export class PartitionReader {
  /** Resolves when no batch is in the works any more. Never rejects. */
  readonly done: Promise<void>;
  readonly #options: PartitionReaderOptions;
  readonly #buffer: EventBuffer;
  readonly #decoder = new EventDecoder();
  readonly #stopped = new AbortController();
  readonly #window: number;
  #position: ReadPosition = 'start';
  #link: PartitionLink | null = null;
  #failures = 0;

  constructor(options: PartitionReaderOptions) {
    this.#options = options;
    this.#window = Math.max(options.prefetchCount, options.maxBatchSize);
    this.#buffer = new EventBuffer({
      maxBatchSize: options.maxBatchSize,
      lingerMs,
      nowMs: () => performance.now(),
    });
    this.done = this.#read();
  }

  get isOver(): boolean {
    return this.#stopped.signal.aborted;
  }

  stop(reason: EndReason): void {
    if (this.isOver) return;
    this.#stopped.abort();
    this.#buffer.close();
    this.#link?.close();
    this.#options.onEnd(reason);
  }

  async #read(): Promise<void> {
    try {
      this.#position = await this.#options.begin();
    } catch (error) {
      this.#fail(error);
    }
    await Promise.all([this.#receive(), this.#deliver()]);
  }

  /** As on Azure: the events come again, from the checkpoint, when the partition is next read. */
  #fail(error: unknown): void {
    this.#options.onError(error instanceof Error ? error : new Error(String(error)));
    this.stop('failed');
  }

  async #receive(): Promise<void> {
    while (!this.isOver) {
      const error = await this.#receiveUntilItEnds();
      if (error === null || this.isOver) return;
      if (error.isStolen) return this.stop('ownershipLost');
      this.#failures += 1;
      this.#options.onError(error);
      if (!error.isPassing || this.#failures > this.#options.retry.maxRetries) {
        return this.stop('failed');
      }
      await this.#pause();
    }
  }

  /** Receives over one link; resolves with why it ended. */
  async #receiveUntilItEnds(): Promise<HubError | null> {
    const { connections, consumerGroup, identifier, partitionId } = this.#options;
    try {
      const connection = await connections.get();
      if (this.isOver) return null;
      this.#link = connection.receive({
        consumerGroup,
        identifier,
        ownerLevel,
        partitionId,
        selector: selectorOf(this.#position),
        credit: this.#window - this.#buffer.size,
        onMessage: (bytes, start, end) => this.#take(this.#decoder.decode(bytes, start, end)),
      });
      const ended = await this.#link.ended;
      // A link that held for a while had nothing wrong with it, be it that no event came.
      if (this.#link.openForMs > this.#options.retry.maxDelayMs) this.#failures = 0;
      return ended;
    } catch (error) {
      return error instanceof HubError ? error : HubError.connectionLost(String(error));
    } finally {
      this.#link = null;
    }
  }

  #take(event: HubEvent): void {
    this.#failures = 0;
    this.#position = { afterSequenceNumber: event.sequenceNumber };
    this.#buffer.push(event);
  }

  async #deliver(): Promise<void> {
    while (!this.isOver) {
      const events = await this.#buffer.next();
      if (events.length === 0) return;
      this.#link?.addCredit(events.length);
      try {
        await this.#options.onEvents(events);
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  async #pause(): Promise<void> {
    const { delayMs, isFixed, maxDelayMs } = this.#options.retry;
    const grown = isFixed ? delayMs : delayMs * 2 ** (this.#failures - 1);
    await paused(Math.min(grown, maxDelayMs), this.#stopped.signal);
  }
}

/** Resolves after a while, or when the signal says so. */
export function paused(durationMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, durationMs);
    signal.addEventListener('abort', end);
  });
}
