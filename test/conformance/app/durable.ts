/**
 * Orchestrations whose histories are compared: what the host hands to each episode is written down by
 * a hook before the package sees it. Every one is deterministic in what it asks for, and in its order.
 */
import {
  app,
  type HttpRequest,
  type HttpResponseInit,
  type InvocationContext,
} from '@azure/functions';
import * as df from 'durable-functions';
import type { OrchestrationContext, Task } from 'durable-functions';
import { orchestratorNames } from './names';
import { isFirstTime, recordEpisode } from './records';

type Orchestrator = (
  context: OrchestrationContext['df'],
  input: number,
) => Generator<Task, unknown, never>;

const orchestrators: Readonly<Record<(typeof orchestratorNames)[number], Orchestrator>> = {
  'durable-chain': function* (context, input) {
    const once: number = yield context.callActivity('double', input);
    const twice: number = yield context.callActivity('double', once);
    return twice;
  },
  'durable-fan-out': function* (context, input) {
    const tasks = [0, 1, 2].map((index) => context.callActivity('double', input + index));
    const results: number[] = yield context.Task.all(tasks);
    return results;
  },
  'durable-timer': function* (context) {
    yield context.createTimer(new Date(context.currentUtcDateTime.getTime() + 500));
    return 'fired';
  },
  'durable-timeout': function* (context, input) {
    const work = context.callActivity('double', input);
    const limit = context.createTimer(new Date(context.currentUtcDateTime.getTime() + 3_600_000));
    const first: Task = yield context.Task.any([work, limit]);
    // One that nobody cancels holds the end back.
    limit.cancel();
    return first === work ? work.result : 'over';
  },
  'durable-event': function* (context, input) {
    const doubled: number = yield context.callActivity('double', input);
    const raised: number = yield context.waitForExternalEvent('go');
    return doubled + raised;
  },
  'durable-retry': function* (context) {
    const twice = new df.RetryOptions(100, 2);
    const result: string = yield context.callActivityWithRetry(
      'fails-once',
      twice,
      context.instanceId,
    );
    return result;
  },
  'durable-failure': function* (context) {
    try {
      yield context.callActivity('fails', 'on purpose');
      return 'did not fail';
    } catch (error) {
      const next: number = yield context.callActivity('double', 2);
      return [String(error).includes('on purpose'), next];
    }
  },
  'durable-parent': function* (context, input) {
    const child = `${context.instanceId}-child`;
    const result: number = yield context.callSubOrchestrator('durable-child', input, child);
    return result;
  },
  'durable-child': function* (context, input) {
    const result: number = yield context.callActivity('double', input);
    return result;
  },
  'durable-again': function* (context, input) {
    const doubled: number = yield context.callActivity('double', input);
    if (doubled < 4) context.continueAsNew(doubled);
    return doubled;
  },
};

for (const name of orchestratorNames) {
  const run = orchestrators[name];
  df.app.orchestration(name, function* (context) {
    const input = context.df.getInput<number>() ?? 0;
    // Each knows the type of what it yields for; to the package all of them are unknown.
    return yield* run(context.df, input) as Generator<Task, unknown, unknown>;
  });
}

df.app.activity('double', { handler: (number: number) => 2 * number });
df.app.activity('fails', {
  handler: (message: string) => {
    throw new Error(message);
  },
});
df.app.activity('fails-once', {
  handler: async (instanceId: string) => {
    if (await isFirstTime(`${instanceId}/failed`)) throw new Error('the first time');
    return 'the second time';
  },
});

app.hook.preInvocation(async ({ inputs, invocationContext }) => {
  const { functionName, invocationId } = invocationContext;
  const name = orchestratorNames.find((one) => one.toLowerCase() === functionName.toLowerCase());
  if (name !== undefined) await recordEpisode(name, invocationId, inputs[0]);
});

const withClient = {
  authLevel: 'function' as const,
  extraInputs: [df.input.durableClient()],
};

app.http('durable-start', {
  ...withClient,
  route: 'conformance/durable/{orchestrator}/{instanceId}',
  methods: ['POST'],
  handler: async (request, context) => {
    const { instanceId = '', orchestrator = '' } = request.params;
    const input: unknown = await request.json();
    return { jsonBody: await df.getClient(context).startNew(orchestrator, { instanceId, input }) };
  },
});

app.http('durable-status', {
  ...withClient,
  route: 'conformance/durable-status/{instanceId}',
  methods: ['GET'],
  handler: status,
});

app.http('durable-raise', {
  ...withClient,
  route: 'conformance/durable-raise/{instanceId}/{event}',
  methods: ['POST'],
  handler: async (request, context) => {
    const { event = '', instanceId = '' } = request.params;
    await df.getClient(context).raiseEvent(instanceId, event, await request.json());
    return { status: 204 };
  },
});

/** From the management API itself: the package's `getStatus` looks for the history by another name. */
async function status(request: HttpRequest, context: InvocationContext): Promise<HttpResponseInit> {
  const client = df.getClient(context);
  const instanceId = request.params['instanceId'] ?? '';
  const { statusQueryGetUri } = client.createHttpManagementPayload(instanceId);
  const response = await fetch(`${statusQueryGetUri}&showHistory=true&showHistoryOutput=true`);
  return { jsonBody: await response.json() };
}
