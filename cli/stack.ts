import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { startEmulatorProcess, type EmulatorProcess } from '../local/event-hubs/process';
import { startFunctionsHost, type FunctionsHost } from '../local/functions-host';
import { startScaleControl } from '../local/scaler/control';
import { HubPositions } from '../local/scaler/hub-positions';
import { Scaler } from '../local/scaler/scaler';
import { platformPace, type ScalingPace } from '../local/scaler/target';
import type { WorkerRange } from '../local/scaler/worker-range';
import { startAzurite, type Azurite } from '../local/storage';
import { emulatorConfig, plan } from '../shared/planner';
import type { App } from './app';
import type { StackAddress, StackPorts } from './ports';

/** Everything that Azure provides, on this machine, with the app's workers on it. */
export interface Stack {
  readonly emulator: EmulatorProcess;
  readonly azurite: Azurite;
  readonly host: FunctionsHost;
  readonly scaler: Scaler;
  /** Settles when emulator or storage has ended, whoever ended it: nothing works without them. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}

export interface StackOptions {
  readonly app: App;
  readonly dataDirectory: string;
  /** How many to begin with. */
  readonly workers: number;
  readonly scaling?: Scaling;
  /** 0: any that is free. */
  readonly ports: Pick<StackPorts, 'amqp' | 'control' | 'blob' | 'http'> & Partial<StackPorts>;
  readonly settings?: Readonly<Record<string, string>>;
  readonly hostJson?: Readonly<Record<string, unknown>>;
  readonly leases?: {
    readonly partitionOwnershipExpirationIntervalMs: number;
    readonly loadBalancingUpdateIntervalMs: number;
  };
  readonly log: (line: string) => void;
}

export interface Scaling {
  /** Votes decide, within these; null: the workers stay as many as they were begun with. */
  readonly range: WorkerRange | null;
  /** Other than the platform's. */
  readonly pace?: Partial<ScalingPace>;
}

/**
 * Starts what stands in for Azure's services, the emulator first. Each is in `started` as soon as it runs, so that
 * the caller can end what did start when a later one fails.
 */
export async function startServices(
  options: {
    readonly app: App;
    readonly dataDirectory: string;
    /** A file of the emulator's settings; absent: the hubs of the app's topologies. */
    readonly config?: string | undefined;
    readonly ports: Pick<StackPorts, 'amqp' | 'control' | 'blob'> & Partial<StackPorts>;
  },
  started: { close(): Promise<void> }[],
): Promise<Pick<Stack, 'emulator' | 'azurite'>> {
  const { app, dataDirectory, ports } = options;
  const config = options.config ?? join(dataDirectory, 'event-hubs.json');
  if (options.config === undefined) {
    writeFileSync(config, JSON.stringify(emulatorConfig(plan(app.topologies)), null, 2));
  }
  const emulator = await startEmulatorProcess({
    entry: app.processes.emulator,
    dataDirectory: join(dataDirectory, 'event-hubs'),
    config,
    port: ports.amqp,
    controlPort: ports.control,
  });
  started.push(emulator);
  const azurite = await startAzurite({
    entry: app.processes.storage,
    dataDirectory: join(dataDirectory, 'storage'),
    ports: { blob: ports.blob, queue: ports.queue ?? 0, table: ports.table ?? 0 },
  });
  started.push(azurite);
  return { emulator, azurite };
}

/** Starts emulator, storage and workers, in this order; whatever started ends when a later one fails. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { app, dataDirectory, ports } = options;
  mkdirSync(dataDirectory, { recursive: true });
  const started: { close(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    // Workers first: they need the others to finish what they have begun.
    for (const part of started.splice(0).reverse()) await part.close();
  };
  try {
    const { azurite, emulator } = await startServices({ app, dataDirectory, ports }, started);
    const host = await startFunctionsHost({
      appDirectory: app.directory,
      workerEntry: app.processes.functionsWorker,
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
    const scaler = startScaler(host, options);
    started.push(scaler);
    started.push(await startScaleControl({ scaler, dataDirectory }));
    return { emulator, azurite, host, scaler, lost: lostPart({ emulator, azurite }), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where a running stack listens. */
export function addressOf(
  stack: Pick<Stack, 'emulator' | 'azurite'> & Partial<Stack>,
): StackAddress {
  const { azurite, emulator, host } = stack;
  return {
    ports: {
      ...{ amqp: emulator.port, control: emulator.controlPort },
      ...{ blob: azurite.blobPort, queue: azurite.queuePort, table: azurite.tablePort },
      ...(host && { http: Number(new URL(host.httpUrl).port) }),
    },
    hubs: emulator.connectionString,
    storage: azurite.connectionString,
  };
}

/** Settles with what to say when emulator or storage has ended. */
export async function lostPart(parts: {
  readonly emulator: EmulatorProcess;
  readonly azurite: Azurite;
}): Promise<Error> {
  const what = await Promise.race([
    parts.emulator.ended.then((how) => `the Event Hubs emulator has ended (${how})`),
    parts.azurite.ended.then((how) => `Azurite, the storage, has ended (${how})`),
  ]);
  return new Error(`${what}: nothing works without it. What was acknowledged is kept; start again`);
}

/** Every stack has one: by hand until it is given a range or told `auto`. */
function startScaler(host: FunctionsHost, options: StackOptions): Scaler {
  const { eventHubs, settings } = host.scaling;
  const range = options.scaling?.range ?? null;
  const scaler = new Scaler({
    host,
    positions: new HubPositions(settings),
    triggers: () => host.hubTriggers,
    threshold: eventHubs.targetUnprocessedEventThreshold,
    mode: range === null ? 'manual' : 'automatic',
    range: range ?? { min: 1, max: Math.max(options.workers, availableParallelism()) },
    pace: { ...platformPace, ...options.scaling?.pace },
    log: (line) => options.log(`[${new Date().toISOString()}] ${line}`),
  });
  scaler.start();
  return scaler;
}
