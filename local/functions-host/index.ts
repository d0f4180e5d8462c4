import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { DurableTask, type TaskHubTimes } from '../durable-task';
import type { LeaseTimes } from './event-hub-trigger';
import { askForBody } from './http-forward';
import { HttpFront } from './http-front';
import {
  durableKeyName,
  isAllowed,
  keyOf,
  randomKeys,
  withDurableKey,
  type HostKeys,
} from './http-keys';
import { bodyBytesMaxOf } from './http-message';
import type { HubTrigger } from './hub-triggers';
import { parsedHeaderBytesMax } from './request-check';
import { readSettings, resolveSettings, settingOf, type HostSettings } from './settings';
import type { SequenceNumberForm } from './trigger-metadata';
import type { FromWorker } from './worker';
import { WorkerProcess, type RunningInvocation } from './worker-process';

export { InvalidSettings } from './settings';

export interface FunctionsHostOptions {
  readonly appDirectory: string;
  /** The built file of worker.ts: each worker is a process that runs it. */
  readonly workerEntry: string;
  readonly workers: number;
  /** 0: any free port. Absent: local.settings.json's LocalHttpPort, else 7071. */
  readonly httpPort?: number;
  /** Over local.settings.json's Values and the environment. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Merged into host.json. */
  readonly hostJson?: Readonly<Record<string, unknown>>;
  /** Before host.json's times of partition ownership. */
  readonly leases?: LeaseTimes;
  readonly durableTimes?: TaskHubTimes;
  /** Called at the named points of a durable episode: fault tests end the process there. */
  readonly durablePoint?: (name: string) => void;
  readonly log?: (line: string) => void;
  readonly workerExecArgv?: readonly string[];
  /** HTTP functions and admin routes ask for keys; as `func start`, they do not by default. */
  readonly enableAuth?: boolean;
  /** With `enableAuth`; absent: random ones, said in the log. */
  readonly keys?: HostKeys;
  /** As old and as new Node workers send sequence numbers. */
  readonly sequenceNumberForm?: SequenceNumberForm;
}

const defaultHttpPort = 7071;
/** A worker that ends by itself is started again: at once, then after doubled pauses. */
const restartDelayFirstMs = 200;
const restartDelayLastMs = 10_000;
const steadyAfterMs = 30_000;
const watchIntervalMs = 250;

/** Worker processes running one function app, and the HTTP front before them. */
export class FunctionsHost extends EventEmitter {
  readonly #options: FunctionsHostOptions;
  readonly #appDirectory: string;
  readonly #host: HostSettings;
  readonly #leases: LeaseTimes;
  readonly #keys: HostKeys | null;
  readonly #startedAtMs = Date.now();
  readonly #workers = new Map<number, WorkerProcess>();
  readonly #front: HttpFront;
  readonly #durable: DurableTask;
  readonly #watch: NodeJS.Timeout;
  #settings: Readonly<Record<string, string>>;
  #httpPort: number;
  #nextId = 1;
  #restarts = 0;
  #isClosing = false;
  #isDraining = false;
  #drainId = 0;
  /** The app's Event Hubs triggers, known when the first worker is ready. */
  hubTriggers: readonly HubTrigger[] = [];

  /** Throws InvalidSettings with all that is wrong in host.json and local.settings.json. */
  constructor(options: FunctionsHostOptions) {
    super();
    this.#options = options;
    this.#appDirectory = resolve(options.appDirectory);
    const { app, host } = readSettings({
      appDirectory: this.#appDirectory,
      environment: process.env,
      ...(options.hostJson && { hostJson: options.hostJson }),
      ...(options.settings && { settings: options.settings }),
    });
    const sequenceNumberForm = options.sequenceNumberForm ?? host.eventHubs.sequenceNumberForm;
    this.#host = { ...host, eventHubs: { ...host.eventHubs, sequenceNumberForm } };
    this.#leases = options.leases ?? host.eventHubs;
    this.#settings = app.values;
    this.#httpPort = options.httpPort ?? app.httpPort ?? defaultHttpPort;
    this.#keys = options.enableAuth === true ? withDurableKey(options.keys ?? randomKeys()) : null;
    this.#front = new HttpFront({
      workerPort: () => this.#readyPort(),
      status: () => this.#status(),
      drain: () => this.beginDrainMode(),
      drainState: () => this.#drainState(),
      resume: () => this.resume(),
      bodyBytesMax: bodyBytesMaxOf(this.#settings),
      keys: this.#keys,
      trusted: () => ({ hostNames: ownNames(this.#settings), origins: app.origins }),
      failed: (error) => this.#log('error', 'Host.Http', String(error)),
      extension: (request, response) => {
        const door = this.#durable.doorOf(request.url?.split('?')[0] ?? '');
        if (door === null) return false;
        const wanted = { level: 'system', systemKey: durableKeyName } as const;
        if (door === 'webhooks' && !isAllowed(this.#keys, keyOf(request), wanted)) {
          response.writeHead(401).end();
          return true;
        }
        askForBody(request, response);
        this.#durable
          .handle(request, response)
          .catch((error: unknown) => response.destroy(error as Error));
        return true;
      },
    });
    this.#durable = new DurableTask({
      settings: {
        ...this.#host.durableTask,
        hubName: resolveSettings(this.#host.durableTask.hubName, this.#settings),
      },
      connectionString:
        settingOf(this.#settings, 'ConnectionStrings:AzureWebJobsStorage') ??
        settingOf(this.#settings, 'AzureWebJobsStorage'),
      functionTimeoutMs: this.#host.functionTimeoutMs,
      httpUrl: () => this.httpUrl,
      webhookKey: this.#keys?.system[durableKeyName] ?? null,
      log: (level, message) => this.#log(level, 'Host.Triggers.DurableTask', message),
      times: options.durableTimes,
      point: options.durablePoint,
    });
    this.#watch = setInterval(() => this.#endOverdue(), watchIntervalMs);
    for (const name of app.overridden) {
      this.#log(
        'information',
        'Host.Startup',
        `the environment's ${name} stands before that of local.settings.json`,
      );
    }
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.#httpPort}`;
  }

  /** What the scaler must know: the app's settings and those of its Event Hubs triggers. */
  get scaling(): {
    readonly settings: Readonly<Record<string, string>>;
    readonly eventHubs: HostSettings['eventHubs'];
  } {
    return { settings: this.#settings, eventHubs: this.#host.eventHubs };
  }

  get workers(): { readonly id: number; readonly pid: number }[] {
    return Array.from(this.#workers.values(), ({ id, pid }) => ({ id, pid }));
  }

  /** Every invocation under way, of all workers. */
  get running(): readonly RunningInvocation[] {
    return Array.from(this.#workers.values(), ({ invocations }) =>
      Array.from(invocations.values()),
    ).flat();
  }

  /** How long an invocation may take until its worker is ended. */
  get functionTimeoutMs(): number {
    return this.#host.functionTimeoutMs;
  }

  async start(): Promise<void> {
    this.#httpPort = await this.#front.listen(this.#httpPort);
    // As `func start` has it; the app may say otherwise.
    this.#settings = {
      AZURE_FUNCTIONS_ENVIRONMENT: 'Development',
      WEBSITE_HOSTNAME: `localhost:${this.#httpPort}`,
      AzureWebJobsScriptRoot: this.#appDirectory,
      ...this.#settings,
    };
    if (this.#keys !== null && this.#options.keys === undefined) {
      const { _master, default: host } = this.#keys.host;
      this.#log('information', 'Host.Keys', `_master: ${_master}; host key default: ${host}`);
    }
    await Promise.all(Array.from({ length: this.#options.workers }, () => this.addWorker()));
  }

  /** Starts one more worker; resolves when it has loaded the app, rejects when that fails. */
  async addWorker(): Promise<{ readonly id: number; readonly pid: number }> {
    const worker = this.#fork();
    try {
      await worker.ready;
      await this.#durable.started;
    } catch (error) {
      worker.isWanted = false;
      throw error;
    }
    return { id: worker.id, pid: worker.pid };
  }

  #fork(): WorkerProcess {
    const worker = new WorkerProcess({
      id: this.#nextId,
      entry: this.#options.workerEntry,
      execArgv: [
        // The library's own server takes what this host lets through.
        `--max-http-header-size=${parsedHeaderBytesMax}`,
        ...(this.#options.workerExecArgv ?? ['--max-semi-space-size=32']),
      ],
      heard: (from, message) => this.#heard(from, message),
      wrote: (from, text) => this.#log('information', `Worker.${from.id}`, text),
      ended: (from, code, signal) => this.#ended(from, code, signal),
      start: {
        kind: 'start',
        appDirectory: this.#appDirectory,
        settings: this.#settings,
        host: this.#host,
        leases: this.#leases,
        hostId: hostIdOf(this.#appDirectory, this.#settings),
        hostStartedAtMs: this.#startedAtMs,
        keys: this.#keys,
        durableClient: this.#durable.clientBinding,
        isDraining: this.#isDraining,
      },
    });
    this.#nextId += 1;
    this.#workers.set(worker.id, worker);
    return worker;
  }

  /** Scale-in: the worker finishes and checkpoints its batches, and ends. */
  async removeWorker(id: number): Promise<void> {
    this.#durable.workerLeaving(id);
    await this.#workers.get(id)?.end(true);
  }

  /** kill -9: the worker is started again as one that crashed. */
  killWorker(id: number): void {
    this.#workers.get(id)?.kill();
  }

  /** All workers finish and checkpoint their batches, and end. */
  async drain(): Promise<void> {
    await Promise.all(Array.from(this.#workers.values(), (worker) => worker.end(true)));
  }

  /** Drain mode: no new events; what has begun is finished and checkpointed. HTTP goes on. */
  beginDrainMode(): void {
    this.#isDraining = true;
    this.#drainId += 1;
    for (const worker of this.#workers.values()) {
      worker.send({ kind: 'drain', drainId: this.#drainId });
    }
  }

  /** Ends drain mode. */
  resume(): void {
    this.#isDraining = false;
    for (const worker of this.#workers.values()) worker.send({ kind: 'resume' });
  }

  /** Ctrl-C: batches in flight end without a checkpoint (they come again), then the workers end. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#watch);
    await this.#durable.stop();
    await Promise.all(Array.from(this.#workers.values(), (worker) => worker.end(this.#isDraining)));
    await this.#front.close();
  }

  #heard(worker: WorkerProcess, message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        worker.httpPort = message.httpPort;
        this.hubTriggers = message.hubTriggers;
        this.#durable.workerReady(worker.id, message.durable, (run) => worker.send(run));
        this.#log(
          'information',
          'Host.Startup',
          `worker ${worker.id} (pid ${worker.pid}): functions ${message.functions.join(', ')}`,
        );
        // It may have begun to load before the last change.
        worker.send(
          this.#isDraining ? { kind: 'drain', drainId: this.#drainId } : { kind: 'resume' },
        );
        return;
      case 'began':
        worker.invocations.set(message.invocationId, {
          functionName: message.functionName,
          startedAtMs: Date.now(),
          details: message.details,
        });
        return;
      case 'ended':
        worker.invocations.delete(message.invocationId);
        return;
      case 'durable-ran':
        this.#durable.functionRan(worker.id, message);
        return;
      case 'drained':
        worker.drainId = message.drainId;
        return;
      case 'log':
        this.#log(message.level, message.category, message.message);
        return;
      case 'failed':
        this.#log('error', 'Host.Startup', `the app does not start: ${message.message}`);
        return;
      default:
        message satisfies never;
    }
  }

  /** Ends workers whose invocation is over its time: a blocked one cannot end itself. */
  #endOverdue(): void {
    for (const worker of this.#workers.values()) {
      for (const { functionName, startedAtMs } of worker.invocations.values()) {
        if (Date.now() - startedAtMs < this.#host.functionTimeoutMs) continue;
        this.#log(
          'error',
          `Function.${functionName}`,
          `Timeout value of ${this.#host.functionTimeoutMs} ms exceeded by function: Functions.${functionName}. Worker ${worker.id} is restarted.`,
        );
        worker.invocations.clear();
        worker.kill();
        break;
      }
    }
  }

  #ended(worker: WorkerProcess, code: number | null, signal: NodeJS.Signals | null): void {
    this.#workers.delete(worker.id);
    this.#durable.workerEnded(worker.id);
    this.emit('worker-ended', { id: worker.id, code, signal });
    if (!worker.isWanted || this.#isClosing) return;
    const wasSteady = Date.now() - worker.startedAtMs >= steadyAfterMs;
    this.#restarts = wasSteady ? 0 : this.#restarts + 1;
    const delayMs =
      this.#restarts <= 1
        ? 0
        : Math.min(restartDelayLastMs, restartDelayFirstMs * 2 ** (this.#restarts - 2));
    this.#log(
      'error',
      'Host.Worker',
      `worker ${worker.id} ended (${signal ?? `exit code ${code}`}); another starts in ${delayMs} ms`,
    );
    setTimeout(() => {
      // One that fails to load ends, and so comes back here.
      if (!this.#isClosing) this.#fork();
    }, delayMs);
  }

  #readyPort(): number | null {
    const ready = Array.from(this.#workers.values()).filter(
      ({ isReady, isWanted }) => isReady && isWanted,
    );
    return ready[Math.floor(Math.random() * ready.length)]?.httpPort ?? null;
  }

  #status(): Record<string, unknown> {
    return {
      id: hostIdOf(this.#appDirectory, this.#settings),
      state: this.#isClosing ? 'Stopping' : 'Running',
      version: '4.1052.0',
      processUptime: Date.now() - this.#startedAtMs,
      workers: this.workers,
    };
  }

  #drainState(): Record<string, unknown> {
    const workers = Array.from(this.#workers.values());
    const isOver = workers.every(({ drainId }) => drainId === this.#drainId);
    const outstandingInvocations = workers.reduce(
      (total, { invocations }) => total + invocations.size,
      0,
    );
    const state = isOver ? 'Completed' : 'InProgress';
    return { state: this.#isDraining ? state : 'Disabled', outstandingInvocations };
  }

  #log(level: string, category: string, message: string): void {
    this.#options.log?.(
      `[${new Date().toISOString()}] ${level.slice(0, 4)}: ${category}: ${message}`,
    );
  }
}

/** Starts a Functions host; rejects when the app does not load, and leaves nothing behind. */
export async function startFunctionsHost(options: FunctionsHostOptions): Promise<FunctionsHost> {
  const host = new FunctionsHost(options);
  try {
    await host.start();
  } catch (error) {
    await host.close();
    throw error;
  }
  return host;
}

/** Names of this host that its settings give beside the loopback ones. */
function ownNames(settings: Readonly<Record<string, string>>): string[] {
  const name = settingOf(settings, 'WEBSITE_HOSTNAME')?.replace(/:\d+$/, '').toLowerCase();
  return name === undefined ? [] : [name];
}

/** As the local host derives it: the machine and the app's folder, unless a setting says otherwise. */
function hostIdOf(appDirectory: string, settings: Readonly<Record<string, string>>): string {
  const given = settingOf(settings, 'AzureFunctionsWebHost__hostid');
  if (given !== undefined && given !== '') return given;
  const machine = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, '')
    .slice(0, 20);
  const hash = createHash('sha256').update(appDirectory).digest('hex').slice(0, 10);
  return `${machine}-${hash}`;
}
