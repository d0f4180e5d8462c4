import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startEmulatorProcess, type EmulatorProcess } from '../local/event-hubs/process';
import { startFunctionsHost, type FunctionsHost } from '../local/functions-host';
import { startAzurite, type Azurite } from '../local/storage';
import { emulatorConfig, type Plan } from '../shared/planner';

/** Everything that Azure provides, on this machine, with the app's workers on it. */
export interface Stack {
  readonly emulator: EmulatorProcess;
  readonly azurite: Azurite;
  readonly host: FunctionsHost;
  close(): Promise<void>;
}

export interface StackOptions {
  readonly plan: Plan;
  readonly appDirectory: string;
  readonly dataDirectory: string;
  readonly workers: number;
  /** 0: free ports. */
  readonly ports: {
    readonly amqp: number;
    readonly control: number;
    readonly blob: number;
    readonly http: number;
  };
  readonly settings?: Readonly<Record<string, string>>;
  readonly hostJson?: Readonly<Record<string, unknown>>;
  readonly leases?: {
    readonly partitionOwnershipExpirationIntervalMs: number;
    readonly loadBalancingUpdateIntervalMs: number;
  };
  readonly log: (line: string) => void;
}

/** Starts emulator, storage and workers, in this order; whatever started ends when a later one fails. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dataDirectory, ports } = options;
  mkdirSync(dataDirectory, { recursive: true });
  const config = join(dataDirectory, 'event-hubs.json');
  writeFileSync(config, JSON.stringify(emulatorConfig(options.plan), null, 2));
  const started: { close(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    // Workers first: they need the others to finish what they have begun.
    for (const part of started.splice(0).reverse()) await part.close();
  };
  try {
    const emulator = await startEmulatorProcess({
      dataDirectory: join(dataDirectory, 'event-hubs'),
      config,
      port: ports.amqp,
      controlPort: ports.control,
    });
    started.push(emulator);
    const azurite = await startAzurite({
      dataDirectory: join(dataDirectory, 'storage'),
      ports: { blob: ports.blob },
    });
    started.push(azurite);
    const host = await startFunctionsHost({
      appDirectory: options.appDirectory,
      workers: options.workers,
      httpPort: ports.http,
      log: options.log,
      ...(options.hostJson && { hostJson: options.hostJson }),
      ...(options.leases && { leases: options.leases }),
      settings: {
        AzureWebJobsStorage: azurite.connectionString,
        LakeStorage: azurite.connectionString,
        EventHubConnection: emulator.connectionString,
        ...options.settings,
      },
    });
    started.push(host);
    return { emulator, azurite, host, close };
  } catch (error) {
    await close();
    throw error;
  }
}
