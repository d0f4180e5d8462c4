import type { HubEvent } from './hub-event';

/** What a partition has waiting, at one moment. */
export interface Waiting {
  readonly events: number;
  readonly maxBatchSize: number;
  /** When the oldest of them came. */
  readonly sinceMs: number;
  readonly nowMs: number;
  /** How long the first event waits for company. */
  readonly lingerMs: number;
}

/**
 * In how many milliseconds a batch is due: 0 is now, null when something must come first. A full batch
 * is due at once; fewer events once the oldest has waited. What came while the batch before was in the
 * works has waited already.
 */
export function batchDueInMs(waiting: Waiting): number | null {
  const { events, lingerMs, maxBatchSize, nowMs, sinceMs } = waiting;
  if (events === 0) return null;
  if (events >= maxBatchSize) return 0;
  return Math.max(0, sinceMs + lingerMs - nowMs);
}

export interface EventBufferOptions {
  readonly maxBatchSize: number;
  readonly lingerMs: number;
  /** A clock that never goes back. */
  readonly nowMs: () => number;
}

/** Events of one partition between the link and the function, in order. */
export class EventBuffer {
  readonly #options: EventBufferOptions;
  #events: HubEvent[] = [];
  #sinceMs = 0;
  #wake: (() => void) | null = null;
  #isClosed = false;

  constructor(options: EventBufferOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#events.length;
  }

  push(event: HubEvent): void {
    const size = this.#events.push(event);
    if (size === 1) this.#sinceMs = this.#options.nowMs();
    if (size === 1 || size === this.#options.maxBatchSize) this.#wake?.();
  }

  /** The next batch when it is due; empty once the buffer is closed. One caller at a time. */
  async next(): Promise<readonly HubEvent[]> {
    const { lingerMs, maxBatchSize, nowMs } = this.#options;
    while (!this.#isClosed) {
      const dueInMs = batchDueInMs({
        events: this.#events.length,
        maxBatchSize,
        sinceMs: this.#sinceMs,
        nowMs: nowMs(),
        lingerMs,
      });
      if (dueInMs === 0) return this.#take();
      await this.#change(dueInMs);
    }
    return [];
  }

  /** Drops what waits, and lets the caller of `next` go. */
  close(): void {
    this.#isClosed = true;
    this.#events = [];
    this.#wake?.();
  }

  #take(): readonly HubEvent[] {
    const all = this.#events;
    const { maxBatchSize } = this.#options;
    this.#events = all.length > maxBatchSize ? all.slice(maxBatchSize) : [];
    if (all.length > maxBatchSize) all.length = maxBatchSize;
    return all;
  }

  #change(withinMs: number | null): Promise<void> {
    return new Promise((resolve) => {
      const timer = withinMs === null ? undefined : setTimeout(() => this.#wake?.(), withinMs);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }
}
