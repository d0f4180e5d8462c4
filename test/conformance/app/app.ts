/**
 * A function app that writes down what its host gives it. It holds no opinion: what is right is in
 * test/conformance/checks, and the runner compares. Everything goes through the app, so that one
 * address is all the runner needs, of `func start`, of a deployment, or of the local host.
 */
import { app, type HttpResponseInit } from '@azure/functions';
import { checkpoints } from './checkpoints';
import './durable';
import { hubFunctions } from './hub-functions';
import { hubName } from './names';
import { recorded, recordTimer } from './records';
import { sendEvents, type SendRequest } from './send';

const json = (jsonBody: unknown): HttpResponseInit => ({ jsonBody });

for (const { handler, name, options } of hubFunctions) {
  app.eventHub(name, {
    connection: 'EventHubConnection',
    eventHubName: hubName,
    consumerGroup: name,
    ...options,
    handler,
  });
}

app.timer('beat', { schedule: '*/3 * * * * *', handler: recordTimer });

app.http('send', {
  route: 'conformance/send',
  methods: ['POST'],
  authLevel: 'function',
  handler: async (request) => json(await sendEvents((await request.json()) as SendRequest)),
});

app.http('records', {
  route: 'conformance/records/{run}/{functionName}',
  methods: ['GET'],
  authLevel: 'function',
  handler: async ({ params }) =>
    json(await recorded(params['run'] ?? '', params['functionName'] ?? '')),
});

app.http('checkpoints', {
  route: 'conformance/checkpoints/{functionName}',
  methods: ['GET'],
  authLevel: 'function',
  handler: async ({ params }) => json(await checkpoints(params['functionName'] ?? '')),
});

app.http('echo', {
  route: 'conformance/echo/{first}/{second?}',
  methods: ['GET', 'POST'],
  authLevel: 'function',
  handler: async (request, context) => ({
    status: 201,
    headers: { 'x-conformance': 'echo' },
    jsonBody: {
      method: request.method,
      path: new URL(request.url).pathname,
      query: Object.fromEntries(request.query.entries()),
      params: request.params,
      header: request.headers.get('X-Conformance-Header'),
      body: await request.text(),
      functionName: context.functionName,
      hasInvocationId: context.invocationId.length > 0,
    },
  }),
});

app.http('nothing', {
  route: 'conformance/nothing',
  methods: ['GET'],
  authLevel: 'function',
  // The host's answer to a function without one is the question.
  handler: () => undefined as unknown as HttpResponseInit,
});

app.http('broken', {
  route: 'conformance/broken',
  methods: ['GET'],
  authLevel: 'function',
  handler: () => {
    throw new Error('this route always throws');
  },
});
