import { fork, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HttpFront } from './http-front';
import type { LeaseTimes } from './event-hub-trigger';
import { readAppSettings, readHostSettings, type HostSettings } from './settings';
import type { FromWorker, ToWorker } from './worker';

export { InvalidSettings } from './settings';

export interface FunctionsHostOptions {
  readonly appDirectory: string;
  readonly workers: number;
  /** 0: any free port. Default 7071. */
  readonly httpPort?: number;
  /** Over local.settings.json's Values. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Merged into host.json. */
  readonly hostJson?: Readonly<Record<string, unknown>>;
  readonly leases?: LeaseTimes;
  readonly log?: (line: string) => void;
  readonly workerExecArgv?: readonly string[];
}

/** The Event Hubs extension's own times; tests shorten them. */
const defaultLeases: LeaseTimes = {
  partitionOwnershipExpirationIntervalMs: 120_000,
  loadBalancingUpdateIntervalMs: 30_000,
};
/** A worker that ends by itself is started again: at once, then after doubled pauses. */
const restartDelayFirstMs = 200;
const restartDelayLastMs = 10_000;
const steadyAfterMs = 30_000;
/** A worker told to drain has this long. */
const drainTimeoutMs = 30_000;
const watchIntervalMs = 250;

interface Worker {
  readonly id: number;
  readonly child: ChildProcess;
  readonly startedAtMs: number;
  readonly invocations: Map<string, { functionName: string; startedAtMs: number }>;
  httpPort: number;
  isWanted: boolean;
}

/** Worker processes running one function app, and the HTTP front before them. */
export class FunctionsHost extends EventEmitter {
  readonly #options: FunctionsHostOptions;
  readonly #host: HostSettings;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #workers = new Map<number, Worker>();
  readonly #front: HttpFront;
  readonly #watch: NodeJS.Timeout;
  #nextId = 1;
  #restarts = 0;
  #isClosing = false;
  httpUrl = '';

  constructor(options: FunctionsHostOptions) {
    super();
    this.#options = options;
    this.#host = readHostSettings(options.appDirectory, options.hostJson);
    this.#settings = {
      AZURE_FUNCTIONS_ENVIRONMENT: 'Development',
      WEBSITE_HOSTNAME: `localhost:${options.httpPort ?? 7071}`,
      AzureWebJobsScriptRoot: options.appDirectory,
      ...readAppSettings(options.appDirectory, options.settings),
    };
    this.#front = new HttpFront({
      workerPort: () => this.#readyPorts(),
      status: () => ({ state: this.#isClosing ? 'Stopping' : 'Running', workers: this.workers }),
      drain: () => this.drain(),
    });
    this.#watch = setInterval(() => this.#endOverdue(), watchIntervalMs);
  }

  get workers(): { readonly id: number; readonly pid: number }[] {
    return Array.from(this.#workers.values(), ({ child, id }) => ({ id, pid: child.pid ?? 0 }));
  }

  async start(): Promise<void> {
    const port = await this.#front.listen(this.#options.httpPort ?? 7071);
    this.httpUrl = `http://127.0.0.1:${port}`;
    await Promise.all(Array.from({ length: this.#options.workers }, () => this.addWorker()));
  }

  /** Starts one more worker; resolves when it has loaded the app. */
  async addWorker(): Promise<{ readonly id: number; readonly pid: number }> {
    const id = this.#nextId;
    this.#nextId += 1;
    const child = fork(workerEntry(), [], {
      execArgv: [...(this.#options.workerExecArgv ?? ['--max-semi-space-size=32'])],
      env: { ...process.env, ...this.#settings },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'json',
    });
    const worker: Worker = {
      id,
      child,
      startedAtMs: Date.now(),
      invocations: new Map(),
      httpPort: 0,
      isWanted: true,
    };
    this.#workers.set(id, worker);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) =>
        this.#log('information', `Worker.${id}`, chunk.toString().trimEnd()),
      );
    }
    child.on('exit', (code, signal) => this.#ended(worker, code, signal));
    const ready = new Promise<void>((resolve, reject) => {
      child.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') resolve();
        if (message.kind === 'failed') {
          worker.isWanted = false;
          reject(new Error(`the app does not start: ${message.message}`));
        }
        this.#heard(worker, message);
      });
      child.on('exit', (code, signal) =>
        reject(new Error(`worker ${id} ended before it was ready (${signal ?? code})`)),
      );
    });
    const start: ToWorker = {
      kind: 'start',
      appDirectory: this.#options.appDirectory,
      settings: this.#settings,
      host: this.#host,
      leases: this.#options.leases ?? defaultLeases,
    };
    child.send(start);
    await ready;
    return { id, pid: child.pid ?? 0 };
  }

  /** Lets a worker finish its batches and end. */
  async removeWorker(id: number): Promise<void> {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.isWanted = false;
    const ended = once(worker.child, 'exit');
    if (worker.child.connected) worker.child.send({ kind: 'drain' } satisfies ToWorker);
    const forced = setTimeout(() => worker.child.kill('SIGKILL'), drainTimeoutMs);
    if (worker.child.exitCode === null && worker.child.signalCode === null) await ended;
    clearTimeout(forced);
  }

  /** kill -9: the worker is started again as one that crashed. */
  killWorker(id: number): void {
    this.#workers.get(id)?.child.kill('SIGKILL');
  }

  async drain(): Promise<void> {
    await Promise.all(Array.from(this.#workers.keys(), (id) => this.removeWorker(id)));
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#watch);
    await this.drain();
    await this.#front.close();
  }

  #heard(worker: Worker, message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        worker.httpPort = message.httpPort;
        this.#log(
          'information',
          'Host.Startup',
          `worker ${worker.id} (pid ${worker.child.pid}): functions ${message.functions.join(', ')}`,
        );
        return;
      case 'began':
        worker.invocations.set(message.invocationId, {
          functionName: message.functionName,
          startedAtMs: Date.now(),
        });
        return;
      case 'ended':
        worker.invocations.delete(message.invocationId);
        return;
      case 'log':
        this.#log(message.level, message.category, message.message);
        return;
      case 'failed':
        this.#log('error', 'Host.Startup', message.message);
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
        worker.child.kill('SIGKILL');
        break;
      }
    }
  }

  #ended(worker: Worker, code: number | null, signal: NodeJS.Signals | null): void {
    this.#workers.delete(worker.id);
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
      if (this.#isClosing) return;
      this.addWorker().catch((error: unknown) => this.#log('error', 'Host.Worker', String(error)));
    }, delayMs);
  }

  #readyPorts(): number | null {
    const ports = Array.from(this.#workers.values(), ({ httpPort }) => httpPort).filter(
      (port) => port > 0,
    );
    return ports[Math.floor(Math.random() * ports.length)] ?? null;
  }

  #log(level: string, category: string, message: string): void {
    this.#options.log?.(
      `[${new Date().toISOString()}] ${level.slice(0, 4)}: ${category}: ${message}`,
    );
  }
}

/** Starts a Functions host; rejects when the app does not load. */
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

/** The built worker: found from dist as well as from the sources that tests load. */
function workerEntry(): string {
  for (
    let directory = __dirname;
    directory !== dirname(directory);
    directory = dirname(directory)
  ) {
    const entry = join(directory, 'dist/local/functions-host/worker.js');
    if (existsSync(entry)) return entry;
  }
  throw new Error('dist/local/functions-host/worker.js is missing: run npm run build');
}
