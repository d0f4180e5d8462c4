/** The host as a process: what `func start` is, for Node apps, with Node alone. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readKeys } from './http-keys';
import { InvalidSettings, startFunctionsHost } from './index';

const help = `Runs a function app on this machine.

  --app DIR       the app: package.json with "main", host.json, local.settings.json (.)
  --workers N     worker processes (1)
  --port N        HTTP port (local.settings.json's LocalHttpPort, or 7071; 0: any free one)
  --enable-auth   HTTP functions and admin routes ask for keys
  --keys FILE     with --enable-auth: { "host": { "_master", "default" }, "functions": {} };
                  without it random keys are made and said
  --help`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      app: { type: 'string', default: process.cwd() },
      workers: { type: 'string', default: '1' },
      port: { type: 'string' },
      'enable-auth': { type: 'boolean', default: false },
      keys: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const host = await startFunctionsHost({
    appDirectory: values.app,
    // The build puts it beside this file.
    workerEntry: join(__dirname, 'worker.js'),
    workers: wholeNumber('--workers', values.workers, 1, 1_000),
    ...(values.port !== undefined && { httpPort: wholeNumber('--port', values.port, 0, 65_535) }),
    enableAuth: values['enable-auth'] || values.keys !== undefined,
    ...(values.keys !== undefined && { keys: readKeys(values.keys) }),
    log: (line) => console.log(line),
  });
  const close = (): void => {
    void host.close().then(() => process.exit(0));
  };
  process.once('SIGINT', close);
  process.once('SIGTERM', close);
  console.log(`Functions host: ${host.httpUrl}, ${host.workers.length} worker(s). Ctrl-C drains.`);
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`${name} must be a whole number from ${min} to ${max}, not '${text}'`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(error instanceof InvalidSettings ? 2 : 1);
});
