import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface EmulatorProcess {
  readonly port: number;
  readonly controlPort: number;
  readonly connectionString: string;
  readonly child: ChildProcess;
  /** Settles when the process has ended, with its signal or exit code. */
  readonly ended: Promise<string>;
  close(): Promise<void>;
}

/** Starts the emulator in a process of its own that ends with this one, and waits until it listens. */
export async function startEmulatorProcess(options: {
  /** The built file of main.ts. */
  readonly entry: string;
  readonly dataDirectory: string;
  /** File in the form of Config.json. */
  readonly config: string;
  /** 0 or absent: any free port. */
  readonly port?: number;
  readonly controlPort?: number;
}): Promise<EmulatorProcess> {
  const child = spawn(
    process.execPath,
    [
      options.entry,
      ...['--port', String(options.port ?? 0), '--control-port', String(options.controlPort ?? 0)],
      ...['--data', options.dataDirectory, '--config', options.config, '--json'],
      ...['--parent-pid', String(process.pid)],
    ],
    // Its own group: Ctrl-C is for the parent, which ends it last.
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  const ended = once(child, 'exit').then(([code, signal]) => String(signal ?? `exit code ${code}`));
  const errors: string[] = [];
  const gather = (chunk: Buffer): void => void errors.push(chunk.toString());
  child.stderr.on('data', gather);
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line) as EmulatorProcess & { event: string };
    if (message.event !== 'started') continue;
    const { connectionString, controlPort, port } = message;
    // What it says from now on is read, lest it wait, and not kept.
    child.stderr.off('data', gather).resume();
    return { port, controlPort, connectionString, child, ended, close: () => end(child) };
  }
  // Its own options are not those of whoever started it.
  const reason = errors
    .join('')
    .trim()
    .replace(/choose another with --(control-)?port/, 'end that');
  throw new Error(`the Event Hubs emulator did not start: ${reason}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const forced = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(forced);
}
