/** The workers as faults see them: places, each held by some process or by none for the moment. */
import { rmSync, writeFileSync } from 'node:fs';
import type { FunctionsHost } from '../../../local/functions-host';
import type { Disturbance } from '../measure/recoveries';
import { clockFile } from '../worker/folders';

const lookIntervalMs = 50;

interface WorkerProcess {
  readonly id: number;
  readonly pid: number;
}

export class Workers {
  readonly #host: FunctionsHost;
  readonly #folder: string;
  readonly #pids = new Map<number, number>();
  readonly #frozen = new Set<number>();
  readonly #causes = new Map<number, string>();
  readonly #looking: NodeJS.Timeout;
  /** Deaths that nobody asked the host for, and freezings. */
  readonly disturbances: Disturbance[] = [];

  constructor(host: FunctionsHost, folder: string) {
    this.#host = host;
    this.#folder = folder;
    this.#look();
    this.#looking = setInterval(() => this.#look(), lookIntervalMs);
    host.on('worker-ended', ({ id, code }: { id: number; code: number | null }) => {
      this.#ended(id, code);
    });
  }

  #look(): void {
    for (const { id, pid } of this.#host.workers) this.#pids.set(id, pid);
  }

  #ended(id: number, code: number | null): void {
    const pid = this.#pids.get(id);
    if (pid === undefined) return;
    this.#frozen.delete(pid);
    const atMs = Date.now();
    // One that was let end has drained: nothing of it is to be recovered.
    if (code === 0) return;
    const kind = this.#causes.get(pid) ?? 'died of an event, or of a time-out';
    this.disturbances.push({ kind, pid, atMs, liftedAtMs: atMs });
  }

  get alive(): readonly WorkerProcess[] {
    return [...this.#host.workers].sort((left, right) => left.id - right.id);
  }

  /** The worker at a place; places go round over those that are there. */
  at(place: number): WorkerProcess | null {
    const { alive } = this;
    return alive[place % Math.max(1, alive.length)] ?? null;
  }

  kill({ id, pid }: WorkerProcess, cause: string): void {
    this.#causes.set(pid, cause);
    this.#host.killWorker(id);
  }

  /** Who dies from now until it is called off died of this, unless something else is known. */
  expect(cause: string): () => void {
    const known = new Set(this.disturbances);
    return () => {
      for (const [index, one] of this.disturbances.entries()) {
        if (known.has(one) || this.#causes.has(one.pid ?? 0)) continue;
        this.disturbances[index] = { ...one, kind: cause };
      }
    };
  }

  freeze({ pid }: WorkerProcess, cause: string): boolean {
    if (!signal(pid, 'SIGSTOP')) return false;
    this.#frozen.add(pid);
    const atMs = Date.now();
    this.disturbances.push({ kind: cause, pid, atMs, liftedAtMs: atMs });
    return true;
  }

  /** False: it had been killed meanwhile. */
  wake({ pid }: WorkerProcess): boolean {
    this.#frozen.delete(pid);
    return signal(pid, 'SIGCONT');
  }

  setClock({ pid }: WorkerProcess, offsetMs: number | null): void {
    const file = clockFile(this.#folder, pid);
    if (offsetMs === null) rmSync(file, { force: true });
    else writeFileSync(file, String(offsetMs));
  }

  /** Adds one. When a fault kills it before it is ready, the host starts another in its place. */
  async add(): Promise<void> {
    try {
      await this.#host.addWorker();
    } catch (error) {
      if (!/ended before it was ready/.test(String(error))) throw error;
    }
  }

  async remove({ id }: WorkerProcess): Promise<void> {
    await this.#host.removeWorker(id);
  }

  /** A frozen one would neither work nor end. */
  close(): void {
    clearInterval(this.#looking);
    for (const pid of this.#frozen) signal(pid, 'SIGCONT');
    this.#frozen.clear();
  }
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
