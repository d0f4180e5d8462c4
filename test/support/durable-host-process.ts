import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { durableApp, DurableApi } from './durable-host';
import type { DurableHostArguments } from './durable-host-main';

const repository = resolve(__dirname, '../..');

/** Bundles the process once; its packages and the workers are those of the repository. */
export async function buildDurableHost(): Promise<string> {
  const directory = join(repository, 'dist', 'test-apps');
  mkdirSync(directory, { recursive: true });
  const outfile = join(directory, `durable-host-${process.pid}.js`);
  await build({
    entryPoints: [join(__dirname, 'durable-host-main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    packages: 'external',
    logLevel: 'warning',
  });
  return outfile;
}

export class DurableHostProcess {
  readonly child: ChildProcess;
  readonly api: DurableApi;
  readonly ended: Promise<unknown>;

  constructor(child: ChildProcess, httpUrl: string) {
    this.child = child;
    this.api = new DurableApi(() => httpUrl);
    this.ended = once(child, 'exit');
  }

  static async start(
    entry: string,
    options: Omit<DurableHostArguments, 'appDirectory'>,
  ): Promise<DurableHostProcess> {
    const child = fork(entry, [JSON.stringify({ appDirectory: durableApp, ...options })], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [],
    });
    const [message] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`the host ended with ${String(code)} before it was ready`);
      }),
    ])) as [{ httpUrl: string }];
    return new DurableHostProcess(child, message.httpUrl);
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await this.ended;
  }
}
