/** The emulator as a process: `millrace emulator`. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { InvalidConfig, startEventHubsEmulator, type EmulatorConfig } from './index';

const help = `Event Hubs on this machine, for any Event Hubs SDK.

  --port N               AMQP port (5672; 0: any free one)
  --control-port N       HTTP port for GET /health, /hubs and faults (5300; 0: any free one)
  --data DIR             keep hubs and events here (default: gone with the process)
  --config FILE          hubs in the form of the official emulator's Config.json
  --create-on-the-fly    make a hub when somebody first asks for it
  --partitions N         partitions of such hubs (4)
  --parent-pid N         end when that process ends
  --json                 start message as one JSON line
  --help`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '5672' },
      'control-port': { type: 'string', default: '5300' },
      data: { type: 'string' },
      config: { type: 'string' },
      'create-on-the-fly': { type: 'boolean', default: false },
      partitions: { type: 'string', default: '4' },
      'parent-pid': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const emulator = await startEventHubsEmulator({
    port: Number(values.port),
    controlPort: Number(values['control-port']),
    ...(values.data !== undefined && { dataDirectory: values.data }),
    ...(values.config !== undefined && {
      config: readConfig(values.config),
    }),
    createOnTheFly: values['create-on-the-fly'] && { partitionCount: Number(values.partitions) },
    log: (line) => console.error(line),
  });
  const { connectionString, controlPort, port } = emulator;
  console.log(
    values.json
      ? JSON.stringify({ event: 'started', port, controlPort, connectionString })
      : `Event Hubs emulator: AMQP on port ${port}, health and faults on http://127.0.0.1:${controlPort}\nConnect with: ${connectionString}`,
  );
  let isClosing = false;
  const close = (): void => {
    if (isClosing) return;
    isClosing = true;
    void emulator.close().then(() => process.exit(0));
  };
  process.on('SIGINT', close);
  process.on('SIGTERM', close);
  process.on('disconnect', close);
  const parent = Number(values['parent-pid'] ?? 0);
  if (parent > 0) setInterval(() => isAlive(parent) || close(), 500).unref();
}

function readConfig(file: string): EmulatorConfig {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as EmulatorConfig;
  } catch (error) {
    throw new InvalidConfig([`${file}: ${(error as Error).message}`]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

main().catch((error: unknown) => {
  const code = (error as NodeJS.ErrnoException).code;
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'EADDRINUSE')
    console.error(
      `${message}: another program has this port; choose one with --port or --control-port`,
    );
  else console.error(message);
  process.exit(error instanceof InvalidConfig || code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1);
});
