import type { Clock, ObjectStore, Telemetry } from '../model/ports';
import type { Runtime } from '../task/runtime';
import { Surveyor, type SurveyedStage } from './survey/surveyor';
import { cycleEvent } from './supervisor-report';

export interface PlainSupervisorWorld {
  readonly stages: readonly SurveyedStage[];
  readonly runtime: Runtime;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly isDraining: (topology: string) => Promise<boolean>;
  /** See SurveyorOptions. */
  readonly versionOf?: (topology: string) => Promise<string>;
  /** From one survey to the next, at least. */
  readonly periodMs: number;
  readonly graceMs: number;
  readonly abandonedAfterMs: number;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

/**
 * The supervisor without Durable Functions, called by a timer: one task after the other, by this
 * process alone. It surveys too, for reports and alerts; what it tends does not follow from that. While a
 * task with a long backlog is tended, for minutes, surveys go on.
 */
export class PlainSupervisor {
  readonly #world: PlainSupervisorWorld;
  readonly #surveyor: Surveyor;
  #surveyedAtMs = -Infinity;

  constructor(world: PlainSupervisorWorld) {
    this.#world = world;
    this.#surveyor = new Surveyor(world);
  }

  /** Rejects when a task could not be tended or the hubs not surveyed: the timer has failed then. */
  async cycle(deadlineMs: number): Promise<void> {
    const { abandonedAfterMs, runtime } = this.#world;
    const tending = outcomeOf(runtime.tendAbandoned({ deadlineMs, abandonedAfterMs }));
    const isOver = tending.then(() => true);
    while (!(await Promise.race([isOver, this.#pause()]))) {
      this.#signOfLife(await outcomeOf(this.#surveyWhenDue()));
    }
    const tended = await tending;
    // What cannot be tended is worth knowing all the more.
    const surveyed = await outcomeOf(this.#surveyWhenDue());
    const failures = [tended, surveyed].flatMap((one) => ('error' in one ? [one.error] : []));
    if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join('; '));
    if (failures.length === 1) throw failures[0];
    this.#signOfLife(surveyed);
  }

  #signOfLife(surveyed: Outcome<Survey | null>): void {
    if (!('result' in surveyed) || surveyed.result === null) return;
    this.#world.telemetry.emit('info', cycleEvent, surveyed.result);
  }

  async #pause(): Promise<false> {
    const { periodMs, sleep } = this.#world;
    await sleep(periodMs);
    return false;
  }

  async #surveyWhenDue(): Promise<Survey | null> {
    const { clock, periodMs, telemetry } = this.#world;
    const nowMs = clock.nowMs();
    if (nowMs - this.#surveyedAtMs < periodMs) return null;
    let [tasks, lag, unsurveyed] = [0, 0, 0];
    for (const { functionName, page } of await this.#surveyor.pages()) {
      const request = { functionName, page, settled: {}, recovering: {} };
      const survey = await this.#surveyor.survey(request);
      tasks += survey.tasks;
      lag += survey.lag;
      unsurveyed += survey.failed;
      if (survey.error === null) continue;
      const where = { functionName, partition: `page ${page}` };
      telemetry.emit('warn', 'supervisor.survey-failed', { ...where, why: survey.error });
    }
    this.#surveyedAtMs = nowMs;
    return { tasks, lag, unsurveyed };
  }
}

type Survey = Readonly<Record<'tasks' | 'lag' | 'unsurveyed', number>>;

type Outcome<Result> = { readonly result: Result } | { readonly error: unknown };

async function outcomeOf<Result>(work: Promise<Result>): Promise<Outcome<Result>> {
  try {
    return { result: await work };
  } catch (error) {
    return { error };
  }
}
