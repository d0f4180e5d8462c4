/**
 * One worker process: the app, loaded once, and its triggers. It is told what to do, and tells of
 * every invocation, over the channel to its parent; when that closes, it ends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { format } from 'node:util';
import type { DurableFunctions } from '../durable-task/replay';
import { DurableWorker, durableFunctionsOf, isDurableTrigger } from './durable-worker';
import type { FunctionRan, RunFunction } from '../durable-task/worker-messages';
import { loadApp, terminateApp, type LoadedApp } from './app-loader';
import { checkBindings } from './bindings';
import { EventHubTrigger, type LeaseTimes } from './event-hub-trigger';
import { chooseFunctions } from './function-choice';
import type { HostSettings } from './host-settings';
import type { HostKeys } from './http-keys';
import { HttpTriggers } from './http-trigger';
import { hubTriggersOf, type HubTrigger } from './hub-triggers';
import { triggerOf, type HostWorld } from './invoke';
import { Outputs } from './outputs';
import type { RetryPolicy } from './retry';
import { TimerTrigger } from './timer-trigger';

export interface WorkerStart {
  readonly kind: 'start';
  readonly appDirectory: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly host: HostSettings;
  readonly leases: LeaseTimes;
  /** Names the app's blobs in `azure-webjobs-hosts`. */
  readonly hostId: string;
  readonly hostStartedAtMs: number;
  readonly keys: HostKeys | null;
  /** Data of durableClient inputs. */
  readonly durableClient: string;
  /** The host takes no new events: triggers wait for `resume`. */
  readonly isDraining: boolean;
}

export type ToWorker =
  | WorkerStart
  | RunFunction
  /** Take no more; finish and checkpoint what has begun; stay, for HTTP and for `resume`. */
  | { readonly kind: 'drain'; readonly drainId: number }
  | { readonly kind: 'resume' }
  /** End: after a drain, or without further checkpoints. */
  | { readonly kind: 'end'; readonly isDraining: boolean };

export type FromWorker =
  | {
      readonly kind: 'ready';
      readonly httpPort: number;
      readonly functions: readonly string[];
      readonly hubTriggers: readonly HubTrigger[];
      readonly durable: DurableFunctions | null;
    }
  | FunctionRan
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'drained'; readonly drainId: number }
  | {
      readonly kind: 'log';
      readonly level: string;
      readonly category: string;
      readonly message: string;
    }
  | {
      readonly kind: 'began';
      readonly invocationId: string;
      readonly functionName: string;
      readonly details: string | null;
    }
  | { readonly kind: 'ended'; readonly invocationId: string };

/** Something that listens and invokes. */
interface Trigger {
  start(): Promise<void>;
  /** Takes no more and finishes what has begun; may be started again. */
  drain(): Promise<void>;
  /** Ends for good; what has begun is not checkpointed. */
  stop(): Promise<void>;
}

const terminateGraceMs = 5_000;
/** For HTTP answers under way when the worker is to end; a stream may have no end. */
const httpGraceMs = 5_000;

/** Messages of one turn of the event loop go together: sending is what costs. */
let outbox: FromWorker[] = [];

function tell(message: FromWorker): void {
  outbox.push(message);
  if (outbox.length === 1) queueMicrotask(sendOutbox);
}

function sendOutbox(): void {
  const messages = outbox;
  outbox = [];
  if (messages.length > 0 && process.connected) process.send?.(messages);
}

let outputs: Outputs | null = null;

let world: HostWorld = {
  log: (level, category, message) => tell({ kind: 'log', level, category, message }),
  began: (invocationId, functionName, details) =>
    tell({ kind: 'began', invocationId, functionName, details }),
  ended: (invocationId) => tell({ kind: 'ended', invocationId }),
  writeOutputs: async (target, request, response) => outputs?.write(target, request, response),
};

let app: LoadedApp | null = null;
let durable: DurableWorker | null = null;
let http: HttpTriggers | null = null;
let triggers: readonly Trigger[] = [];
/** A resume waits for the drain before it: a trigger starts again only when it has stopped. */
let transition: Promise<void> = Promise.resolve();

async function start(options: WorkerStart): Promise<void> {
  Object.assign(process.env, options.settings);
  world = { ...world, durableClient: options.durableClient };
  captureConsole();
  const whole = await loadApp({
    appDirectory: options.appDirectory,
    log: (level, message) => world.log(level, 'Host.Worker', message),
  });
  const { disabled, functions, refused } = chooseFunctions(
    whole.functions,
    options.host.functions,
    options.settings,
  );
  for (const refusal of refused) world.log('error', 'Host.Startup', refusal);
  const loaded = { ...whole, functions };
  const findings = checkBindings(loaded, options.settings, options.host.routePrefix);
  for (const warning of findings.warnings) world.log('warning', 'Host.Startup', warning);
  if (findings.faults.length > 0) {
    throw new Error(`its bindings are not valid:\n  ${findings.faults.join('\n  ')}`);
  }
  app = { ...loaded, functions: withDefaultRetry(loaded, options.host.retry) };
  outputs = new Outputs(options.settings);
  http = new HttpTriggers({
    ...{ app, world, disabled, settings: options.settings, keys: options.keys },
    routePrefix: options.host.routePrefix,
    customHeaders: options.host.customHeaders,
  });
  const httpPort = await http.listen();
  durable = new DurableWorker({ app, world, tell });
  const listening = { ...app, functions: app.functions.filter(({ name }) => !disabled.has(name)) };
  triggers = await startTriggers(listening, options);
  tell({
    ...{ kind: 'ready', httpPort },
    functions: app.functions.map(({ name }) => (disabled.has(name) ? `${name} (disabled)` : name)),
    hubTriggers: hubTriggersOf(listening, options.settings),
    durable: durableFunctionsOf(app),
  });
}

async function startTriggers(loaded: LoadedApp, options: WorkerStart): Promise<Trigger[]> {
  const started: Trigger[] = [];
  for (const target of loaded.functions) {
    const type = triggerOf(target)?.type;
    const common = { ...options, app: loaded, target, world };
    if (type === 'eventHubTrigger') started.push(new EventHubTrigger(common));
    else if (type === 'timerTrigger') started.push(new TimerTrigger(common));
    else if (type !== 'httpTrigger' && !isDurableTrigger(type ?? '')) {
      world.log(
        'warning',
        'Host.Startup',
        `${target.name}: triggers of type ${type ?? 'none'} are not run by this host; the function is loaded and never called`,
      );
    }
  }
  if (!options.isDraining) for (const trigger of started) await trigger.start();
  return started;
}

/** host.json's policy is that of functions which have none, where the trigger can retry. */
function withDefaultRetry(loaded: LoadedApp, retry: RetryPolicy | null): LoadedApp['functions'] {
  if (retry === null) return loaded.functions;
  return loaded.functions.map((target) => {
    const type = triggerOf(target)?.type;
    const canRetry = type === 'eventHubTrigger' || type === 'timerTrigger';
    return canRetry && target.retryOptions === undefined
      ? { ...target, retryOptions: retry }
      : target;
  });
}

/** What the app prints belongs to the host's log. */
function captureConsole(): void {
  const levels = { debug: 'debug', log: 'information', info: 'information', warn: 'warning' };
  for (const [name, level] of Object.entries({ ...levels, error: 'error' })) {
    console[name as 'log'] = (...values: unknown[]) =>
      world.log(level, 'Host.Function.Console', format(...values));
  }
}

async function allTriggers(action: (trigger: Trigger) => Promise<void>): Promise<void> {
  for (const outcome of await Promise.allSettled(triggers.map(action))) {
    if (outcome.status === 'rejected') {
      world.log('error', 'Host.Worker', String(outcome.reason));
    }
  }
}

async function end(isDraining: boolean): Promise<void> {
  if (isDraining) await Promise.all([allTriggers((trigger) => trigger.drain()), durable?.stop()]);
  await allTriggers((trigger) => trigger.stop());
  if (isDraining) await http?.drain(httpGraceMs);
  if (app !== null) {
    const grace = sleep(terminateGraceMs, undefined, { ref: false });
    await Promise.race([terminateApp(app), grace]).catch((error: unknown) =>
      world.log('error', 'Host.Worker', `appTerminate: ${String(error)}`),
    );
  }
  await outputs?.close();
  sendOutbox();
  process.exit(0);
}

function inTurn(change: () => Promise<void>): Promise<void> {
  transition = transition.then(change);
  return transition;
}

async function handle(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'start':
      return start(message);
    case 'durable-run':
      return durable?.run(message);
    case 'drain':
      return inTurn(async () => {
        await allTriggers((trigger) => trigger.drain());
        tell({ kind: 'drained', drainId: message.drainId });
      });
    case 'resume':
      return inTurn(() => allTriggers((trigger) => trigger.start()));
    case 'end':
      return end(message.isDraining);
    default:
      message satisfies never;
  }
}

process.on('message', (message: ToWorker) => {
  handle(message).catch((error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    tell({ kind: 'failed', message: text });
    sendOutbox();
    process.exitCode = 1;
    process.disconnect?.();
  });
});
process.on('disconnect', () => process.exit(process.exitCode ?? 0));
