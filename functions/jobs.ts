/**
 * Registers jobs: the orchestration that fans one out, its activity, and the HTTP API by which
 * they are started, looked at and cancelled. What they do is in shared/operations/jobs.
 */
import type { HttpResponseInit, InvocationContext } from '@azure/functions';
import type * as DurableFunctions from 'durable-functions';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { StreamError } from '../shared/model/errors';
import { assertOptions } from '../shared/operations/jobs/job-options';
import { JobStore } from '../shared/operations/jobs/job-store';
import { workOnJob, type JobWorld } from '../shared/operations/jobs/work-on-job';
import {
  job,
  jobActivity,
  jobInstanceId,
  jobName,
  jobWorkersCeiling,
  type JobInput,
} from '../shared/operations/jobs/orchestration';

import type { FunctionApp } from './function-app';
import { readBody } from './read-body';

const leaseMs = 30_000;
const claimMax = 8;
const workersDefault = 4;

export interface JobsOptions {
  readonly world: JobWorld;
  /** What one activity may take. */
  readonly budgetMs: number;
}

const startRequest = Compile(
  Type.Object(
    {
      id: Type.Optional(Type.String()),
      kind: Type.String(),
      options: Type.Optional(Type.Unknown()),
      workers: Type.Optional(Type.Integer({ minimum: 1, maximum: jobWorkersCeiling })),
      by: Type.Optional(Type.String({ maxLength: 200 })),
    },
    { additionalProperties: false },
  ),
);

export function registerJobs(
  app: FunctionApp,
  { budgetMs, world }: JobsOptions,
  df: typeof DurableFunctions,
): void {
  const store = new JobStore(world);
  df.app.orchestration(jobName, (context) => job(context.df));
  df.app.activity(jobActivity, {
    handler: (request) => {
      const { jobId, budgetMs: granted } = request as { jobId: string; budgetMs: number };
      const deadlineMs = world.clock.nowMs() + granted;
      return workOnJob(world, { jobId, deadlineMs, leaseMs, claimMax, isPassing: true });
    },
  });
  app.http('jobs', {
    route: 'jobs',
    methods: ['GET', 'POST'],
    authLevel: 'function',
    extraInputs: [df.input.durableClient()],
    handler: async (request, context) =>
      request.method === 'GET'
        ? { jsonBody: await store.list() }
        : refusing(async () => start(await readBody(request), context)),
  });
  app.http('job', {
    route: 'jobs/{id}',
    methods: ['GET', 'DELETE'],
    authLevel: 'function',
    handler: (request) =>
      refusing(async () => {
        const id = request.params['id'] ?? '';
        const state = await store.open(id).catchUp();
        if (state.request === null) return refused(404, `there is no job ${id}`);
        if (request.method === 'DELETE') {
          const reason = request.query.get('reason') ?? 'by request';
          return { jsonBody: await store.cancel(id, 'HTTP', reason) };
        }
        return { jsonBody: { ...state.progress(), report: state.report?.summary ?? null } };
      }),
  });

  async function start(request: unknown, context: InvocationContext): Promise<HttpResponseInit> {
    if (request === undefined) return refused(400, 'the body is not JSON');
    if (!startRequest.Check(request)) {
      const [first] = startRequest.Errors(request);
      return refused(400, `the body${first?.instancePath ?? ''} ${first?.message ?? 'is wrong'}`);
    }
    const kind = world.kinds.find(({ name }) => name === request.kind);
    if (kind === undefined) {
      const names = world.kinds.map(({ name }) => name).join(', ');
      return refused(400, `the body's kind must be one of ${names}`);
    }
    const id = request.id ?? `${kind.name}-${world.randomness.uniqueId()}`;
    const { by = 'HTTP', options = {}, workers = workersDefault } = request;
    assertOptions(kind, options);
    await store.create({ id, kind: kind.name, options, by });
    const input: JobInput = { jobId: id, workersMax: workers, budgetMs, wave: 1 };
    await df.getClient(context).startNew(jobName, { instanceId: jobInstanceId(id), input });
    return { status: 202, jsonBody: { id } };
  }
}

/** What whoever asks has to mend is said to them; all else is for the host's log. */
async function refusing(work: () => Promise<HttpResponseInit>): Promise<HttpResponseInit> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StreamError && error.code === 'STREAM_CONFIGURATION_INVALID') {
      return refused(400, error.message);
    }
    throw error;
  }
}

function refused(status: number, error: string): HttpResponseInit {
  return { status, jsonBody: { error } };
}
