import type { HubPositions, ScaledTrigger } from './hub-positions';
import {
  combineTargets,
  nextInstanceCount,
  noMemory,
  unprocessedEvents,
  voteOfTrigger,
  type ScalingPace,
  type TriggerMemory,
} from './target';
import type { WorkerRange } from './worker-range';

/** What is scaled: worker processes. */
interface ScalableHost {
  readonly workers: readonly { readonly id: number }[];
  addWorker(): Promise<unknown>;
  /** Resolves when the worker has finished its batches and ended. */
  removeWorker(id: number): Promise<void>;
}

export type ScalingMode = 'automatic' | 'manual';

export interface TriggerState {
  readonly functionName: string;
  readonly eventHubName: string;
  readonly consumerGroup: string;
  readonly partitions: number;
  readonly unprocessed: number;
  readonly desired: number;
  readonly target: number;
  readonly isHeld: boolean;
}

export interface ScalerState {
  readonly mode: ScalingMode;
  readonly range: WorkerRange;
  readonly workers: number;
  readonly wanted: number;
  readonly triggers: readonly TriggerState[];
  /** Why the last vote could not be cast; null: it could. */
  readonly fault: string | null;
}

export interface ScalerOptions {
  readonly host: ScalableHost;
  readonly positions: Pick<HubPositions, 'read' | 'close'>;
  readonly triggers: () => readonly ScaledTrigger[];
  /** Unprocessed events per instance that are aimed at. */
  readonly threshold: number;
  readonly mode: ScalingMode;
  readonly range: WorkerRange;
  readonly pace: ScalingPace;
  readonly log: (line: string) => void;
}

/**
 * The platform's scale controller for this machine: every few seconds it counts what the app's
 * Event Hubs triggers have not processed and asks the host for more or fewer workers.
 */
export class Scaler {
  readonly #options: ScalerOptions;
  readonly #memories = new Map<string, TriggerMemory>();
  #mode: ScalingMode;
  #range: WorkerRange;
  #wanted: number;
  /** The count the host was last brought to; null: the last attempt failed. */
  #applied: number | null;
  #triggers: readonly TriggerState[] = [];
  #fault: string | null = null;
  /** Votes and commands happen one after another. */
  #queue: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #isClosing = false;

  constructor(options: ScalerOptions) {
    this.#options = options;
    this.#mode = options.mode;
    this.#range = options.range;
    this.#wanted = options.host.workers.length;
    this.#applied = this.#wanted;
  }

  get state(): ScalerState {
    return {
      mode: this.#mode,
      range: this.#range,
      workers: this.#options.host.workers.length,
      wanted: this.#wanted,
      triggers: this.#triggers,
      fault: this.#fault,
    };
  }

  start(): void {
    this.#timer = setTimeout(() => {
      void this.vote().finally(() => {
        if (!this.#isClosing) this.start();
      });
    }, this.#options.pace.voteIntervalMs);
  }

  /** One vote now. A fault is logged and shown in the state: the next vote tries again. */
  vote(): Promise<void> {
    return this.#inTurn(async () => {
      try {
        await this.#vote();
        this.#fault = null;
      } catch (error) {
        this.#fault = error instanceof Error ? error.message : String(error);
        this.#options.log(`Scaler: no vote: ${this.#fault}`);
      }
    });
  }

  /** So many workers, until told otherwise. Resolves when they run. */
  setManual(workers: number): Promise<void> {
    return this.#inTurn(async () => {
      this.#mode = 'manual';
      this.#wanted = workers;
      await this.#apply('by hand');
    });
  }

  /** Back to votes, within a range if one is given. */
  setAutomatic(range?: WorkerRange): Promise<void> {
    return this.#inTurn(async () => {
      this.#mode = 'automatic';
      if (range !== undefined) this.#range = range;
      this.#memories.clear();
      const { max, min } = this.#range;
      this.#wanted = Math.min(max, Math.max(min, this.#wanted));
      await this.#apply('within the range');
    });
  }

  /** Ends voting; the workers stay as they are. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#queue;
    await this.#options.positions.close();
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#queue.then(async () => {
      if (!this.#isClosing) await work();
    });
    this.#queue = turn.catch(() => undefined);
    await turn;
  }

  async #vote(): Promise<void> {
    const { pace, positions, threshold, triggers } = this.#options;
    const atMs = Date.now();
    this.#triggers = await Promise.all(
      triggers().map(async (trigger) => {
        const partitions = await positions.read(trigger);
        const unprocessed = partitions.reduce((sum, one) => sum + unprocessedEvents(one), 0);
        const vote = voteOfTrigger({
          unprocessed,
          threshold,
          partitions: partitions.length,
          memory: this.#memories.get(trigger.functionName) ?? noMemory,
          atMs,
          pace,
        });
        this.#memories.set(trigger.functionName, vote.memory);
        const { consumerGroup, eventHubName, functionName } = trigger;
        const { desired, isHeld, target } = vote;
        return {
          ...{ functionName, eventHubName, consumerGroup },
          ...{ partitions: partitions.length, unprocessed, desired, target, isHeld },
        };
      }),
    );
    if (this.#mode === 'automatic') {
      const current = this.#applied ?? this.#options.host.workers.length;
      const target = combineTargets(this.#triggers.map((trigger) => trigger.target));
      this.#wanted = nextInstanceCount({ current, target, ...this.#range, pace });
    }
    const unprocessed = this.#triggers.map((trigger) => trigger.unprocessed);
    await this.#apply(`${unprocessed.join(' + ') || 0} unprocessed, ${threshold} per worker`);
  }

  /**
   * Brings the host to the wanted count. A worker that crashed is the host's to start again; should
   * it come back as one too many, the next vote takes it away.
   */
  async #apply(why: string): Promise<void> {
    const { host, log } = this.#options;
    const running = host.workers.length;
    if (this.#wanted === this.#applied && running <= this.#wanted) return;
    log(`Scaler: ${running} → ${this.#wanted} workers (${why})`);
    this.#applied = null;
    const missing = Math.max(0, this.#wanted - running);
    await Promise.all(Array.from({ length: missing }, () => host.addWorker()));
    // The newest first: the others keep their partitions.
    const newest = [...host.workers].sort((left, right) => right.id - left.id);
    const surplus = newest.slice(0, Math.max(0, newest.length - this.#wanted));
    await Promise.all(surplus.map(({ id }) => host.removeWorker(id)));
    this.#applied = this.#wanted;
  }
}
