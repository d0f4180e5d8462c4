import { JobStore } from '../../../shared/operations/jobs/job-store';
import { redriveKind } from '../../../shared/operations/jobs/kinds/redrive';
import { workOnJob } from '../../../shared/operations/jobs/work-on-job';
import { job, jobActivity, type JobInput } from '../../../shared/operations/jobs/orchestration';
import type { AppendStore, ObjectStore } from '../../../shared/model/ports';
import type { ActivityQueue } from './activities';
import type { Faults } from './faults';
import { SimulatedOrchestration } from './orchestration';
import type { Random } from './random';
import type { Scheduler } from './scheduler';
import { countKind, countPieces } from './count-job';
import { harmfulCode, topologyName } from './topology';
import type { SimulatedWorker } from './worker';

const leaseMs = 6_000;
const budgetMs = 12_000;
const latestStartMs = 25_000;

export interface JobsOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  readonly queue: ActivityQueue;
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly onFailed: (error: unknown) => void;
}

/**
 * Jobs of a run: one that counts numbers, and one or two that redrive the dead letters of the
 * topology, whose code is mended before, or is not.
 */
export class Jobs {
  readonly ids: readonly string[];
  readonly #options: JobsOptions;
  #left: number;

  constructor(options: JobsOptions) {
    this.#options = options;
    this.ids = ['count-1', 'redrive-1', 'redrive-2'].slice(0, options.random.between(2, 3));
    this.#left = this.ids.length;
  }

  /** True when every job has been created; whether they are over is in their journals. */
  get areCreated(): boolean {
    return this.#left === 0;
  }

  async run(): Promise<void> {
    const { random, scheduler } = this.#options;
    const isMended = random.chance(0.7);
    await scheduler.sleep(null, 'thinks of jobs', random.between(1_000, latestStartMs));
    for (const id of this.ids) {
      const kind = id.split('-')[0] ?? '';
      if (kind === 'redrive' && isMended) harmfulCode.isMended = true;
      await this.#create(id, kind);
      this.#left -= 1;
      await scheduler.sleep(null, 'thinks of jobs', random.below(2_000));
    }
  }

  async #create(id: string, kind: string): Promise<void> {
    const { appends, objects, onFailed, queue, random, scheduler } = this.#options;
    const store = new JobStore({ appends, objects, clock: { nowMs: () => scheduler.nowMs } });
    const options =
      kind === 'count'
        ? { pieces: countPieces(random) }
        : {
            ...{ topology: topologyName, verdict: 'redriven', reason: 'mended', filter: {} },
            isForced: random.chance(0.5),
          };
    await store.create({ id, kind, options, by: 'simulation' });
    const input: JobInput = { jobId: id, workersMax: random.between(1, 3), budgetMs, wave: 1 };
    new SimulatedOrchestration({
      instanceId: id,
      orchestrator: job,
      input,
      scheduler,
      callActivity: (name, given, answer) => queue.call(name, given, answer),
      onFailed,
    });
  }

  /** What a worker does for a job. Undefined: it is no activity of one. */
  activity(worker: SimulatedWorker, name: string, input: never): Promise<unknown> | undefined {
    if (name !== jobActivity) return undefined;
    const { faults, random, scheduler } = this.#options;
    const { actor, recovery, served } = worker;
    const { appends, clock, runtime } = recovery;
    const request: { jobId: string; budgetMs: number } = input;
    const stages = served.map(({ plan }) => plan);
    const limitsOf = () => ({ attemptsMax: 3, ageMaxMs: 24 * 60 * 60 * 1000 });
    return workOnJob(
      {
        ...recovery,
        sleep: (milliseconds) => scheduler.sleep(actor, 'waits for a piece', milliseconds),
        randomness: { uniqueId: () => worker.uniqueId() },
        telemetry: { emit: () => undefined },
        kinds: [
          countKind({ actor, faults, random, scheduler, leaseMs }),
          redriveKind({ appends, clock, runtime, stages, limitsOf }),
        ],
      },
      {
        jobId: request.jobId,
        deadlineMs: clock.nowMs() + request.budgetMs,
        ...{ leaseMs, claimMax: 2, isPassing: true },
      },
    );
  }
}
