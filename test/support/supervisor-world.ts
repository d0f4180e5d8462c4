/** The supervisor over a StageWorld: its orchestration replayed, its activities on live workers. */
import { SupervisorActivities, supervisorLimits } from '../../shared/supervision/activities';
import type { SupervisorLimits } from '../../shared/supervision/plan-cycle';
import {
  supervisor,
  supervisorActivities,
  type SupervisorInput,
} from '../../shared/supervision/orchestrator';
import type { Runtime } from '../../shared/task/runtime';
import { runOrchestration, type RunResult } from './durable-replay';
import type { StageWorld } from './stage-world';

export interface SupervisorWorldOptions {
  readonly limits?: Partial<SupervisorLimits>;
  readonly graceMs?: number;
  /** The worker that runs the n-th activity: by default a new one each time. */
  readonly runtime?: () => Runtime;
  /** Called before each activity; undefined: it runs. */
  readonly before?: (name: string, input: never) => Promise<unknown> | 'hang' | undefined;
}

export class SupervisorWorld {
  readonly world: StageWorld;
  readonly activities: SupervisorActivities;
  readonly clock: { nowMs: number };
  input: SupervisorInput | null = null;
  readonly #options: SupervisorWorldOptions;

  constructor(world: StageWorld, options: SupervisorWorldOptions = {}) {
    this.world = world;
    this.#options = options;
    const clock = { nowMs: () => world.nowMs };
    this.clock = {
      get nowMs() {
        return world.nowMs;
      },
      set nowMs(nowMs: number) {
        world.nowMs = nowMs;
      },
    };
    const served = world.served('surveyor');
    const runtime = options.runtime ?? (() => world.worker());
    this.activities = new SupervisorActivities({
      stages: served,
      get runtime() {
        return runtime();
      },
      ...{ appends: world.appends, objects: world.objects, clock },
      telemetry: {
        emit: (_level, event, fields) => world.events.push({ event, fields }),
      },
      faultPoint: () => undefined,
      worker: 'tender',
      isDraining: async () => world.isDraining,
      limits: {
        ...supervisorLimits({ periodMs: 10_000, stallAfterMs: 15_000, batchMs: 60_000 }),
        ...options.limits,
      },
      graceMs: options.graceMs ?? 4_000,
      messagesMax: 1_000,
    });
  }

  /** One cycle; the next begins where it ended. */
  async cycle(): Promise<RunResult> {
    const { prepare, record, survey, tend } = supervisorActivities;
    const { activities } = this;
    const wrap =
      (name: string, run: (input: never) => Promise<unknown>) =>
      (input: never): Promise<unknown> | undefined => {
        const instead = this.#options.before?.(name, input);
        if (instead === 'hang') return undefined;
        return instead ?? run(input);
      };
    const result = await runOrchestration({
      orchestrator: supervisor,
      input: this.input,
      clock: this.clock,
      activities: {
        [prepare]: wrap(prepare, (input) => activities.prepare(input)),
        [survey]: wrap(survey, (input) => activities.survey(input)),
        [tend]: wrap(tend, (input) => activities.tend(input)),
        [record]: wrap(record, (input) => activities.record(input)),
      },
    });
    this.input = result.continuedWith as SupervisorInput;
    return result;
  }
}
