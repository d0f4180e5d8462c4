import type { FunctionRan, RunFunction } from './worker-messages';

export type FunctionKind = 'orchestrator' | 'activity' | 'entity';

export interface Invocation {
  readonly kind: FunctionKind;
  readonly functionName: string;
  readonly data: string | null;
  readonly instanceId: string;
}

/** The function threw, or ran over its time: what the app did, not what befell the host. */
export class FunctionFailed extends Error {}

interface Job extends Invocation {
  readonly id: number;
  readonly resolve: (value: string | null) => void;
  readonly reject: (error: FunctionFailed) => void;
  startedAtMs: number;
}

interface PoolWorker {
  readonly send: (message: RunFunction) => void;
  readonly jobs: Map<number, Job>;
  isLeaving: boolean;
}

/**
 * Spreads invocations over the workers that are ready, each up to its limit, the least busy first.
 * What a dead worker was running goes to another one: at least once.
 */
export class WorkerPool {
  readonly #limits: Readonly<Record<FunctionKind, number>>;
  readonly #timeoutMs: number;
  readonly #workers = new Map<number, PoolWorker>();
  #waiting: Job[] = [];
  #nextId = 1;

  constructor(options: {
    readonly limits: Readonly<Record<FunctionKind, number>>;
    readonly functionTimeoutMs: number;
  }) {
    this.#limits = options.limits;
    this.#timeoutMs = options.functionTimeoutMs;
  }

  /** Resolves with the JSON text returned. Rejects with FunctionFailed; survives worker deaths. */
  invoke(invocation: Invocation): Promise<string | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...invocation, id: this.#nextId, resolve, reject, startedAtMs: 0 });
      this.#nextId += 1;
      this.#assign();
    });
  }

  add(workerId: number, send: (message: RunFunction) => void): void {
    this.#workers.set(workerId, { send, jobs: new Map(), isLeaving: false });
    this.#assign();
  }

  /** The worker finishes what it runs and gets nothing more. */
  leave(workerId: number): void {
    const worker = this.#workers.get(workerId);
    if (worker !== undefined) worker.isLeaving = true;
  }

  /** The worker is dead. An activity that had run over its time fails; all else is run again. */
  remove(workerId: number): void {
    const worker = this.#workers.get(workerId);
    this.#workers.delete(workerId);
    const again: Job[] = [];
    for (const job of worker?.jobs.values() ?? []) {
      const isOverdue = Date.now() - job.startedAtMs >= this.#timeoutMs;
      if (isOverdue && job.kind === 'activity') {
        job.reject(
          new FunctionFailed(
            `Timeout value of ${this.#timeoutMs} ms exceeded by function: Functions.${job.functionName}`,
          ),
        );
      } else {
        again.push(job);
      }
    }
    this.#waiting = [...again, ...this.#waiting];
    this.#assign();
  }

  ran(workerId: number, answer: FunctionRan): void {
    const worker = this.#workers.get(workerId);
    const job = worker?.jobs.get(answer.id);
    worker?.jobs.delete(answer.id);
    if (answer.isOk) job?.resolve(answer.value);
    else job?.reject(new FunctionFailed(answer.message));
    this.#assign();
  }

  #assign(): void {
    if (this.#waiting.length === 0) return;
    const full = new Set<FunctionKind>();
    this.#waiting = this.#waiting.filter((job) => {
      if (full.has(job.kind)) return true;
      const worker = this.#leastBusy(job.kind);
      if (worker === null) {
        full.add(job.kind);
        return true;
      }
      job.startedAtMs = Date.now();
      worker.jobs.set(job.id, job);
      const { id, functionName, data, instanceId } = job;
      worker.send({ kind: 'durable-run', id, functionName, data, instanceId });
      return false;
    });
  }

  #leastBusy(kind: FunctionKind): PoolWorker | null {
    let best: PoolWorker | null = null;
    for (const worker of this.#workers.values()) {
      if (worker.isLeaving) continue;
      const ofKind = Array.from(worker.jobs.values()).filter((job) => job.kind === kind).length;
      if (ofKind >= this.#limits[kind]) continue;
      if (best === null || worker.jobs.size < best.jobs.size) best = worker;
    }
    return best;
  }
}
