import { JobStore } from '../../shared/operations/jobs/job-store';
import type { JobProgress } from '../../shared/operations/jobs/job-state';
import { workOnJob } from '../../shared/operations/jobs/work-on-job';
import type { App } from '../app';
import { WrongUse } from '../arguments';
import { openEngine, type EngineLocation } from '../engine';
import type { Output } from '../output';
import { systemClock } from '../../shared/adapters/process-world';
import type { Store } from '../store';

const leaseMs = 30_000;
const claimMax = 4;
const pollMs = 1_000;

export interface JobFlags {
  /** Address of the running app: its workers do the job. Absent: this process does. */
  readonly on?: string;
  readonly key?: string;
  readonly workers: number;
}

interface JobAnswer extends JobProgress {
  readonly report: unknown;
}

/**
 * Runs a job to its end: in this process, or on the app's workers. Ctrl-C leaves it where it is:
 * `millrace jobs <id> --resume` goes on with it.
 * @returns true when there is nothing for an operator to look at
 */
export async function runJob(
  job: { readonly kind: string; readonly options: unknown; readonly id?: string },
  context: {
    readonly app: App;
    readonly location: EngineLocation;
    readonly flags: JobFlags;
    readonly output: Output;
  },
): Promise<boolean> {
  const { flags, output } = context;
  const answer =
    flags.on === undefined ? await runHere(job, context) : await runThere(job, flags, output);
  output.result(answer, jobText(answer));
  return answer.status === 'completed';
}

async function runHere(
  job: { readonly kind: string; readonly options: unknown; readonly id?: string },
  {
    app,
    location,
    output,
  }: { readonly app: App; readonly location: EngineLocation; readonly output: Output },
): Promise<JobAnswer> {
  const engine = openEngine(app.topologies, location, (line) => output.say(line));
  try {
    const store = new JobStore(engine.jobs);
    const id = job.id ?? newId(job.kind);
    if (job.id === undefined) await store.create({ ...job, id, by: 'millrace' });
    else await assertThere(store, job.id);
    await workOnJob(engine.jobs, {
      ...{ jobId: id, deadlineMs: Infinity, leaseMs, claimMax },
      onProgress: (progress) => output.progress(progressText(progress)),
    });
    return await answerOf(store, id);
  } finally {
    await engine.close();
  }
}

async function assertThere(jobs: JobStore, id: string): Promise<void> {
  const { request } = await jobs.open(id).catchUp();
  if (request === null) throw new WrongUse(`there is no job ${id}: see millrace jobs`);
}

async function answerOf(store: JobStore, id: string): Promise<JobAnswer> {
  const state = await store.open(id).catchUp();
  return { ...state.progress(), report: state.report?.summary ?? null };
}

async function runThere(
  job: { readonly kind: string; readonly options: unknown },
  flags: JobFlags,
  output: Output,
): Promise<JobAnswer> {
  const address = `${flags.on}/api/jobs`;
  const headers = {
    'content-type': 'application/json',
    ...(flags.key !== undefined && { 'x-functions-key': flags.key }),
  };
  const body = JSON.stringify({ ...job, by: 'millrace', workers: flags.workers });
  const { id } = await ask<{ id: string }>(address, { method: 'POST', headers, body });
  output.say(`job ${id} runs on the workers of ${flags.on}`);
  for (;;) {
    const answer = await ask<JobAnswer>(`${address}/${id}`, { headers });
    output.progress(progressText(answer));
    if (['completed', 'failed', 'cancelled'].includes(answer.status)) return answer;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function ask<Answer>(address: string, request: RequestInit): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(address, request);
  } catch (cause) {
    throw new Error(
      `${address} does not answer: is the app running there? Without --on the job runs in this process`,
      { cause },
    );
  }
  if (response.ok) return (await response.json()) as Answer;
  if (response.status === 404) {
    throw new Error(
      `${address} is not there: the app runs without Durable Functions (set MILLRACE_SUPERVISOR=durable); without --on the job runs in this process`,
    );
  }
  throw new Error(
    `${address} answered ${response.status}: ${(await response.text()).slice(0, 300)}`,
  );
}

/** Lists jobs, shows one, cancels one, or goes on with one. */
export async function showJobs(
  store: Store,
  request: { readonly id?: string; readonly cancel?: string },
  output: Output,
): Promise<boolean> {
  const jobs = new JobStore({ appends: store.appends, objects: store.commits, clock: systemClock });
  const { cancel, id } = request;
  if (id === undefined) {
    const all = await jobs.list();
    const lines = all.map(progressText);
    output.result(all, lines.length === 0 ? 'No jobs.' : lines.join('\n'));
    return true;
  }
  await assertThere(jobs, id);
  if (cancel !== undefined) await jobs.cancel(id, 'millrace', cancel);
  const answer = await answerOf(jobs, id);
  output.result(answer, jobText(answer));
  return answer.status !== 'failed';
}

function newId(kind: string): string {
  return `${kind}-${new Date().toISOString().slice(0, 19).replaceAll(/[:T]/g, '-').toLowerCase()}-${process.pid}`;
}

function progressText(progress: JobProgress): string {
  const { failed, finished, id, kind, pieces, reassigned, running, status } = progress;
  const share = pieces === 0 ? '' : ` ${Math.floor(((finished + failed) / pieces) * 100)} %`;
  const parts = [
    `${id} (${kind}) ${status}${share}`,
    `${finished} of ${pieces} pieces`,
    ...(running > 0 ? [`${running} running`] : []),
    ...(reassigned > 0 ? [`${reassigned} reassigned`] : []),
    ...(failed > 0 ? [`${failed} FAILED`] : []),
  ];
  return parts.join('  ');
}

function jobText(answer: JobAnswer): string {
  const report = answer.report === null ? [] : [JSON.stringify(answer.report, null, 2)];
  return [progressText(answer), ...report].join('\n');
}
