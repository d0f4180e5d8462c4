import {
  firstInput,
  supervisor,
  supervisorActivities,
} from '../../../shared/supervision/orchestrator';
import { SupervisorActivities, supervisorLimits } from '../../../shared/supervision/activities';
import type { TendOutcome, TendPiece } from '../../../shared/supervision/plan-cycle';
import { watch } from '../../../shared/supervision/watchdog';
import type { Telemetry } from '../../../shared/model/ports';
import type { ActivityQueue } from './activities';
import type { Random } from './random';
import type { Scheduler } from './scheduler';
import type { SimulatedWorker } from './worker';
import { SimulatedOrchestration } from './orchestration';

const periodMs = 12_000;
const watchEveryMs = 10_000;

const limits = {
  ...supervisorLimits({ periodMs, stallAfterMs: 5_000, batchMs: 60_000 }),
  tendBudgetMs: 10_000,
  overrunAfterMs: 15_000,
  attemptsMax: 3,
  markedRetryCycles: 3,
};
const stuckAfterMs = periodMs + 4 * limits.overrunAfterMs;

/** What one worker says that it tended, and that it wrote down. */
export interface ToldTending {
  readonly worker: string;
  readonly cycle: number;
  readonly functionName: string;
  readonly partition: string;
  readonly attempt: number;
  readonly result: TendOutcome['result'];
}

export interface SupervisionOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly queue: ActivityQueue;
  readonly onFailed: (error: unknown) => void;
}

/** The Durable supervisor: its orchestration, its watchdog, and whoever else started another. */
export class Supervision {
  readonly told: ToldTending[] = [];
  readonly #options: SupervisionOptions;
  readonly #others: SimulatedOrchestration[] = [];
  #one: SimulatedOrchestration | null = null;
  #started = 0;

  constructor(options: SupervisionOptions) {
    this.#options = options;
  }

  /** The watchdog's timer: what it does is decided by the watchdog's own code. */
  async run(): Promise<void> {
    const { random, scheduler } = this.#options;
    for (;;) {
      const action = watch(this.#one, { nowMs: scheduler.nowMs, stuckAfterMs });
      if (action.kind !== 'leave') scheduler.note(null, `supervisor: ${action.why}`);
      if (action.kind === 'replace') this.#one?.terminate();
      if (action.kind === 'start') this.#one = this.#start();
      await scheduler.sleep(null, 'watches the supervisor', random.between(5_000, watchEveryMs));
    }
  }

  /** It is ended in the middle of whatever it does: what it knew is gone. */
  kill(): boolean {
    const isRunning = this.#one?.runtimeStatus === 'Running';
    this.#one?.terminate();
    return isRunning;
  }

  /** Nothing reaches it any more. */
  getStuck(): boolean {
    if (this.#one === null || this.#one.isStuck) return false;
    this.#one.isStuck = true;
    return true;
  }

  startAnother(): boolean {
    if (this.#others.length >= 2) return false;
    this.#others.push(this.#start());
    return true;
  }

  #start(): SimulatedOrchestration {
    const { onFailed, queue, scheduler } = this.#options;
    this.#started += 1;
    return new SimulatedOrchestration({
      instanceId: `supervisor-${this.#started}`,
      orchestrator: supervisor,
      input: firstInput,
      scheduler,
      callActivity: (name, input, answer) => queue.call(name, input, answer),
      onFailed,
    });
  }

  /** What a worker does for a supervisor. Undefined: it is none of its activities. */
  activity(worker: SimulatedWorker, name: string, input: never): Promise<unknown> | undefined {
    let isRecorded = true;
    const telemetry: Telemetry = {
      emit: (_level, event) => {
        if (event === 'supervisor.decisions-not-recorded') isRecorded = false;
      },
    };
    const activities = new SupervisorActivities({
      ...worker.recovery,
      telemetry,
      stages: worker.served,
      limits,
      graceMs: 2_000,
      messagesMax: 100,
    });
    switch (name) {
      case supervisorActivities.prepare:
        return activities.prepare(input);
      case supervisorActivities.survey:
        return activities.survey(input);
      case supervisorActivities.record:
        return activities.record(input);
      case supervisorActivities.tend: {
        const request: { cycle: number; piece: TendPiece } = input;
        return activities.tend(request).then((outcomes) => {
          if (isRecorded) this.#tell(worker, request, outcomes);
          return outcomes;
        });
      }
      default:
        return undefined;
    }
  }

  #tell(
    worker: SimulatedWorker,
    { cycle, piece }: { readonly cycle: number; readonly piece: TendPiece },
    outcomes: readonly TendOutcome[],
  ): void {
    piece.targets.forEach(({ attempt, functionName, partition }, index) => {
      const result = outcomes[index]?.result ?? 'failed';
      const told = { cycle, functionName, partition, attempt, result };
      this.told.push({ ...told, worker: worker.actor.name });
    });
  }
}
