import type { Promotion } from '../model/commit';
import type { AppendStore, Clock, ObjectStore } from '../model/ports';
import type { PrepareRequest, SupervisorStatus } from './orchestrator';
import { readSurveyPage, type SurveyPage, type SurveyedTask } from './survey/surveyor';
import { readHaltMarks, type HaltMark } from '../task/halt-marks';
import { readBreakers } from '../breaker/circuit-breaker';
import { DecisionLog, type SupervisorDecision } from './decision-log';
import type { Trouble } from './plan-cycle';

/** The log line of each cycle, of the timer or the orchestration: an alert misses it. */
export const cycleEvent = 'supervisor.cycle';
const statusName = 'supervisor/status.json';
const surveysPrefix = 'supervisor/surveys/';

/** What the supervisor last said of itself. */
interface SupervisorLifeSign {
  readonly format: 1;
  readonly instanceId: string;
  /** The cycle that had begun at that time. */
  readonly cycle: number;
  readonly atMs: number;
  readonly status: SupervisorStatus | null;
  readonly troubles: readonly Trouble[];
}

/** One surveyed task, for people. */
interface TaskLine extends Pick<
  SurveyedTask,
  'hubLast' | 'lag' | 'lagSinceMs' | 'needs' | 'partition' | 'why'
> {
  readonly topology: string;
  readonly stage: string;
  readonly functionName: string;
  readonly surveyedAtMs: number;
  readonly commit: number;
  readonly lastCommittedAtMs: number;
  readonly writer: string | null;
  readonly watermarkMs: number | null;
  readonly hasOpenWindows: boolean;
  readonly unflushedRows: number;
  readonly isOutboxUnconfirmed: boolean;
  readonly promotion: Promotion | null;
}

export interface SupervisorReport {
  readonly lifeSign: SupervisorLifeSign | null;
  readonly tasks: readonly TaskLine[];
  readonly decisions: readonly SupervisorDecision[];
  /** Tasks that stopped because going on would break a promise, oldest first; of former stages too. */
  readonly halts: readonly HaltMark[];
  /** Sinks that ever kept failing, with what their breakers say now. */
  readonly breakers: Awaited<ReturnType<typeof readBreakers>>;
}

export async function putLifeSign(
  world: { readonly objects: ObjectStore; readonly clock: Clock },
  request: PrepareRequest,
): Promise<void> {
  const { cycle, instanceId, status, troubles } = request;
  const sign: SupervisorLifeSign = {
    ...{ format: 1, instanceId, cycle, status, troubles },
    atMs: world.clock.nowMs(),
  };
  await world.objects.put(statusName, Buffer.from(JSON.stringify(sign)));
}

/** Read from the store alone: it works while no worker runs. */
export async function readSupervisorReport(
  world: { readonly appends: AppendStore; readonly objects: ObjectStore; readonly clock: Clock },
  options: { readonly decisionsMax: number },
): Promise<SupervisorReport> {
  const bytes = await world.objects.get(statusName);
  const lifeSign =
    bytes === undefined
      ? null
      : (JSON.parse(Buffer.from(bytes).toString('utf8')) as SupervisorLifeSign);
  const tasks: TaskLine[] = [];
  for (const { name } of await world.objects.list(surveysPrefix)) {
    const page = readSurveyPage(await world.objects.get(name));
    if (page !== null) tasks.push(...page.tasks.map((task) => toLine(page, task)));
  }
  const decisions = await new DecisionLog(world).newest(options.decisionsMax);
  const breakers = await readBreakers(world.appends);
  const halts = await readHaltMarks(world.objects);
  return { lifeSign, tasks, decisions, halts, breakers };
}

function toLine(page: SurveyPage, task: SurveyedTask): TaskLine {
  const { digest, hubLast, lag, lagSinceMs, needs, partition, settledThrough, why } = task;
  const { functionName, stage, surveyedAtMs, topology } = page;
  const confirmed = Math.max(digest.outboxConfirmedThrough, settledThrough);
  return {
    ...{ topology, stage, functionName, partition, surveyedAtMs },
    ...{ hubLast, lag, lagSinceMs, needs, why },
    commit: digest.commit,
    lastCommittedAtMs: digest.committedAtMs,
    writer: digest.writer,
    watermarkMs: digest.watermarkMs,
    hasOpenWindows: digest.nextTimerDueMs !== null,
    unflushedRows: digest.owedRows.reduce((sum, { rows }) => sum + rows, 0),
    isOutboxUnconfirmed: (digest.lastOutbox?.commit ?? 0) > confirmed,
    promotion: digest.promotion,
  };
}
