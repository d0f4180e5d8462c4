import { randomUUID } from 'node:crypto';
import type { InvocationResponse, LoadedApp, RegisteredFunction } from './app-loader';

/** Data as the host sends it to a language worker (RpcTypedData). */
export type TypedData = Readonly<Record<string, unknown>>;

export interface InvocationRequest {
  readonly inputData: readonly { readonly name: string; readonly data: TypedData }[];
  readonly triggerMetadata: Readonly<Record<string, TypedData>>;
  readonly retryContext?: {
    readonly retryCount: number;
    readonly maxRetryCount: number;
    readonly exception?: { readonly message: string; readonly stackTrace: string };
  };
}

export interface HostWorld {
  readonly log: (level: string, category: string, message: string) => void;
  /** Tells the parent, which ends this process when an invocation takes too long. */
  readonly began: (invocationId: string, functionName: string) => void;
  readonly ended: (invocationId: string) => void;
}

/** Runs one invocation the way the Node worker does, hooks and all. Rejects with what it threw. */
export async function invoke(
  app: LoadedApp,
  target: RegisteredFunction,
  request: InvocationRequest,
  world: HostWorld,
  reason: string,
): Promise<InvocationResponse> {
  const invocationId = randomUUID();
  const startedAt = Date.now();
  const say = (message: string): void =>
    world.log('information', `Function.${target.name}`, message);
  say(`Executing 'Functions.${target.name}' (Reason='${reason}', Id=${invocationId})`);
  world.began(invocationId, target.name);
  try {
    const response = await run(
      app,
      target,
      { ...request, invocationId, functionId: target.name },
      world,
    );
    say(
      `Executed 'Functions.${target.name}' (Succeeded, Id=${invocationId}, Duration=${Date.now() - startedAt}ms)`,
    );
    return response;
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.log(
      'error',
      `Function.${target.name}`,
      `Executed 'Functions.${target.name}' (Failed, Id=${invocationId}, Duration=${Date.now() - startedAt}ms)\n${text}`,
    );
    throw error;
  } finally {
    world.ended(invocationId);
  }
}

async function run(
  app: LoadedApp,
  target: RegisteredFunction,
  request: InvocationRequest & { invocationId: string; functionId: string },
  world: HostWorld,
): Promise<InvocationResponse> {
  const coreContext = {
    invocationId: request.invocationId,
    metadata: { name: target.name, bindings: target.bindings },
    request: { ...request, traceContext: { traceParent: '', traceState: '', attributes: {} } },
    state: undefined as string | undefined,
    log: (level: string, kind: string, message: string) =>
      world.log(
        level,
        kind === 'user' ? `Function.${target.name}.User` : `Function.${target.name}`,
        message,
      ),
  };
  const model = await app.model.getInvocationModel(coreContext);
  const { context, inputs } = await model.getArguments();
  const hookData = {};
  const before: Record<string, unknown> = {
    hookData,
    appHookData: app.appHookData,
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
    appHookData: app.appHookData,
    invocationContext: context,
    inputs: before['inputs'],
    ...outcome,
  };
  for (const hook of app.hooks.get('postInvocation') ?? []) await hook(after);
  const { error } = after;
  if (error !== undefined && error !== null) {
    throw error instanceof Error ? error : new Error(String(error));
  }
  return model.getResponse(context, after['result']);
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
