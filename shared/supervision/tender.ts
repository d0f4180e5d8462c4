import type { Clock, FaultPoint, Telemetry } from '../model/ports';
import type { Runtime } from '../task/runtime';
import type { DecisionLog, SupervisorDecision } from './decision-log';
import type { TendOutcome, TendPiece, TendTarget } from './plan-cycle';

/** Where tests kill a worker that tends for the supervisor. */
export const tenderFaultPoints = ['supervisor.before-tend', 'supervisor.after-tend'] as const;

export interface TenderOptions {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly decisions: DecisionLog;
  readonly worker: string;
  readonly faultPoint: FaultPoint;
  /** Messages of one read of waiting input, at the first attempt. */
  readonly messagesMax: number;
}

/**
 * Does what the supervisor asks of one piece. It never rejects for what a task does: a failure is an
 * outcome. Whatever it does may be done by others at the same time: the commit logs decide.
 */
export async function tendPiece(
  options: TenderOptions,
  request: { readonly cycle: number; readonly piece: TendPiece },
): Promise<readonly TendOutcome[]> {
  const { clock, decisions, faultPoint, telemetry, worker } = options;
  const { cycle, piece } = request;
  const deadlineMs = clock.nowMs() + piece.budgetMs;
  const outcomes: TendOutcome[] = [];
  for (const target of piece.targets) {
    await faultPoint('supervisor.before-tend');
    const outcome = await tendTarget(options, target, deadlineMs);
    await faultPoint('supervisor.after-tend');
    outcomes.push(outcome);
    const { attempt, functionName, needs, partition, why } = target;
    telemetry.emit(outcome.result === 'failed' ? 'warn' : 'info', 'supervisor.tended', {
      ...{ functionName, partition, needs, why, attempt, cycle },
      result: outcome.result,
      error: outcome.error,
    });
  }
  try {
    await decisions.add(piece.targets.map((target, index) => toDecision(target, outcomes[index])));
  } catch (error) {
    // What was done is in the commit logs; that it was told of is worth less than the outcome.
    telemetry.emit('warn', 'supervisor.decisions-not-recorded', { error: String(error) });
  }
  return outcomes;

  function toDecision(target: TendTarget, outcome: TendOutcome | undefined): SupervisorDecision {
    const { attempt, functionName, needs, partition, why } = target;
    return {
      ...{ atMs: clock.nowMs(), cycle, kind: 'tended' as const, worker },
      ...{ functionName, partition, needs, why, attempt },
      result: outcome?.result ?? null,
      error: outcome?.error ?? null,
    };
  }
}

async function tendTarget(
  options: TenderOptions,
  target: TendTarget,
  deadlineMs: number,
): Promise<TendOutcome> {
  const { clock, runtime, worker } = options;
  const { attempt, functionName, needs, partition } = target;
  const who = { functionName, partition, worker };
  if (clock.nowMs() >= deadlineMs) {
    const error = 'the time of its piece was over before its turn came';
    return { ...who, result: 'failed', commit: target.commit, error };
  }
  try {
    const isRecovery = needs.includes('recover');
    const report = await runtime.tendTask({
      ...{ functionName, partition, deadlineMs, isRecovery },
      // Smaller with each attempt: what fails at a thousand may get through at fifteen.
      messagesMax: Math.max(1, Math.floor(options.messagesMax / 4 ** (attempt - 1))),
    });
    const { commit } = report;
    if (report.isElsewhere) return { ...who, result: 'elsewhere', commit, error: null };
    const isCut = isRecovery && clock.nowMs() >= deadlineMs;
    if (isCut && report.commits === 0) {
      return { ...who, result: 'failed', commit, error: 'no commit in the time of its piece' };
    }
    const isDone = !isCut && report.isOutboxSent;
    return { ...who, result: isDone ? 'done' : 'more', commit, error: null };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { ...who, result: 'failed', commit: target.commit, error: text.slice(0, 300) };
  }
}
