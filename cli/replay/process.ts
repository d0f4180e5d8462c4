import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface ReplayProcess {
  /** Events accepted by the hub so far, those of earlier replays included. */
  sent(): number;
  /** Resolves when all are sent; rejects with what the replayer said. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

export interface ReplayOptions {
  readonly connectionString: string;
  readonly events: number;
  /** Events per second; 0: as fast as possible. */
  readonly rate: number;
  readonly isPacked: boolean;
}

/**
 * Starts the replayer in a process of its own, so that it does not disturb what it feeds.
 * @param entry the built file of cli/replay/main.ts
 */
export function startReplay(entry: string, options: ReplayOptions): ReplayProcess {
  const child = spawn(
    process.execPath,
    [
      entry,
      ...['--connection', options.connectionString, '--events', String(options.events)],
      ...['--rate', String(options.rate), ...(options.isPacked ? ['--packed'] : [])],
      ...['--parent-pid', String(process.pid)],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  let sent = 0;
  const errors: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  createInterface({ input: child.stdout }).on('line', (line) => {
    sent = (JSON.parse(line) as { sent: number }).sent;
  });
  let isStopped = false;
  // Not at its exit: what it said last may still be on the way.
  const done = once(child, 'close').then(([code, signal]) => {
    if (code !== 0 && !isStopped) {
      const how = signal === null ? `exit code ${String(code)}` : `ended by ${String(signal)}`;
      throw new Error(`the replay failed: ${errors.join('').trim() || how}`);
    }
  });
  // Whoever awaits `done` hears of a failure; until then it is not unhandled.
  done.catch(() => undefined);
  return {
    sent: () => sent,
    done,
    stop: async () => {
      isStopped = true;
      await end(child);
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
