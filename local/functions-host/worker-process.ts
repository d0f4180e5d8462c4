import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { FromWorker, ToWorker, WorkerStart } from './worker';

/** A worker told to end has this long; then it is killed. */
const endTimeoutMs = 30_000;

export interface WorkerProcessOptions {
  /** The built file of worker.ts. */
  readonly entry: string;
  readonly id: number;
  readonly start: WorkerStart;
  readonly execArgv: readonly string[];
  readonly heard: (worker: WorkerProcess, message: FromWorker) => void;
  /** Lines that the process writes by itself. */
  readonly wrote: (worker: WorkerProcess, text: string) => void;
  readonly ended: (
    worker: WorkerProcess,
    code: number | null,
    signal: NodeJS.Signals | null,
  ) => void;
}

/** A function that has begun and not ended. */
export interface RunningInvocation {
  readonly functionName: string;
  readonly startedAtMs: number;
  /** `Trigger Details:` of the log, where the trigger has them. */
  readonly details: string | null;
}

/** One worker as the host sees it. */
export class WorkerProcess {
  readonly id: number;
  readonly startedAtMs = Date.now();
  readonly invocations = new Map<string, RunningInvocation>();
  /** Resolves when the app is loaded; rejects when it does not load, or the process ends before. */
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  httpPort = 0;
  /** It is started again when it ends. */
  isWanted = true;
  /** The last drain that it has finished. */
  drainId = 0;

  constructor(options: WorkerProcessOptions) {
    this.id = options.id;
    const child = fork(options.entry, [], {
      execArgv: [...options.execArgv],
      env: { ...process.env, ...options.start.settings },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'json',
      // Its own group: Ctrl-C is for the parent, and would end a worker that has just begun to load.
      // It ends with the parent, whose end closes the channel between them.
      detached: true,
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => options.wrote(this, chunk.toString().trimEnd()));
    }
    child.on('exit', (code, signal) => options.ended(this, code, signal));
    this.ready = new Promise<void>((resolve, reject) => {
      child.on('message', (messages: readonly FromWorker[]) => {
        for (const message of messages) {
          if (message.kind === 'ready') resolve();
          if (message.kind === 'failed') {
            reject(new Error(`the app does not start: ${message.message}`));
          }
          options.heard(this, message);
        }
      });
      child.on('exit', (code, signal) =>
        reject(new Error(`worker ${this.id} ended before it was ready (${signal ?? code})`)),
      );
    });
    // Whoever asks hears of it; without that it is the exit that counts.
    this.ready.catch(() => undefined);
    this.send(options.start);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isReady(): boolean {
    return this.httpPort > 0;
  }

  send(message: ToWorker): void {
    // One that is just ending hears nothing more; its end is told by itself.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Lets it end: after its batches and their checkpoints, or without checkpoints. */
  async end(isDraining: boolean): Promise<void> {
    this.isWanted = false;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.send({ kind: 'end', isDraining });
    const forced = setTimeout(() => this.kill(), endTimeoutMs);
    await ended;
    clearTimeout(forced);
  }
}
