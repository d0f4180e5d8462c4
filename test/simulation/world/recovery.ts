import { ActivityQueue } from './activities';
import type { FaultKind, Faults } from './faults';
import { Jobs } from './jobs';
import type { Random } from './random';
import type { Actor, Scheduler } from './scheduler';
import { Supervision } from './supervision';
import type { SimulatedWorker, Tending, WorkerWorld } from './worker';

export interface RecoveryOptions {
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly random: Random;
  readonly appends: WorkerWorld['appends'];
  readonly objects: WorkerWorld['objects'];
  readonly workers: () => readonly SimulatedWorker[];
  readonly onFailed: (error: unknown) => void;
}

/** Who looks after tasks: the supervisor in every run that has a kind of fault for it, and in more. */
export function tendingOf(kinds: ReadonlySet<FaultKind>, random: Random): Tending {
  const needsIt = [
    'supervisor-killed',
    'supervisor-stuck',
    'supervisor-twice',
    'activity-twice',
  ] as const;
  const isSupervised = needsIt.some((kind) => kinds.has(kind)) || random.chance(0.1);
  if (!isSupervised) return 'by workers';
  return random.pick(['by workers and the supervisor', 'by the supervisor alone']);
}

/** What runs on Durable Functions: the supervisor and jobs, where a run has them. */
export class Recovery {
  readonly supervision: Supervision | null;
  readonly jobs: Jobs | null;
  readonly #queue: ActivityQueue;
  readonly #onFailed: (error: unknown) => void;

  constructor(options: RecoveryOptions & { readonly tending: Tending }) {
    const { faults, random, tending } = options;
    this.#onFailed = options.onFailed;
    this.#queue = new ActivityQueue({
      ...options,
      random: random.fork(),
      run: (worker, name, input) => this.#run(worker, name, input),
    });
    const shared = { ...options, queue: this.#queue };
    this.supervision =
      tending === 'by workers' ? null : new Supervision({ ...shared, random: random.fork() });
    const needsJobs = (['piece-fails', 'piece-hangs'] as const).some((kind) =>
      faults.kinds.has(kind),
    );
    this.jobs =
      needsJobs || random.chance(0.1) ? new Jobs({ ...shared, random: random.fork() }) : null;
  }

  start(): void {
    this.supervision?.run().catch(this.#onFailed);
    this.jobs?.run().catch(this.#onFailed);
  }

  /** Somebody died, or stands still for so long that what it was handed goes to another. */
  onDeath(actor: Actor): void {
    this.#queue.onDeath(actor);
  }

  #run(worker: SimulatedWorker, name: string, input: never): Promise<unknown> {
    const running =
      this.supervision?.activity(worker, name, input) ?? this.jobs?.activity(worker, name, input);
    if (running === undefined) throw new Error(`nobody runs ${name}`);
    return running;
  }
}
