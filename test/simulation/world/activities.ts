import type { Faults } from './faults';
import type { Answer } from './orchestration';
import type { Random } from './random';
import type { Actor, Scheduler } from './scheduler';
import type { SimulatedWorker } from './worker';

type RunActivity = (worker: SimulatedWorker, name: string, input: never) => Promise<unknown>;

interface Delivery {
  readonly actor: Actor;
  readonly again: () => void;
}

/**
 * Hands activities to workers as a queue does: at least once. What a worker had when it died is
 * handed to another; some are had by two at the same time.
 */
export class ActivityQueue {
  readonly #scheduler: Scheduler;
  readonly #faults: Faults;
  readonly #random: Random;
  readonly #workers: () => readonly SimulatedWorker[];
  readonly #run: RunActivity;
  readonly #held = new Set<Delivery>();

  constructor(options: {
    readonly scheduler: Scheduler;
    readonly faults: Faults;
    readonly random: Random;
    readonly workers: () => readonly SimulatedWorker[];
    readonly run: RunActivity;
  }) {
    this.#scheduler = options.scheduler;
    this.#faults = options.faults;
    this.#random = options.random;
    this.#workers = options.workers;
    this.#run = options.run;
  }

  call(name: string, input: unknown, answer: Answer): void {
    this.#deliver(name, input, answer);
    if (this.#faults.strikes('activity-twice', 0.15)) this.#deliver(name, input, answer);
  }

  onDeath(actor: Actor): void {
    for (const delivery of Array.from(this.#held)) {
      if (delivery.actor !== actor) continue;
      this.#held.delete(delivery);
      const afterMs = this.#random.between(1_000, 15_000);
      this.#scheduler.later('an activity is handed on', afterMs, delivery.again);
    }
  }

  #deliver(name: string, input: unknown, answer: Answer): void {
    const again = (): void => this.#deliver(name, input, answer);
    this.#scheduler.later(`${name} is taken`, this.#random.below(300), () => {
      const workers = this.#workers().filter(({ actor }) => !actor.isFrozen);
      if (workers.length === 0) {
        this.#scheduler.later(`${name} waits for a worker`, 1_000, again);
        return;
      }
      const worker = this.#random.pick(workers);
      const delivery = { actor: worker.actor, again };
      this.#held.add(delivery);
      const end = (tell: () => void): void => {
        if (this.#held.delete(delivery)) tell();
      };
      this.#run(worker, name, input as never).then(
        (result) => end(() => answer({ kind: 'result', result: copyOf(result) })),
        (error: unknown) => end(() => answer({ kind: 'error', error: String(error) })),
      );
    });
  }
}

/** As it goes through a queue. */
function copyOf(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null)) as unknown;
}
