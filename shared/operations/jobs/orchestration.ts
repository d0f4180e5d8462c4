import type { JobProgress } from './job-state';
import { callAll, type Orchestration, type Orchestrator } from '../../orchestration/orchestration';

export const jobName = 'millraceJob';
export const jobActivity = 'millraceJobWork';

/** The instance of a job: started twice under one id, it is one. */
export function jobInstanceId(jobId: string): string {
  return `millrace-job-${jobId}`;
}

export interface JobInput {
  readonly jobId: string;
  /** Activities that work on the job at the same time. */
  readonly workersMax: number;
  readonly budgetMs: number;
  /** Waves so far. */
  readonly wave: number;
}

/** Activities of one wave, at most. */
export const jobWorkersCeiling = 200;
const pauseMs = 2_000;

/**
 * Fans a job out to a bounded number of activities, wave after wave, until it is over. Which piece
 * is whose is decided in the job's journal, not here: so the history of one execution is as long as
 * the number of workers, however many pieces there are, and it is thrown away after each wave.
 */
export function* job(context: Orchestration): Orchestrator<JobProgress | null> {
  const input = context.getInput<JobInput>();
  const { budgetMs, jobId, wave } = input;
  const workers = Math.min(jobWorkersCeiling, Math.max(1, input.workersMax));
  const results = yield* callAll<JobProgress>(context, {
    name: jobActivity,
    inputs: Array.from({ length: workers }, () => ({ jobId, budgetMs })),
    // Whoever is not back by then has died or hangs: its pieces' leases run out by themselves.
    timeoutMs: Math.ceil(budgetMs * 1.5),
  });
  const answers = results.flatMap(({ result }) => (result === null ? [] : [result]));
  const newest = answers.sort((left, right) => right.changedAtMs - left.changedAtMs)[0] ?? null;
  if (newest !== null) context.setCustomStatus(newest);
  if (newest !== null && ['completed', 'failed', 'cancelled'].includes(newest.status)) {
    return newest;
  }
  if (newest === null) context.setCustomStatus({ jobId, wave, error: firstError(results) });
  yield context.createTimer(new Date(context.currentUtcDateTime.getTime() + pauseMs));
  context.continueAsNew({ ...input, wave: wave + 1 } satisfies JobInput);
  return newest;
}

function firstError(results: readonly { readonly error: string | null }[]): string {
  return results.find(({ error }) => error !== null)?.error ?? 'no worker answered in time';
}
