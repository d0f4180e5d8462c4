// Goal: two builds that run at once, and decisions between them, lose and double nothing, whoever is killed.
// Method: real processes: two builds on one emulator and one Azurite, kill -9 of workers and of whoever decides.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { BlobAppendStore } from '../../shared/adapters/blob-append-store';
import { connectContainer } from '../../shared/adapters/blob-container';
import { BlobObjectStore } from '../../shared/adapters/blob-object-store';
import { isBalanced, LedgerReader, type TaskAccount } from '../../shared/ledger/ledger-reader';
import type { BuildIdentity } from '../../shared/model/topology-plan';
import type { Decided } from '../../shared/operations/decisions/decide';
import { markDrain } from '../../shared/operations/decisions/drain-mark';
import { PlanStore } from '../../shared/operations/decisions/plan-store';
import { readBeginning } from '../../shared/operations/decisions/versions';
import { shopApp } from '../fixtures/topologies/shop';
import { startCluster, type Cluster, type OtherHost } from '../support/cluster';
import { eventually, Outcome } from '../support/outcome';

jest.setTimeout(300_000);

const partitionCount = 2;
const waitMs = 90_000;
const endOfTime = Number.MAX_SAFE_INTEGER;
const oldBuild: BuildIdentity = { id: 'old', builtAtMs: Date.UTC(2026, 0, 1) };
const newBuild: BuildIdentity = { id: 'new', builtAtMs: Date.UTC(2026, 0, 2) };
const shop = 'test/fixtures/topologies/shop.ts';
const [hourly, extra] = ['hourly', 'extra'].map((name) => shop.replace('.ts', `-${name}.ts`)) as [
  string,
  string,
];

class Deploy {
  readonly cluster: Cluster;
  readonly #outcome: Outcome;
  readonly #appends: BlobAppendStore;
  readonly #objects: BlobObjectStore;
  sent = 0;

  private constructor(cluster: Cluster) {
    const connectionString = cluster.storageConnectionString;
    const container = connectContainer({ connectionString, container: 'millrace' });
    this.cluster = cluster;
    this.#outcome = new Outcome(connectionString, cluster.plan);
    this.#appends = new BlobAppendStore(container);
    this.#objects = new BlobObjectStore(container);
  }

  static async start(module: string, build: BuildIdentity): Promise<Deploy> {
    const topologies = { module, defined: shopApp({ extra: true }) };
    return new Deploy(await startCluster({ topologies, partitionCount, workers: 1, build }));
  }

  async send(events: number): Promise<void> {
    for (let partition = 0; partition < partitionCount; partition += 1) {
      const bodies = Array.from({ length: events / partitionCount }, (_, index) =>
        Buffer.from(JSON.stringify({ k: `k${index % 7}`, time: 1_000 + index })),
      );
      await this.cluster.send('sales', partition, bodies);
    }
    this.sent += events;
  }

  async accounts(): Promise<readonly TaskAccount[]> {
    return new LedgerReader({ appends: this.#appends, topology: 'shop' }).refresh();
  }

  async untilRead(): Promise<void> {
    await eventually(
      async () => read(await this.accounts(), 'sales'),
      (events) => events >= this.sent,
      waitMs,
    );
  }

  version = async (): Promise<string> =>
    (await new PlanStore(this.#objects).newest('shop'))?.version ?? 'v1';

  async drain(): Promise<void> {
    const version = await this.version();
    await markDrain(this.#objects, { topology: 'shop', version });
    await eventually(
      async () => (await this.accounts()).filter(({ path }) => path.version === version),
      (tasks) =>
        tasks.length === 2 * partitionCount &&
        tasks.every(({ watermarkMs }) => watermarkMs === endOfTime),
      waitMs,
    );
  }

  /** In a process of its own, which kills itself at that point. Null: it was killed. */
  async decide(decision: string, build: string, point?: string): Promise<Decided | null> {
    const child = spawn(process.execPath, [join(build, 'decide.js'), decision], {
      env: {
        ...process.env,
        ...this.cluster.settings,
        AZURE_FUNCTIONS_ENVIRONMENT: 'Development',
        ...(point !== undefined && { MILLRACE_FAULT_POINT: point }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [said, complained] = ['', ''];
    child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
    child.stderr.on('data', (bytes: Buffer) => (complained += bytes.toString()));
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    if (signal === 'SIGKILL') return null;
    if (code !== 0) throw new Error(complained);
    return JSON.parse(said) as Decided;
  }

  /** Every event is in the table once; windows hold as many as the second stage has taken in and not given up. */
  async expectAllThere(counted: { readonly isWindowWhole: boolean }): Promise<void> {
    await eventually(
      () => this.#outcome.rows('all'),
      (rows) => rows.length >= this.sent,
      waitMs,
    );
    expect(await this.#outcome.rows('all')).toHaveLength(this.sent);
    const accounts = await this.accounts();
    expect(accounts.every(({ ledger }) => isBalanced(ledger) && ledger.gap === 0)).toBe(true);
    expect(read(accounts, 'sales')).toBe(this.sent);
    const beginning = await readBeginning(this.#objects, { topology: 'shop', version: 'v2' });
    const underWay = beginning?.underWay['shop-kk'] ?? 0;
    expect(read(accounts, 'by-kk') + underWay).toBe(this.sent);
    if (!counted.isWindowWhole) return;
    const sums = (): Promise<number> => this.#outcome.rows('sums').then(sumOf);
    expect(await eventually(sums, (sum) => sum >= this.sent, waitMs)).toBe(this.sent);
  }
}

function read(accounts: readonly TaskAccount[], stage: string): number {
  return accounts
    .filter(({ path }) => path.stage === stage)
    .reduce((sum, { ledger }) => sum + ledger.read, 0);
}

const sumOf = (rows: readonly string[]): number =>
  rows.reduce((sum, row) => sum + (JSON.parse(row) as [string, number])[1], 0);

function killOne({ host }: Pick<OtherHost, 'host'>): void {
  const [worker] = host.workers;
  if (worker !== undefined) host.killWorker(worker.id);
}

describe('two builds that run at once', () => {
  let deploy: Deploy | undefined;

  afterEach(async () => {
    await deploy?.cluster.close();
    deploy = undefined;
  });

  it('a rolling deploy loses and doubles nothing, though workers of both are killed', async () => {
    deploy = await Deploy.start(shop, oldBuild);
    await deploy.send(200);
    await deploy.untilRead();
    const newer = await deploy.cluster.addHost({ module: extra, build: newBuild, workers: 1 });
    await deploy.send(200);
    // A cold start of the old build, and one of the new, in the middle of it.
    killOne(deploy.cluster);
    killOne(newer);
    await deploy.send(200);
    await deploy.untilRead();
    await deploy.drain();
    await deploy.expectAllThere({ isWindowWhole: true });
  });

  it('a cold start of the old build beside the new one takes nothing over', async () => {
    deploy = await Deploy.start(extra, newBuild);
    await deploy.send(200);
    await deploy.untilRead();
    const older = await deploy.cluster.addHost({ module: shop, build: oldBuild, workers: 1 });
    await deploy.send(200);
    killOne(older);
    await deploy.send(200);
    await deploy.untilRead();
    await deploy.drain();
    await deploy.expectAllThere({ isWindowWhole: true });
  });

  it('a drain and a begin whose command is killed twice begin one version, and nothing is lost', async () => {
    deploy = await Deploy.start(shop, oldBuild);
    await deploy.send(200);
    await deploy.untilRead();
    const newer = await deploy.cluster.addHost({ module: hourly, build: newBuild, workers: 1 });
    await deploy.drain();
    const { directory } = newer.app;
    expect(await deploy.decide('begin', directory, 'decision.after-plan')).toBeNull();
    expect(await deploy.decide('begin', directory, 'version.before-beginning')).toBeNull();
    expect(await deploy.decide('begin', directory)).toMatchObject({ version: 'v2' });
    await deploy.send(100);
    killOne(newer);
    await deploy.untilRead();
    await deploy.drain();
    await deploy.expectAllThere({ isWindowWhole: true });
  });

  it('a new version from here whose command is killed is gone on with, and what is given up is counted', async () => {
    deploy = await Deploy.start(shop, oldBuild);
    await deploy.send(200);
    await deploy.untilRead();
    const newer = await deploy.cluster.addHost({ module: hourly, build: newBuild, workers: 1 });
    const { directory } = newer.app;
    expect(await deploy.decide('new-version', directory, 'version.after-seal')).toBeNull();
    await deploy.send(200);
    await deploy.untilRead();
    expect(await deploy.decide('new-version', directory)).toMatchObject({
      ...{ version: 'v2', isNew: false },
    });
    await deploy.drain();
    await deploy.expectAllThere({ isWindowWhole: false });
  });

  it('a rollback whose command is killed gives the old build its turn, and the new one takes nothing', async () => {
    deploy = await Deploy.start(shop, oldBuild);
    await deploy.send(200);
    await deploy.untilRead();
    const newer = await deploy.cluster.addHost({ module: extra, build: newBuild, workers: 1 });
    await deploy.send(200);
    await deploy.untilRead();
    const { directory } = newer.app;
    expect(await deploy.decide('rollback', directory, 'decision.after-plan')).toBeNull();
    expect(await deploy.decide('rollback', directory)).toMatchObject({ version: 'v1' });
    killOne(newer);
    await deploy.send(200);
    await deploy.untilRead();
    await deploy.drain();
    await deploy.expectAllThere({ isWindowWhole: true });
  });
});
