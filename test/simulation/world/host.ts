import type { HubMessage } from '../../../shared/model/ports';
import type { SimulatedBuild } from './builds';
import type { Faults } from './faults';
import type { WatchedHub } from './hubs';
import type { Random } from './random';
import type { Actor, Scheduler } from './scheduler';

/** One trigger on one hub partition: who has it, and how far the host believes it got. */
export interface Slot {
  readonly name: string;
  readonly functionName: string;
  readonly hub: WatchedHub;
  readonly partition: string;
  checkpoint: number;
  owners: Set<Actor>;
  leaseUntilMs: number;
  /** The host hands it to nobody. */
  isAbandoned: boolean;
}

const leaseMs = 6_000;

/**
 * The Functions host as the engine meets it: leases that expire and are stolen, a checkpoint that
 * moves on whatever became of the batch, that goes back, and that skips.
 */
export class Host {
  readonly slots: readonly Slot[];
  readonly #scheduler: Scheduler;
  readonly #faults: Faults;
  readonly #random: Random;
  readonly #batchMax: number;
  /** Set by the run: a worker died. */
  onCrash: (actor: Actor) => void = () => undefined;

  constructor(options: {
    readonly builds: readonly SimulatedBuild[];
    readonly hubs: ReadonlyMap<string, WatchedHub>;
    readonly scheduler: Scheduler;
    readonly faults: Faults;
    readonly random: Random;
    readonly batchMax: number;
  }) {
    this.#scheduler = options.scheduler;
    this.#faults = options.faults;
    this.#random = options.random;
    this.#batchMax = options.batchMax;
    // All builds have the same functions.
    const stages = options.builds[0]?.stages ?? [];
    this.slots = stages.flatMap(({ plan }) => {
      const hub = options.hubs.get(plan.input.hub);
      if (hub === undefined) throw new Error(`no hub ${plan.input.hub}`);
      return Array.from({ length: hub.partitionCount }, (_, partition) => ({
        name: `${plan.name}/${partition}`,
        functionName: plan.functionName,
        hub,
        partition: String(partition),
        checkpoint: 0,
        owners: new Set<Actor>(),
        leaseUntilMs: 0,
        isAbandoned: false,
      }));
    });
  }

  claim(slot: Slot, actor: Actor): boolean {
    const { nowMs } = this.#scheduler;
    if (slot.isAbandoned || slot.owners.has(actor)) return false;
    const isFree = slot.owners.size === 0 || slot.leaseUntilMs < nowMs;
    if (isFree) {
      slot.owners.clear();
    } else if (this.#faults.strikes('overlap', 0.1)) {
      // Stolen: the former owner hears of it some batches later, or both go on side by side.
      if (this.#random.chance(0.5)) slot.owners.clear();
    } else {
      return false;
    }
    slot.owners.add(actor);
    slot.leaseUntilMs = nowMs + leaseMs;
    return true;
  }

  /** Asked before each batch; it renews the lease. */
  holds(slot: Slot, actor: Actor): boolean {
    if (!slot.owners.has(actor)) return false;
    slot.leaseUntilMs = this.#scheduler.nowMs + leaseMs;
    return true;
  }

  nextBatch(slot: Slot, position: number): { messages: readonly HubMessage[]; next: number } {
    let from = position;
    if (this.#faults.strikes('delivery-rewind', 0.02)) from = 0;
    if (this.#faults.strikes('delivery-duplicate', 0.06)) {
      from = Math.max(0, from - this.#random.below(2 * this.#batchMax));
    }
    const waiting = slot.hub
      .messages(Number(slot.partition))
      .filter(({ sequenceNumber }) => sequenceNumber >= from);
    const size = this.#random.between(1, this.#batchMax);
    const skipped =
      waiting.length > 1 && this.#faults.strikes('delivery-skip', 0.1)
        ? this.#random.between(1, Math.min(waiting.length, size))
        : 0;
    const messages = waiting.slice(skipped, skipped + size);
    const last = messages.at(-1) ?? waiting.at(-1);
    return { messages, next: last === undefined ? from : last.sequenceNumber + 1 };
  }

  checkpoint(slot: Slot, actor: Actor, position: number): void {
    if (slot.owners.has(actor)) slot.checkpoint = position;
  }

  batchTimeMs(): number {
    return this.#faults.strikes('deadline-short', 0.3) ? this.#random.below(300) : 60_000;
  }

  /** False: nobody had it in the first place. */
  abandon(slot: Slot): boolean {
    const isNews = !slot.isAbandoned;
    slot.isAbandoned = true;
    slot.owners.clear();
    return isNews;
  }

  /** The hub was deleted and created again: its old checkpoints mean nothing. */
  forget(hub: WatchedHub): void {
    for (const slot of this.slots) {
      if (slot.hub !== hub) continue;
      slot.checkpoint = 0;
      slot.owners.clear();
    }
  }
}
