import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AmqpServer } from './amqp/server';
import { hubsOf, type EmulatorConfig } from './config';
import { ControlServer } from './control';
import { FaultSwitches } from './faults';
import { Namespace } from './namespace';

export { InvalidConfig, type EmulatorConfig } from './config';

export interface EmulatorOptions {
  /** AMQP; 0: any free port. Default 5672. */
  readonly port?: number;
  readonly host?: string;
  /** HTTP for health and faults; 0: any free port. Default 5300. */
  readonly controlPort?: number;
  /** Where hubs are kept; absent: a folder that goes when the emulator does. */
  readonly dataDirectory?: string;
  readonly config?: EmulatorConfig;
  /** Makes a hub when somebody first asks for it. */
  readonly createOnTheFly?: boolean | { readonly partitionCount: number };
  readonly log?: (line: string) => void;
}

export interface EventHubsEmulator {
  readonly port: number;
  readonly controlPort: number;
  readonly connectionString: string;
  close(): Promise<void>;
}

const syncIntervalMs = 1_000;

/** Starts an Event Hubs namespace on this machine. */
export async function startEventHubsEmulator(
  options: EmulatorOptions = {},
): Promise<EventHubsEmulator> {
  const host = options.host ?? '127.0.0.1';
  const hubs = options.config === undefined ? [] : hubsOf(options.config);
  const isTemporary = options.dataDirectory === undefined;
  const directory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'event-hubs-'));
  const { createOnTheFly = false } = options;
  const namespace = new Namespace({
    directory,
    createOnTheFlyPartitions:
      createOnTheFly === false ? null : createOnTheFly === true ? 4 : createOnTheFly.partitionCount,
  });
  for (const hub of hubs) namespace.create(hub);
  const faults = new FaultSwitches();
  const log = options.log ?? (() => undefined);
  const amqp = new AmqpServer({ host, port: options.port ?? 5672, namespace, faults, log });
  const port = await amqp.listen();
  const control = new ControlServer({
    host,
    port: options.controlPort ?? 5300,
    namespace,
    amqp,
    faults,
  });
  const controlPort = await control.listen();
  const syncing = setInterval(() => namespace.sync(), syncIntervalMs);
  return {
    port,
    controlPort,
    connectionString: `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;`,
    close: async () => {
      clearInterval(syncing);
      await control.close();
      await amqp.close();
      namespace.close();
      if (isTemporary) rmSync(directory, { recursive: true, force: true });
    },
  };
}
