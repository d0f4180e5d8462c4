/** The host as a process: what `func start` is, for Node apps, with Node alone. */
import { parseArgs } from 'node:util';
import { InvalidSettings, startFunctionsHost } from './index';

const help = `Runs a function app on this machine.

  --app DIR       the app: package.json with "main", host.json, local.settings.json (.)
  --workers N     worker processes (1)
  --port N        HTTP port (7071; 0: any free one)
  --help`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      app: { type: 'string', default: process.cwd() },
      workers: { type: 'string', default: '1' },
      port: { type: 'string', default: '7071' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const host = await startFunctionsHost({
    appDirectory: values.app,
    workers: Number(values.workers),
    httpPort: Number(values.port),
    log: (line) => console.log(line),
  });
  console.log(`Functions host: ${host.httpUrl}, ${host.workers.length} worker(s). Ctrl-C drains.`);
  const close = (): void => {
    void host.close().then(() => process.exit(0));
  };
  process.once('SIGINT', close);
  process.once('SIGTERM', close);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(error instanceof InvalidSettings ? 2 : 1);
});
