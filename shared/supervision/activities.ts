import type { AppendStore, Clock, FaultPoint, ObjectStore, Telemetry } from '../model/ports';
import type { Runtime } from '../task/runtime';
import type { CyclePreparation, CycleRecord, PrepareRequest } from './orchestrator';
import {
  Surveyor,
  type SurveyRequest,
  type SurveyResult,
  type SurveyedStage,
} from './survey/surveyor';
import { DecisionLog } from './decision-log';
import type { SupervisorLimits, TendOutcome, TendPiece } from './plan-cycle';
import { cycleEvent, putLifeSign } from './supervisor-report';
import { tendPiece } from './tender';

/** Decisions are kept for a week, and old ones deleted once in so many cycles. */
const decisionRetentionMs = 7 * 24 * 60 * 60 * 1000;
const forgetEveryCycles = 240;

export interface SupervisorWorld {
  readonly stages: readonly SurveyedStage[];
  readonly runtime: Runtime;
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly faultPoint: FaultPoint;
  readonly worker: string;
  readonly isDraining: (topology: string) => Promise<boolean>;
  /** See SurveyorOptions. */
  readonly versionOf?: (topology: string) => Promise<string>;
  readonly limits: SupervisorLimits;
  readonly graceMs: number;
  readonly messagesMax: number;
}

/** Limits from the few settings that there are. `batchMs`: what an invocation may take. */
export function supervisorLimits(settings: {
  readonly periodMs: number;
  readonly stallAfterMs: number;
  readonly batchMs: number;
}): SupervisorLimits {
  const tendBudgetMs = Math.min(settings.batchMs, Math.max(10_000, settings.periodMs));
  return {
    periodMs: settings.periodMs,
    concurrencyMax: 16,
    piecesMax: 64,
    roundsMax: 3,
    lightTasksPerPiece: 8,
    tendBudgetMs,
    overrunAfterMs: Math.ceil(tendBudgetMs * 1.5),
    attemptsMax: 5,
    markedRetryCycles: 20,
  };
}

/** What the supervisor's activities do: each may be run twice, at once or later, without harm. */
export class SupervisorActivities {
  readonly #world: SupervisorWorld;
  readonly #surveyor: Surveyor;
  readonly #decisions: DecisionLog;

  constructor(world: SupervisorWorld) {
    this.#world = world;
    this.#surveyor = new Surveyor(world);
    this.#decisions = new DecisionLog(world);
  }

  async prepare(request: PrepareRequest): Promise<CyclePreparation> {
    const { clock, limits, telemetry } = this.#world;
    await putLifeSign(this.#world, request);
    if (request.cycle % forgetEveryCycles === 0) {
      await this.#decisions.forgetBefore(clock.nowMs() - decisionRetentionMs);
    }
    const pages = await this.#surveyor.pages();
    telemetry.emit('info', cycleEvent, { ...request.status, cycle: request.cycle });
    return { pages, limits };
  }

  survey(request: SurveyRequest): Promise<SurveyResult> {
    return this.#surveyor.survey(request);
  }

  tend(request: { cycle: number; piece: TendPiece }): Promise<readonly TendOutcome[]> {
    return tendPiece({ ...this.#world, decisions: this.#decisions }, request);
  }

  /** Says aloud and writes down what was decided beside the tending: `marked` lines are for alerts. */
  async record({ cycle, notes }: CycleRecord): Promise<void> {
    const { clock, telemetry, worker } = this.#world;
    for (const { kind, ...fields } of notes) {
      const level = kind === 'marked' ? 'error' : kind === 'mended' ? 'info' : 'warn';
      telemetry.emit(level, `supervisor.${kind}`, { ...fields, cycle });
    }
    await this.#decisions.add(
      notes.map((note) => ({
        ...note,
        ...{ atMs: clock.nowMs(), cycle, worker, needs: [], result: null, error: null },
      })),
    );
  }
}
