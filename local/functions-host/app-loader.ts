import Module from 'node:module';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expandPattern } from './file-pattern';

/** A function as the programming model registers it. */
export interface RegisteredFunction {
  readonly name: string;
  readonly bindings: Readonly<Record<string, Readonly<Record<string, unknown>> & { type: string }>>;
  readonly retryOptions?: {
    readonly retryStrategy: 'fixedDelay' | 'exponentialBackoff';
    readonly maxRetryCount: number;
    readonly delayInterval?: { readonly seconds: number };
    readonly minimumInterval?: { readonly seconds: number };
    readonly maximumInterval?: { readonly seconds: number };
  };
  readonly callback: (...args: unknown[]) => unknown;
}

export type Hook = (context: Record<string, unknown>) => unknown;

export interface LoadedApp {
  readonly functions: readonly RegisteredFunction[];
  readonly model: ProgrammingModel;
  readonly hooks: ReadonlyMap<string, readonly Hook[]>;
  readonly appHookData: Record<string, unknown>;
}

export interface ProgrammingModel {
  getCapabilities(defaults: unknown): Record<string, string>;
  getInvocationModel(context: unknown): Promise<InvocationModel> | InvocationModel;
}

export interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], callback: unknown): Promise<unknown>;
  getResponse(context: unknown, result: unknown): Promise<InvocationResponse>;
}

export interface InvocationResponse {
  readonly invocationId: string;
  readonly outputData?: readonly { readonly name: string; readonly data: unknown }[];
  readonly returnValue?: unknown;
}

const hookNames = ['preInvocation', 'postInvocation', 'appStart', 'appTerminate', 'log'];

type Loader = (this: unknown, request: string, ...rest: unknown[]) => unknown;

/**
 * Loads the built app as the Node worker does: `@azure/functions` asks for `@azure/functions-core`,
 * which exists only here, and registers with it.
 */
export async function loadApp(options: {
  readonly appDirectory: string;
  readonly log: (level: string, message: string) => void;
}): Promise<LoadedApp> {
  const functions: RegisteredFunction[] = [];
  const hooks = new Map<string, Hook[]>();
  let model: ProgrammingModel | null = null;
  let isLocked = false;
  const core = {
    version: '3.14.1',
    hostVersion: '4.1052.0',
    registerFunction: (metadata: Omit<RegisteredFunction, 'callback'>, callback: never) => {
      if (isLocked) throw new Error('A function can only be registered during app startup.');
      if (functions.some(({ name }) => name === metadata.name)) {
        throw new Error(`A function with id "${metadata.name}" has already been registered.`);
      }
      functions.push({ ...metadata, callback });
      return new Disposable(() => undefined);
    },
    registerHook: (name: string, callback: Hook) => {
      if (!hookNames.includes(name)) throw new RangeError(`Unrecognized hook "${name}"`);
      const list = hooks.get(name) ?? [];
      hooks.set(name, [...list, callback]);
      return new Disposable(() => {
        hooks.set(
          name,
          (hooks.get(name) ?? []).filter((hook) => hook !== callback),
        );
      });
    },
    setProgrammingModel: (next: ProgrammingModel) => {
      model = next;
    },
    getProgrammingModel: () => model,
    log: (level: string, _category: string, message: string) => options.log(level, message),
    Disposable,
  };
  const moduleLoader = Module as unknown as { _load: Loader };
  const load = moduleLoader._load;
  moduleLoader._load = function (request, ...rest) {
    return request === '@azure/functions-core' ? core : load.call(this, request, ...rest);
  };
  process.chdir(options.appDirectory);
  for (const entry of entryPoints(options.appDirectory)) await importEntry(entry);
  if (model === null) {
    throw new Error(
      `${options.appDirectory}: no function was registered. package.json "main" must name files that use @azure/functions`,
    );
  }
  const appHookData = {};
  const app: LoadedApp = { functions, model, hooks, appHookData };
  for (const hook of hooks.get('appStart') ?? []) {
    await hook({ hookData: {}, appHookData, functionAppDirectory: options.appDirectory });
  }
  (model as ProgrammingModel).getCapabilities({});
  isLocked = true;
  return app;
}

class Disposable {
  readonly #dispose: () => void;

  constructor(dispose: () => void) {
    this.#dispose = dispose;
  }

  static from(...disposables: { dispose(): unknown }[]): Disposable {
    return new Disposable(() => disposables.forEach((one) => one.dispose()));
  }

  dispose(): void {
    this.#dispose();
  }
}

function entryPoints(appDirectory: string): string[] {
  const file = join(appDirectory, 'package.json');
  const { main } = JSON.parse(readFileSync(file, 'utf8')) as { main?: string };
  if (main === undefined) throw new Error(`${file}: "main" must name the app's entry point`);
  const entries = expandPattern(appDirectory, main);
  if (entries.length === 0) throw new Error(`${file}: no file matches "main": ${main}`);
  return entries.map((entry) => resolve(appDirectory, entry));
}

async function importEntry(entry: string): Promise<void> {
  if (entry.endsWith('.mjs')) await import(entry);
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- as the Node worker loads it
  else require(entry);
}
