/**
 * All of it for a fault test: the emulator and Azurite in processes of their own, the local
 * Functions host with worker processes, and the SDK to send with. Close it in `afterEach`.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventHubProducerClient } from '@azure/event-hubs';
import type { EmulatorProcess } from '../../local/event-hubs/process';
import { startAzurite, startEmulatorProcess, startFunctionsHost } from './built';
import type { FunctionsHost } from '../../local/functions-host';
import type { LeaseTimes } from '../../local/functions-host/event-hub-trigger';
import type { Azurite } from '../../local/storage';
import { emulatorConfig, plan, type Plan } from '../../shared/planner';
import type { Topology } from '../../shared/dataflow';
import type { BuildIdentity } from '../../shared/model/topology-plan';
import { buildApp, type BuiltApp } from './build-app';
import { closeClient } from './event-hubs';

export interface OtherHost {
  readonly app: BuiltApp;
  readonly host: FunctionsHost;
}

export class Cluster {
  readonly plan: Plan;
  readonly #resources: {
    app: BuiltApp;
    azurite: Azurite;
    storageDirectory: string | null;
    dataDirectory: string;
    producers: Map<string, EventHubProducerClient>;
  };
  readonly #others: OtherHost[] = [];
  emulator: EmulatorProcess;
  host: FunctionsHost;
  readonly hostLines: string[];

  constructor(options: {
    plan: Plan;
    emulator: EmulatorProcess;
    host: FunctionsHost;
    hostLines: string[];
    app: BuiltApp;
    azurite: Azurite;
    storageDirectory: string | null;
    dataDirectory: string;
  }) {
    this.plan = options.plan;
    this.emulator = options.emulator;
    this.host = options.host;
    this.hostLines = options.hostLines;
    this.#resources = { ...options, producers: new Map() };
  }

  get storageConnectionString(): string {
    return this.#resources.azurite.connectionString;
  }

  /** Sends bodies to one partition through the SDK. */
  async send(hub: string, partition: number, bodies: readonly Uint8Array[]): Promise<void> {
    const { producers } = this.#resources;
    let producer = producers.get(hub);
    if (producer === undefined) {
      producer = new EventHubProducerClient(this.emulator.connectionString, hub);
      producers.set(hub, producer);
    }
    const options = { partitionId: String(partition) };
    let batch = await producer.createBatch(options);
    for (const body of bodies) {
      if (batch.tryAdd({ body: Buffer.from(body) })) continue;
      await producer.sendBatch(batch);
      batch = await producer.createBatch(options);
      if (!batch.tryAdd({ body: Buffer.from(body) })) throw new Error('the body is too large');
    }
    if (batch.count > 0) await producer.sendBatch(batch);
  }

  /** Another build of the app on the same hubs and storage, as in a rolling deploy. */
  async addHost(options: {
    readonly module: string;
    readonly build: BuildIdentity;
    readonly workers: number;
  }): Promise<OtherHost> {
    const app = await buildApp({
      ...{ topologies: options.module, build: options.build, hostJson: usualHostJson },
    });
    const host = await startFunctionsHost({
      ...{ appDirectory: app.directory, workers: options.workers, httpPort: 0 },
      leases: quickLeases,
      log: (line) => this.hostLines.push(line),
      settings: this.settings,
    });
    const other = { app, host };
    this.#others.push(other);
    return other;
  }

  /** What an app is set to here, also for processes that are no host's. */
  get settings(): Readonly<Record<string, string>> {
    const { azurite } = this.#resources;
    return {
      AzureWebJobsStorage: azurite.connectionString,
      LakeStorage: azurite.connectionString,
      EventHubConnection: this.emulator.connectionString,
      ...usualSettings,
    };
  }

  get appDirectory(): string {
    return this.#resources.app.directory;
  }

  /** Switches a fault of the emulator on. */
  async fault(body: Readonly<Record<string, unknown>>): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.emulator.controlPort}/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`fault refused: ${await response.text()}`);
  }

  /** Deletes a hub and creates it again, empty and with another creation time. */
  async recreateHub(hub: string): Promise<void> {
    const response = await fetch(
      `http://127.0.0.1:${this.emulator.controlPort}/hubs/${hub}/recreate`,
      { method: 'POST' },
    );
    if (!response.ok) throw new Error(`recreate refused: ${await response.text()}`);
  }

  /** kill -9 of the emulator, then the same again on the same data and ports. */
  async restartEmulator(): Promise<void> {
    const { child, controlPort, port } = this.emulator;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    this.emulator = await startEmulatorProcess({
      dataDirectory: join(this.#resources.dataDirectory, 'hubs'),
      config: join(this.#resources.dataDirectory, 'config.json'),
      port,
      controlPort,
    });
  }

  /**
   * Azurite ends in good order, which for its clients is an outage, and after a pause is there again
   * on its data and ports. (kill -9 would lose what it acknowledged: it keeps its index in memory.)
   */
  async restartStorage(pauseMs: number): Promise<void> {
    const { azurite, storageDirectory } = this.#resources;
    if (storageDirectory === null) throw new Error('this cluster keeps its storage in memory');
    const { blobPort, pid, queuePort, tablePort } = azurite;
    process.kill(pid, 'SIGTERM');
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    this.#resources.azurite = await startAzurite({
      dataDirectory: storageDirectory,
      ports: { blob: blobPort, queue: queuePort, table: tablePort },
    });
  }

  async close(): Promise<void> {
    const { app, azurite, dataDirectory, producers } = this.#resources;
    await Promise.allSettled(Array.from(producers.values(), closeClient));
    const others = this.#others.map(({ host }) => host);
    await Promise.allSettled([this.host, ...others].map((host) => host.close()));
    this.emulator.child.kill('SIGKILL');
    await Promise.allSettled([azurite.close()]);
    app.remove();
    for (const other of this.#others) other.app.remove();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

export interface ClusterOptions {
  /** Module of topologies, relative to the repository, and what it exports. */
  readonly topologies: { readonly module: string; readonly defined: readonly Topology[] };
  readonly partitionCount: number;
  readonly workers: number;
  /** Which build it is; default: code that no build made. */
  readonly build?: BuildIdentity;
  readonly settings?: Readonly<Record<string, string>>;
  readonly hostJson?: Readonly<Record<string, unknown>>;
  /** Stands before Azurite's blob port, for faults of the store. */
  readonly storeConnectionString?: (azurite: Azurite) => Promise<string>;
  readonly workerExecArgv?: readonly string[];
  /** Default: short, so that partitions of a dead worker soon have another. */
  readonly leases?: LeaseTimes;
  /** Storage that outlives its process; default: in memory, which is faster. */
  readonly isStorageOnDisk?: boolean;
  /** Hears the host's lines instead of `hostLines`. */
  readonly log?: (line: string) => void;
}

/** Short enough for tests; the rules are the same. */
const quickLeases = {
  partitionOwnershipExpirationIntervalMs: 3_000,
  loadBalancingUpdateIntervalMs: 500,
};

const usualHostJson = {
  functionTimeout: '00:00:20',
  extensions: { eventHubs: { maxEventBatchSize: 200, prefetchCount: 600 } },
};

const usualSettings = {
  MILLRACE_TEND_INTERVAL_MS: '300',
  MILLRACE_STALL_AFTER_MS: '2000',
  MILLRACE_HUB_CHECK_INTERVAL_MS: '1000',
  MILLRACE_FLUSH_ROWS_MAX: '700',
};

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'millrace-cluster-'));
  const planned = plan(options.topologies.defined);
  const hubs = planned.hubs.map((hub) => ({ ...hub, partitionCount: options.partitionCount }));
  const config = join(dataDirectory, 'config.json');
  writeFileSync(config, JSON.stringify(emulatorConfig({ ...planned, hubs })));
  const app = await buildApp({
    topologies: options.topologies.module,
    hostJson: { ...usualHostJson, ...options.hostJson },
    ...(options.build && { build: options.build }),
  });
  const storageDirectory = options.isStorageOnDisk === true ? join(dataDirectory, 'storage') : null;
  const azurite = await startAzurite(
    storageDirectory === null ? {} : { dataDirectory: storageDirectory },
  );
  const emulator = await startEmulatorProcess({
    dataDirectory: join(dataDirectory, 'hubs'),
    config,
  });
  const hostLines: string[] = [];
  const storage = (await options.storeConnectionString?.(azurite)) ?? azurite.connectionString;
  const host = await startFunctionsHost({
    appDirectory: app.directory,
    workers: options.workers,
    httpPort: 0,
    leases: options.leases ?? quickLeases,
    log: options.log ?? ((line) => hostLines.push(line)),
    ...(options.workerExecArgv && { workerExecArgv: options.workerExecArgv }),
    settings: {
      AzureWebJobsStorage: azurite.connectionString,
      LakeStorage: storage,
      EventHubConnection: emulator.connectionString,
      ...usualSettings,
      ...options.settings,
    },
  });
  const parts = { emulator, host, hostLines, app, azurite, storageDirectory, dataDirectory };
  return new Cluster({ plan: planned, ...parts });
}
