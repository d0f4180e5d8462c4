import type { Finding, SurveyRequest, SurveyResult } from './survey/surveyor';
import {
  emptyMemory,
  memoryOf,
  planPieces,
  settleWave,
  type SupervisorLimits,
  type SupervisorMemory,
  type SupervisorNote,
  type TendOutcome,
  type TendPiece,
  type Trouble,
} from './plan-cycle';
import { callAll, type Orchestration, type Orchestrator } from '../orchestration/orchestration';

/** The one instance: whoever starts it under this id starts the same one. */
export const supervisorInstanceId = 'millrace-supervisor';
export const supervisorName = 'millraceSupervisor';

/** Names of its activities. */
export const supervisorActivities = {
  prepare: 'millraceSupervisorPrepare',
  survey: 'millraceSupervisorSurvey',
  tend: 'millraceSupervisorTend',
  record: 'millraceSupervisorRecord',
} as const;

export interface SupervisorInput {
  readonly cycle: number;
  readonly memory: SupervisorMemory;
  /** Of the cycle before. */
  readonly status: SupervisorStatus | null;
}

/** Tells the store where the supervisor is, for whoever asks. */
export interface PrepareRequest {
  readonly cycle: number;
  readonly instanceId: string;
  readonly status: SupervisorStatus | null;
  readonly troubles: readonly Trouble[];
}

/** What a cycle begins with: read anew each time, so that a changed setting counts from the next. */
export interface CyclePreparation {
  readonly pages: readonly { readonly functionName: string; readonly page: number }[];
  readonly limits: SupervisorLimits;
}

/** Recorded at a cycle's end. */
export interface CycleRecord {
  readonly cycle: number;
  readonly notes: readonly SupervisorNote[];
}

/** Shown as the instance's custom status: at most 16 KB. */
export interface SupervisorStatus {
  readonly cycle: number;
  readonly cycleStartedAt: string;
  readonly tasks: number;
  readonly lag: number;
  readonly pieces: number;
  readonly deferred: number;
  readonly unsurveyed: number;
  readonly troubled: number;
  /** Tasks whose attempts are used up: an operator is needed. The first twenty. */
  readonly marked: readonly string[];
}

/** One that is started without an input, by hand, begins so too. */
export const firstInput: SupervisorInput = { cycle: 1, memory: emptyMemory, status: null };

const markedShownMax = 20;
const troublesToldMax = 200;
const firstRetryMs = 10_000;
const prepareTimeoutMs = 60_000;

/**
 * One cycle of the supervisor, for ever: survey all tasks, decide, fan out, try again what failed,
 * record, wait, begin anew with an empty history. Whatever it asks for may be done twice: the commit
 * logs fence it. So may the supervisor itself.
 */
export function* supervisor(context: Orchestration): Orchestrator<void> {
  const {
    cycle,
    memory: before,
    status: statusBefore,
  } = context.getInput<SupervisorInput | '' | null>() || firstInput;
  const startedAtMs = context.currentUtcDateTime.getTime();
  const [prepared] = yield* callAll<CyclePreparation>(context, {
    name: supervisorActivities.prepare,
    inputs: [
      {
        ...{ cycle, instanceId: context.instanceId, status: statusBefore },
        troubles: Object.values(before.troubles).slice(0, troublesToldMax),
      } satisfies PrepareRequest,
    ],
    timeoutMs: prepareTimeoutMs,
  });
  const preparation = prepared?.result;
  if (preparation === undefined || preparation === null) {
    // The hubs or the store are out of reach: nothing can be known now.
    context.setCustomStatus({ cycle, error: prepared?.error ?? 'no worker prepared the cycle' });
    yield context.createTimer(new Date(context.currentUtcDateTime.getTime() + firstRetryMs));
    const again: SupervisorInput = { cycle: cycle + 1, memory: before, status: statusBefore };
    context.continueAsNew(again);
    return;
  }
  const { limits, pages } = preparation;
  const notes: SupervisorNote[] = [];
  const survey = yield* surveyAll(context, { pages, memory: before, limits, notes });
  const planned = planPieces(survey.findings, before, cycle, limits);
  let memory = stillTroubled({ ...before, settled: {} }, survey);
  let pieces: readonly TendPiece[] = planned.pieces;
  let tended = 0;
  for (let round = 1; pieces.length > 0; round += 1) {
    const again: TendPiece[] = [];
    for (let start = 0; start < pieces.length; start += limits.concurrencyMax) {
      const wave = pieces.slice(start, start + limits.concurrencyMax);
      tended += wave.length;
      const results = yield* callAll<readonly TendOutcome[]>(context, {
        name: supervisorActivities.tend,
        inputs: wave.map((piece) => ({ cycle, piece })),
        timeoutMs: limits.overrunAfterMs,
      });
      const settled = settleWave(
        wave.map((piece, index) => ({
          piece,
          outcomes: results[index]?.result ?? null,
          error: results[index]?.error ?? null,
        })),
        memory,
        { cycle, round, nowMs: context.currentUtcDateTime.getTime(), limits },
      );
      memory = settled.memory;
      notes.push(...settled.notes);
      again.push(...settled.again);
    }
    pieces = again.slice(0, limits.piecesMax);
  }
  if (notes.length > 0) {
    yield* callAll(context, {
      name: supervisorActivities.record,
      inputs: [{ cycle, notes } satisfies CycleRecord],
      timeoutMs: limits.overrunAfterMs,
    });
  }
  const troubles = Object.entries(memory.troubles);
  const marked = troubles.filter(([, { isMarked }]) => isMarked).map(([key]) => key);
  const status: SupervisorStatus = {
    cycle,
    cycleStartedAt: new Date(startedAtMs).toISOString(),
    tasks: survey.tasks,
    lag: survey.lag,
    pieces: tended,
    deferred: planned.deferred.length,
    unsurveyed: survey.failed,
    troubled: troubles.length,
    marked: marked.slice(0, markedShownMax),
  };
  context.setCustomStatus(status);
  const nextAtMs = startedAtMs + limits.periodMs;
  if (nextAtMs > context.currentUtcDateTime.getTime()) {
    yield context.createTimer(new Date(nextAtMs));
  }
  context.continueAsNew({ cycle: cycle + 1, memory, status } satisfies SupervisorInput);
}

interface Survey {
  readonly findings: readonly Finding[];
  readonly tasks: number;
  readonly lag: number;
  readonly failed: number;
  /** Functions all of whose pages were surveyed. */
  readonly surveyed: ReadonlySet<string>;
}

function* surveyAll(
  context: Orchestration,
  cycle: {
    readonly pages: CyclePreparation['pages'];
    readonly memory: SupervisorMemory;
    readonly limits: SupervisorLimits;
    readonly notes: SupervisorNote[];
  },
): Generator<ReturnType<Orchestration['callActivity']>, Survey, unknown> {
  const { limits, memory, notes, pages } = cycle;
  const findings: Finding[] = [];
  const unsurveyed = new Set<string>();
  let [tasks, lag, failed] = [0, 0, 0];
  for (let start = 0; start < pages.length; start += limits.concurrencyMax) {
    const wave = pages.slice(start, start + limits.concurrencyMax);
    const results = yield* callAll<SurveyResult>(context, {
      name: supervisorActivities.survey,
      inputs: wave.map(({ functionName, page }): SurveyRequest => ({
        functionName,
        page,
        settled: memoryOf(memory.settled, functionName),
        recovering: memoryOf(memory.recovering, functionName),
      })),
      timeoutMs: limits.overrunAfterMs,
    });
    wave.forEach(({ functionName, page }, index) => {
      const survey = results[index]?.result ?? null;
      const error = survey === null ? (results[index]?.error ?? 'it took too long') : survey.error;
      if (survey !== null) {
        findings.push(...survey.findings);
        tasks += survey.tasks;
        lag += survey.lag;
        failed += survey.failed;
      }
      if (error === null) return;
      unsurveyed.add(functionName);
      const where = { functionName, partition: `page ${page}` };
      notes.push({ ...where, kind: 'survey-failed', attempt: 1, why: error });
    });
  }
  const surveyed = new Set(
    pages.map(({ functionName }) => functionName).filter((name) => !unsurveyed.has(name)),
  );
  return { findings, tasks, lag, failed, surveyed };
}

/** A task that a whole survey says needs nothing is in no trouble: somebody else saw to it. */
function stillTroubled(memory: SupervisorMemory, survey: Survey): SupervisorMemory {
  const needing = new Set(
    survey.findings.map(({ functionName, partition }) => `${functionName}/${partition}`),
  );
  const isOver = (key: string): boolean =>
    !needing.has(key) && survey.surveyed.has(key.slice(0, key.lastIndexOf('/')));
  const kept = <Value>(values: Readonly<Record<string, Value>>): Record<string, Value> =>
    Object.fromEntries(Object.entries(values).filter(([key]) => !isOver(key)));
  return {
    ...memory,
    troubles: kept(memory.troubles),
    recovering: kept(memory.recovering),
  };
}
