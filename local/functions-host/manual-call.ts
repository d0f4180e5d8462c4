import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LoadedApp, RegisteredFunction } from './app-loader';
import { askForBody } from './http-forward';
import { decodePath, readBody } from './http-message';
import { invoke, triggerOf, type HostWorld, type InvocationRequest } from './invoke';
import { timerInput } from './timer-status';
import { jsonData, listData, type TypedData } from './typed-data';

const inputBytesMax = 1_048_576;

/**
 * `/admin/functions`: lists the functions, and runs one that has no HTTP trigger with
 * `POST /admin/functions/{name}` and `{"input": …}`. Answers before the function has run, as the host.
 */
export async function callFunction(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  host: {
    readonly app: LoadedApp;
    readonly world: HostWorld;
    readonly disabled: ReadonlySet<string>;
  },
): Promise<void> {
  const name = decodePath(path.split('/')[3] ?? '');
  if (name === '')
    return json(
      response,
      200,
      host.app.functions.map((one) => describe(one, host.disabled)),
    );
  const target = host.app.functions.find((one) => one.name.toLowerCase() === name.toLowerCase());
  if (target === undefined) return json(response, 404, { error: `there is no function ${name}` });
  if (request.method === 'GET') return json(response, 200, describe(target, host.disabled));
  if (request.method !== 'POST') return json(response, 405, { error: 'GET or POST' });
  const type = triggerOf(target)?.type;
  if (type !== 'timerTrigger' && type !== 'eventHubTrigger') {
    return json(response, 400, { error: `${target.name} cannot be called like this: ${type}` });
  }
  askForBody(request, response);
  const body = await readBody(request, inputBytesMax);
  const input = inputOf(body);
  if (input === null) return json(response, 400, { error: 'the body must be {"input": …}' });
  response.writeHead(202).end();
  const { app, world } = host;
  await invoke(
    app,
    target,
    () => manualRequest(target, input.value),
    world,
    'This function was programmatically called via the host APIs.',
  ).catch((error: unknown) => {
    // Logged by the invocation; the caller has its answer.
    if (!(error instanceof Error)) throw error;
  });
}

function describe(
  target: RegisteredFunction,
  disabled: ReadonlySet<string>,
): Record<string, unknown> {
  return {
    name: target.name,
    language: 'node',
    isDisabled: disabled.has(target.name),
    config: { bindings: Object.values(target.bindings) },
  };
}

function inputOf(body: Buffer | null): { readonly value: unknown } | null {
  if (body === null) return null;
  if (body.length === 0) return { value: '' };
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    if (typeof parsed !== 'object' || parsed === null) return null;
    return { value: (parsed as { input?: unknown }).input ?? '' };
  } catch (error) {
    // The answer says it.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** What a trigger would have sent, had it seen this input. */
function manualRequest(target: RegisteredFunction, input: unknown): InvocationRequest {
  const trigger = triggerOf(target);
  const name = trigger?.name ?? '';
  const text = typeof input === 'string' ? input : JSON.stringify(input);
  if (trigger?.type === 'timerTrigger') {
    const data = jsonData(timerInput({ status: null, isPastDue: false, isOfClock: true }));
    return { inputData: [{ name, data }], triggerMetadata: {} };
  }
  const isMany = trigger?.options['cardinality'] === 'many';
  const dataType = String(trigger?.options['dataType'] ?? '').toLowerCase();
  const bytes = Buffer.from(text);
  let data: TypedData = dataType === 'binary' ? { bytes } : { string: text };
  if (isMany) {
    data = listData([dataType === 'binary' ? bytes : dataType === 'string' ? text : input]);
  }
  return { inputData: [{ name, data }], triggerMetadata: {} };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
