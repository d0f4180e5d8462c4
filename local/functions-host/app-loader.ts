import { existsSync } from 'node:fs';
import Module from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expandPattern } from './file-pattern';
import { readJsonFile } from '../settings/json-file';
import { logThroughHooks } from './log-hooks';

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

type Hook = (context: Record<string, unknown>) => unknown;

export interface LoadedApp {
  readonly functions: readonly RegisteredFunction[];
  readonly model: ProgrammingModel;
  readonly hooks: ReadonlyMap<string, readonly Hook[]>;
  readonly appHookData: Record<string, unknown>;
  /** Where the library's own server takes requests when HTTP streaming is on. */
  readonly httpUri: string | null;
}

interface ProgrammingModel {
  getCapabilities(
    defaults: Record<string, string>,
  ): Promise<Record<string, string>> | Record<string, string>;
  getInvocationModel(context: unknown): Promise<InvocationModel> | InvocationModel;
}

interface InvocationModel {
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

/** What the Node worker says it can do. */
const workerCapabilities = [
  ...['RawHttpBodyBytes', 'RpcHttpTriggerMetadataRemoved', 'RpcHttpBodyOnly'],
  ...['IgnoreEmptyValuedRpcHttpHeaders', 'UseNullableValueDictionaryForHttp', 'WorkerStatus'],
  ...['TypedDataCollection', 'HandlesWorkerTerminateMessage'],
];

type Loader = (this: unknown, request: string, ...rest: unknown[]) => unknown;

/**
 * Loads the built app as the Node worker does: `@azure/functions` asks for `@azure/functions-core`,
 * which exists only here, and registers with it. Rejects when an entry point throws.
 */
export async function loadApp(options: {
  readonly appDirectory: string;
  readonly log: (level: string, message: string) => void;
}): Promise<LoadedApp> {
  const functions: RegisteredFunction[] = [];
  const hooks = new Map<string, Hook[]>();
  const appHookData = {};
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
    registerHook: (name: string, callback: Hook) => registerHook(hooks, name, callback),
    setProgrammingModel: (next: ProgrammingModel) => {
      if (isLocked) throw new Error('The programming model can only be set during app startup.');
      model = next;
    },
    getProgrammingModel: () => model,
    log: (level: string, kind: string, message: string) =>
      logThroughHooks({ hooks, appHookData }, { level, kind, message, hookData: {} }, (said) =>
        options.log(said.level, said.message),
      ),
    Disposable,
  };
  provideCore(core);
  process.chdir(options.appDirectory);
  for (const entry of entryPoints(options.appDirectory)) await importEntry(entry);
  if (model === null) {
    throw new Error(
      `${options.appDirectory}: no function was registered. package.json "main" must name files that use @azure/functions`,
    );
  }
  for (const hook of hooks.get('appStart') ?? []) {
    await hook({ hookData: {}, appHookData, functionAppDirectory: options.appDirectory });
  }
  const defaults = Object.fromEntries(workerCapabilities.map((name) => [name, 'true']));
  const capabilities = await (model as ProgrammingModel).getCapabilities(defaults);
  isLocked = true;
  return { functions, model, hooks, appHookData, httpUri: capabilities['HttpUri'] ?? null };
}

/** Runs the app's `appTerminate` hooks, one after the other. */
export async function terminateApp(app: LoadedApp): Promise<void> {
  for (const hook of app.hooks.get('appTerminate') ?? []) {
    await hook({ hookData: {}, appHookData: app.appHookData });
  }
}

/** From now on a `require` of the module that only a host has gives this. */
function provideCore(core: unknown): void {
  const moduleLoader = Module as unknown as { _load: Loader };
  const load = moduleLoader._load;
  moduleLoader._load = function (request, ...rest) {
    return request === '@azure/functions-core' ? core : load.call(this, request, ...rest);
  };
}

function registerHook(hooks: Map<string, Hook[]>, name: string, callback: Hook): Disposable {
  if (!hookNames.includes(name)) {
    throw Object.assign(new RangeError(`Unrecognized hook "${name}"`), {
      isAzureFunctionsSystemError: true,
    });
  }
  hooks.set(name, [...(hooks.get(name) ?? []), callback]);
  return new Disposable(() => {
    hooks.set(
      name,
      (hooks.get(name) ?? []).filter((hook) => hook !== callback),
    );
  });
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
  const read = readJsonFile(file);
  if ('fault' in read) throw new Error(`${file}: ${read.fault.message}`);
  const { main } = read.value;
  if (typeof main !== 'string' || main === '') {
    throw new Error(`${file}: "main" must name the app's entry point`);
  }
  const entries = expandPattern(appDirectory, main);
  if (entries.length === 0) throw new Error(`${file}: no file matches "main": ${main}`);
  return entries.map((entry) => resolve(appDirectory, entry));
}

async function importEntry(entry: string): Promise<void> {
  if (isModule(entry)) await import(pathToFileURL(entry).href);
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- as the Node worker loads it
  else require(entry);
}

/** `.mjs`, or `.js` under a package.json that says so. */
function isModule(entry: string): boolean {
  if (entry.endsWith('.mjs')) return true;
  if (entry.endsWith('.cjs')) return false;
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (!existsSync(file)) continue;
    const read = readJsonFile(file);
    return 'value' in read && read.value['type'] === 'module';
  }
  return false;
}
