import { randomBytes, randomUUID } from 'node:crypto';
import { durableClientBindings } from '../durable-task/client-binding';
import type { InvocationResponse, LoadedApp, RegisteredFunction } from './app-loader';
import { logThroughHooks } from './log-hooks';
import type { TypedData } from './typed-data';
import { errorOf } from './thrown';

export interface InvocationRequest {
  readonly inputData: readonly { readonly name: string; readonly data: TypedData }[];
  readonly triggerMetadata: Readonly<Record<string, TypedData>>;
  readonly retryContext?: {
    readonly retryCount: number;
    readonly maxRetryCount: number;
    readonly exception?: {
      readonly message: string;
      readonly stackTrace: string;
      readonly source: string;
    };
  };
}

export interface HostWorld {
  readonly log: (level: string, category: string, message: string) => void;
  /** Tells the parent, which ends this process when an invocation takes too long. */
  readonly began: (invocationId: string, functionName: string, details: string | null) => void;
  readonly ended: (invocationId: string) => void;
  /** Data of durableClient inputs. */
  readonly durableClient?: string;
  /** Writes what the function gave to its output bindings; a failure is the invocation's. */
  readonly writeOutputs: (
    target: RegisteredFunction,
    request: InvocationRequest,
    response: InvocationResponse,
  ) => Promise<void>;
}

/** What came of an invocation. */
export interface InvocationOutcome extends InvocationResponse {
  /** The function gave something back, be it in the response or streamed elsewhere. */
  readonly hasResult: boolean;
}

export interface InvocationExtras {
  /** Known before, where something else must name the invocation. */
  readonly invocationId?: string;
  /** The line `Trigger Details:` of the log. */
  readonly details?: string;
}

/**
 * Runs one invocation the way the Node worker does, hooks and outputs and all. Rejects with what it
 * threw, once logged. A request that is a function is made within the invocation: when that
 * throws, the invocation fails before user code.
 */
export async function invoke(
  app: LoadedApp,
  target: RegisteredFunction,
  request: InvocationRequest | (() => InvocationRequest),
  world: HostWorld,
  reason: string,
  extras: InvocationExtras = {},
): Promise<InvocationOutcome> {
  const invocationId = extras.invocationId ?? randomUUID();
  const startedAt = performance.now();
  const category = `Function.${target.name}`;
  const ending = (outcome: string): string =>
    `Executed 'Functions.${target.name}' (${outcome}, Id=${invocationId}, Duration=${Math.round(performance.now() - startedAt)}ms)`;
  world.began(invocationId, target.name, extras.details ?? null);
  world.log(
    'information',
    category,
    `Executing 'Functions.${target.name}' (Reason='${reason}', Id=${invocationId})`,
  );
  if (extras.details !== undefined) {
    world.log('information', category, `Trigger Details: ${extras.details}`);
  }
  try {
    const made = typeof request === 'function' ? request() : request;
    const response = await run(
      app,
      target,
      { ...withDurableClient(made, target, world), invocationId },
      world,
    );
    await world.writeOutputs(target, made, response);
    world.log('information', category, ending('Succeeded'));
    return response;
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.log('error', category, `${ending('Failed')}\n${text}`);
    throw error;
  } finally {
    world.ended(invocationId);
  }
}

function withDurableClient(
  request: InvocationRequest,
  target: RegisteredFunction,
  world: HostWorld,
): InvocationRequest {
  const inputs = durableClientBindings(target.bindings).map((name) => ({
    name,
    data: { string: world.durableClient ?? '' },
  }));
  return { ...request, inputData: [...request.inputData, ...inputs] };
}

async function run(
  app: LoadedApp,
  target: RegisteredFunction,
  request: InvocationRequest & { readonly invocationId: string },
  world: HostWorld,
): Promise<InvocationOutcome> {
  const hookData = {};
  const { appHookData } = app;
  const saying: { invocationContext: unknown; readonly hookData: Record<string, unknown> } = {
    invocationContext: undefined,
    hookData,
  };
  const coreContext = {
    invocationId: request.invocationId,
    metadata: { name: target.name, bindings: target.bindings },
    request: { ...request, functionId: target.name, traceContext: traceContext() },
    state: undefined as string | undefined,
    log: (level: string, kind: string, message: string) =>
      logThroughHooks(app, { level, kind, message, ...saying }, (said) =>
        world.log(
          said.level,
          kind === 'user' ? `Function.${target.name}.User` : `Function.${target.name}`,
          said.message,
        ),
      ),
  };
  const model = await app.model.getInvocationModel(coreContext);
  const { context, inputs } = await model.getArguments();
  saying.invocationContext = context;
  const before: Record<string, unknown> = {
    hookData,
    appHookData,
    invocationContext: context,
    inputs,
    functionCallback: target.callback,
  };
  coreContext.state = 'preInvocationHooks';
  for (const hook of app.hooks.get('preInvocation') ?? []) await hook(before);
  coreContext.state = 'invocation';
  const outcome: Record<string, unknown> = { result: undefined, error: undefined };
  try {
    outcome['result'] = await model.invokeFunction(
      context,
      before['inputs'] as unknown[],
      before['functionCallback'],
    );
  } catch (error) {
    outcome['error'] = error;
  }
  coreContext.state = 'postInvocationHooks';
  const after: Record<string, unknown> = {
    hookData,
    appHookData,
    invocationContext: context,
    inputs: before['inputs'],
    ...outcome,
  };
  for (const hook of app.hooks.get('postInvocation') ?? []) await hook(after);
  const { error } = after;
  if (error !== undefined && error !== null) {
    throw errorOf(error);
  }
  const response = await model.getResponse(context, after['result']);
  return { ...response, hasResult: after['result'] !== undefined && after['result'] !== null };
}

/** W3C trace context: every invocation begins a trace of its own. */
function traceContext(): Record<string, unknown> {
  const id = randomBytes(24).toString('hex');
  return {
    traceParent: `00-${id.slice(0, 32)}-${id.slice(32)}-01`,
    traceState: '',
    attributes: {},
  };
}

/** The trigger among a function's bindings. */
export function triggerOf(target: RegisteredFunction): {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly type: string;
} | null {
  for (const [name, binding] of Object.entries(target.bindings)) {
    if (/trigger$/i.test(binding.type)) return { name, options: binding, type: binding.type };
  }
  return null;
}
