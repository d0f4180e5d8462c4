/** One chaos run: everything is started, filled, struck, healed, drained, compared. */
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../cli/store';
import { Random } from '../simulation/world/random';
import { startCluster, type Cluster } from '../support/cluster';
import { startStoreFaultProxy, type StoreFaultProxy } from '../support/store-fault-proxy';
import { pause, type FaultSite } from './faults/fault';
import { Turns } from './faults/turns';
import { Workers } from './faults/workers';
import { openLoads, type LoadedTopology, type Loads } from './load/open-loads';
import { CommitWatch } from './measure/commit-watch';
import type { Disturbance } from './measure/recoveries';
import { leaseMs, type ChaosOptions } from './options';
import { reportOf, type ChaosReport } from './report';
import { drainedWatermarkMs, settle } from './settle';
import { scheduleOf, type ScheduledFault } from './schedule';
import { topologies } from './all-topologies';
import { folderSetting } from './worker/folders';

export interface Speaker {
  say(line: string): void;
  progress(line: string): void;
}

const progressIntervalMs = 2_000;

export class ChaosRun {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-'));
  readonly #options: ChaosOptions;
  readonly #speaker: Speaker;
  readonly #hostLog = createWriteStream(join(this.folder, 'host.log'));
  readonly #disturbances: Disturbance[] = [];
  readonly #recreatedAtMs = new Map<string, number[]>();
  #startedAtMs = 0;
  #isOver = false;

  constructor(options: ChaosOptions, speaker: Speaker) {
    this.#options = options;
    this.#speaker = speaker;
    mkdirSync(this.#workerFolder);
  }

  get #workerFolder(): string {
    return join(this.folder, 'workers');
  }

  get hostLogFile(): string {
    return join(this.folder, 'host.log');
  }

  /** Null: it was told to stop. Whatever happens, nothing of it runs on. */
  async run(stopped: Promise<void>): Promise<ChaosReport | null> {
    let proxy: StoreFaultProxy | undefined;
    const parts: { close(): unknown }[] = [];
    try {
      const cluster = await this.#startCluster(async (blobPort) => {
        proxy = await startStoreFaultProxy(blobPort);
        return proxy;
      });
      parts.push(cluster);
      if (proxy === undefined) throw new Error('the store has no proxy');
      const open = proxy;
      parts.push({ close: () => open.clear() });
      return await Promise.race([this.#runOn(cluster, open, parts), stopped.then(() => null)]);
    } finally {
      this.#isOver = true;
      for (const part of parts.reverse()) await part.close();
      await proxy?.stop();
      await new Promise<void>((resolve) => this.#hostLog.end(() => resolve()));
    }
  }

  /** A run that was right leaves nothing. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #startCluster(openProxy: (blobPort: number) => Promise<StoreFaultProxy>): Promise<Cluster> {
    const { partitionCount, workers } = this.#options;
    return startCluster({
      topologies: { module: 'test/chaos/worker/app.ts', defined: topologies },
      partitionCount,
      workers,
      isStorageOnDisk: true,
      storeConnectionString: async ({ blobPort }) => (await openProxy(blobPort)).connectionString,
      leases: {
        partitionOwnershipExpirationIntervalMs: leaseMs,
        loadBalancingUpdateIntervalMs: 1_000,
      },
      hostJson: {
        functionTimeout: '00:00:30',
        extensions: { eventHubs: { maxEventBatchSize: 128, prefetchCount: 512 } },
      },
      workerExecArgv: ['--max-old-space-size=256', '--max-semi-space-size=16'],
      settings: {
        [folderSetting]: this.#workerFolder,
        MILLRACE_SUPERVISOR: 'durable',
        MILLRACE_SUPERVISOR_PERIOD_MS: '3000',
        MILLRACE_TEND_INTERVAL_MS: '500',
        MILLRACE_STALL_AFTER_MS: '4000',
        MILLRACE_FLUSH_ROWS_MAX: '4000',
        MILLRACE_FLUSH_AGE_MAX_MS: '10000',
        MILLRACE_LOG_BLOCKS_MAX: '40',
      },
      log: (line) => this.#hostLog.write(`${line}\n`),
    });
  }

  async #runOn(
    cluster: Cluster,
    proxy: StoreFaultProxy,
    parts: { close(): unknown }[],
  ): Promise<ChaosReport> {
    const store = openStore(cluster.storageConnectionString);
    const watch = new CommitWatch({
      appends: store.appends,
      plan: cluster.plan,
      controlPort: cluster.emulator.controlPort,
    });
    watch.start();
    parts.push(watch);
    const loaded = openLoads(cluster, watch, this.#options);
    for (const { load } of loaded.all) {
      load.start();
      parts.push(load);
    }
    const workers = new Workers(cluster.host, this.#workerFolder);
    parts.push(workers);
    const site = this.#site({ cluster, proxy, workers, loaded });
    this.#startedAtMs = Date.now();
    const problems: string[] = [];
    const work = async (): Promise<void> => {
      await this.#strikeAll(site, problems);
      if (this.#isOver) return;
      await this.#heal(site);
      this.#speaker.say(`${this.#clock()} faults are over: what was sent is finished and drained`);
      await settle({
        ...{ cluster, watch, loaded: loaded.all },
        isOver: () => this.#isOver,
      });
    };
    const stuck = await Promise.race([
      work().then(() => null),
      ...loaded.all.map(({ load }) => load.failed),
      this.#followProgress(watch, loaded.all, workers),
    ]);
    // What was lost or doubled tells why: it is compared all the same.
    if (stuck !== null) problems.push(stuck);
    await watch.close();
    return reportOf({
      ...{ cluster, watch, problems, loaded: loaded.all, options: this.#options },
      disturbances: [...this.#disturbances, ...workers.disturbances],
      recreatedAtMs: this.#recreatedAtMs,
      workerFolder: this.#workerFolder,
      workDirectory: join(this.folder, 'oracle'),
      tookMs: Date.now() - this.#startedAtMs,
    });
  }

  #site(parts: {
    readonly cluster: Cluster;
    readonly proxy: StoreFaultProxy;
    readonly workers: Workers;
    readonly loaded: Loads;
  }): FaultSite {
    const { loaded, ...site } = parts;
    return {
      ...site,
      loads: loaded.all.map(({ load }) => load),
      orders: loaded.orders,
      folder: this.#workerFolder,
      partitionCount: this.#options.partitionCount,
      leaseMs,
      emulatorTurns: new Turns(),
      storageTurns: new Turns(),
      outage: (kind, atMs) => {
        this.#disturbances.push({ kind, atMs, liftedAtMs: Date.now(), pid: null });
      },
      recreated: (hub) => {
        this.#recreatedAtMs.set(hub, [...(this.#recreatedAtMs.get(hub) ?? []), Date.now()]);
      },
    };
  }

  async #strikeAll(site: FaultSite, problems: string[]): Promise<void> {
    const { forMs, gapMs, kinds, seed } = this.#options;
    const strikes: Promise<void>[] = [];
    for (const fault of scheduleOf({ seed, forMs, gapMs, names: kinds })) {
      await pause(Math.max(0, this.#startedAtMs + fault.atMs - Date.now()));
      if (this.#isOver) return;
      strikes.push(this.#strike(site, fault, problems));
    }
    await pause(Math.max(0, this.#startedAtMs + forMs - Date.now()));
    await Promise.all(strikes);
  }

  async #strike(site: FaultSite, fault: ScheduledFault, problems: string[]): Promise<void> {
    const { kind, number, seed } = fault;
    this.#speaker.say(`${this.#clock()} #${number} ${kind.name} (${kind.rows})`);
    try {
      const did = await kind.strike(site, new Random(seed));
      this.#speaker.say(`${this.#clock()} #${number} ${kind.name}: ${did}`);
    } catch (error) {
      if (this.#isOver) return;
      problems.push(`fault #${number} ${kind.name} could not be made: ${String(error)}`);
      this.#speaker.say(
        `${this.#clock()} #${number} ${kind.name} could not be made: ${String(error)}`,
      );
    }
  }

  async #heal({ proxy, workers, cluster }: FaultSite): Promise<void> {
    proxy.clear();
    workers.close();
    await fetch(`http://127.0.0.1:${cluster.emulator.controlPort}/faults`, { method: 'DELETE' });
  }

  /** Speaks every two seconds; resolves, with what is wrong, when nothing moves any more. */
  async #followProgress(
    watch: CommitWatch,
    loaded: readonly LoadedTopology[],
    workers: Workers,
  ): Promise<string> {
    const { patienceMs } = this.#options;
    let seen = { gone: '', atMs: Date.now() };
    for (;;) {
      await pause(progressIntervalMs);
      if (this.#isOver) return new Promise<string>(() => undefined);
      const gone = howFar(watch);
      if (gone !== seen.gone) seen = { gone, atMs: Date.now() };
      const topologyTexts = loaded.map(({ load, workload: { topology } }) => {
        const stages = new Set(watch.tasksOf(topology).map(({ path }) => path.stage));
        const read = Array.from(
          stages,
          (stage) => `${stage} ${watch.ledgerOf(topology, stage).read}`,
        );
        return `${topology}: sent ${load.sent}, read ${read.join(', ') || 'nothing yet'}`;
      });
      this.#speaker.progress(
        `${this.#clock()} ${workers.alive.length} workers; ${topologyTexts.join('; ')}`,
      );
      if (Date.now() - seen.atMs > patienceMs) {
        return `nothing came further for ${patienceMs / 1_000} s, and not all was drained; the last look at the logs: ${watch.lastFailure ?? 'right'}`;
      }
    }
  }

  #clock(): string {
    return `[${((Date.now() - this.#startedAtMs) / 1_000).toFixed(1).padStart(6)} s]`;
  }
}

/** What only grows when events get on: attempts and ticks of the clock do not count. */
function howFar(watch: CommitWatch): string {
  return JSON.stringify(
    Array.from(watch.tasks.values(), ({ ledger, rowsThrough, watermarkMs }) => [
      ...[ledger.read, rowsThrough, watermarkMs === drainedWatermarkMs],
    ]),
  );
}
