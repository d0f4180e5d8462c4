/**
 * One worker process: the app, loaded once, and its triggers. It is told what to do, and tells of
 * every invocation, over the channel to its parent; when that closes, it ends.
 */
import { loadApp, type LoadedApp } from './app-loader';
import { EventHubTrigger, type LeaseTimes } from './event-hub-trigger';
import { HttpTriggers } from './http-trigger';
import { triggerOf, type HostWorld } from './invoke';
import type { HostSettings } from './settings';
import { TimerTrigger } from './timer-trigger';

export interface WorkerStart {
  readonly kind: 'start';
  readonly appDirectory: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly host: HostSettings;
  readonly leases: LeaseTimes;
}

export type ToWorker = WorkerStart | { readonly kind: 'drain' };

export type FromWorker =
  | { readonly kind: 'ready'; readonly httpPort: number; readonly functions: readonly string[] }
  | { readonly kind: 'failed'; readonly message: string }
  | {
      readonly kind: 'log';
      readonly level: string;
      readonly category: string;
      readonly message: string;
    }
  | { readonly kind: 'began'; readonly invocationId: string; readonly functionName: string }
  | { readonly kind: 'ended'; readonly invocationId: string };

interface Stoppable {
  stop(): Promise<void>;
}

const tell = (message: FromWorker): void => {
  process.send?.(message);
};

const world: HostWorld = {
  log: (level, category, message) => tell({ kind: 'log', level, category, message }),
  began: (invocationId, functionName) => tell({ kind: 'began', invocationId, functionName }),
  ended: (invocationId) => tell({ kind: 'ended', invocationId }),
};

let running: Stoppable[] = [];

async function start(options: WorkerStart): Promise<void> {
  Object.assign(process.env, options.settings);
  for (const level of ['log', 'info', 'warn', 'error'] as const) {
    // What the app prints belongs to the host's log.
    console[level] = (...values: unknown[]) =>
      world.log(
        level === 'error' ? 'error' : level === 'warn' ? 'warning' : 'information',
        'Host.Function.Console',
        values.map(String).join(' '),
      );
  }
  const app = await loadApp({
    appDirectory: options.appDirectory,
    log: (level, message) => world.log(level, 'Host.Worker', message),
  });
  const http = new HttpTriggers({ app, world, routePrefix: options.host.routePrefix });
  const httpPort = await http.listen();
  running = [{ stop: () => http.close() }, ...(await startTriggers(app, options))];
  tell({ kind: 'ready', httpPort, functions: app.functions.map(({ name }) => name) });
}

async function startTriggers(app: LoadedApp, options: WorkerStart): Promise<Stoppable[]> {
  const triggers: Stoppable[] = [];
  for (const target of app.functions) {
    const type = triggerOf(target)?.type;
    const common = { app, target, world, ...options };
    if (type === 'eventHubTrigger') {
      const trigger = new EventHubTrigger(common);
      await trigger.start();
      triggers.push(trigger);
    } else if (type === 'timerTrigger') {
      const trigger = new TimerTrigger(common);
      trigger.start();
      triggers.push(trigger);
    } else if (type !== 'httpTrigger') {
      world.log(
        'warning',
        'Host.Startup',
        `${target.name}: triggers of type ${type ?? 'none'} are not run by this host; the function is loaded and never called`,
      );
    }
  }
  return triggers;
}

async function drain(): Promise<void> {
  await Promise.allSettled(running.map((one) => one.stop()));
  process.exit(0);
}

process.on('message', (message: ToWorker) => {
  if (message.kind === 'drain') {
    void drain();
    return;
  }
  start(message).catch((error: unknown) => {
    tell({
      kind: 'failed',
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    process.exitCode = 1;
    process.disconnect?.();
  });
});
process.on('disconnect', () => process.exit(process.exitCode ?? 0));
// Ctrl-C reaches the whole process group; the parent decides how its workers end.
process.on('SIGINT', () => undefined);
