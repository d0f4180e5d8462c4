/** A topology of two stages about which decisions are taken, half-done in every way that there is. */
import { isBalanced, LedgerReader } from '../../shared/ledger/ledger-reader';
import type { BuildIdentity } from '../../shared/model/topology-plan';
import { newerVersion } from '../../shared/model/version-name';
import { readBeginning } from '../../shared/operations/decisions/versions';
import type { Runtime } from '../../shared/task/runtime';
import { shopApp, type ShopShape } from '../fixtures/topologies/shop';
import { StageWorld, WorkerDied } from './stage-world';

export { shopApp };

export const oldBuild: BuildIdentity = { id: 'old', builtAtMs: 1_000 };
export const newBuild: BuildIdentity = { id: 'new', builtAtMs: 2_000 };
export const fixBuild: BuildIdentity = { id: 'fix', builtAtMs: 3_000 };
export const sourceStage = 'sales';
const keyedStage = 'by-kk';

export class Shop {
  readonly world: StageWorld;
  sent = 0;

  constructor(shape: ShopShape = { extra: true, otherKeys: true }) {
    this.world = new StageWorld({ topologies: shopApp(shape), partitionCount: 2 });
  }

  /** Sends sales to a partition, and lets a worker read them; it may die of it. */
  async sale(
    runtime: Runtime,
    partition: number,
    keys: readonly string[],
    time: number,
  ): Promise<void> {
    const hub = this.world.hub(sourceStage);
    const from = hub.messages(partition).length;
    for (const k of keys) hub.append(partition, Buffer.from(JSON.stringify({ k, time })));
    this.sent += keys.length;
    await this.read(runtime, sourceStage, partition, from);
  }

  async read(runtime: Runtime, stage: string, partition: number, from = 0): Promise<void> {
    try {
      await this.world.deliver(runtime, { stage, partition, from });
    } catch (error) {
      if (!(error instanceof WorkerDied)) throw error;
    }
  }

  /** Rows and messages are owed, some are taken in and some under way, windows are open, a log is not begun. */
  async halfDone(build: BuildIdentity, shape: ShopShape = {}): Promise<void> {
    const worker = this.world.workerOf(build, shopApp(shape));
    await this.sale(worker, 0, ['a', 'b', 'c', 'd'], 1_000);
    for (const partition of [0, 1]) await this.read(worker, keyedStage, partition);
    await this.sale(worker, 0, ['a', 'b', 'c'], 2_000);
    const dying = this.world.workerOf(build, shopApp(shape), (at) => at === 'stage.before-send');
    await this.sale(dying, 0, ['a', 'b'], 3_000);
  }

  /** More sales come, also in the partition that nobody has read; then everything is read to its end. */
  async goOn(build: BuildIdentity, shape: ShopShape = {}): Promise<void> {
    const worker = this.world.workerOf(build, shopApp(shape));
    await this.sale(worker, 1, ['a', 'e'], 4_000);
    await this.sale(worker, 0, ['a'], 5_000);
    await this.finish(build, shape);
  }

  async finish(build: BuildIdentity, shape: ShopShape = {}): Promise<void> {
    const { world } = this;
    const names = shopStages(world, shape);
    world.isDraining = true;
    const worker = world.workerOf(build, shopApp(shape));
    for (const stage of names) {
      for (const partition of [0, 1]) await world.deliver(worker, { stage, partition });
      await worker.tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: -Infinity });
      await worker.tendHeld(Infinity);
    }
    world.isDraining = false;
  }

  /** What counts after all: tables, ledgers, and that every event has come to one end. */
  async outcome(): Promise<{ tables: Record<string, string[]>; ledgers: unknown; given: number }> {
    const { appends, objects } = this.world;
    const accounts = await new LedgerReader({ appends, topology: 'shop' }).refresh();
    const of = (stage: string): number =>
      accounts
        .filter(({ path }) => path.stage === stage)
        .reduce((sum, { ledger }) => sum + ledger.read, 0);
    expect(of(sourceStage)).toBe(this.sent);
    expect(accounts.every(({ ledger }) => isBalanced(ledger) && ledger.gap === 0)).toBe(true);
    expect(await this.world.rows('all')).toHaveLength(this.sent);
    // What the first stage gave out was taken in by the second, or is counted as given up under way.
    let given = 0;
    const newest = accounts.reduce<string | null>(
      (version, { path }) => newerVersion(version, path.version),
      null,
    );
    for (let number = 2; number <= Number(newest?.slice(1)); number += 1) {
      const beginning = await readBeginning(objects, { topology: 'shop', version: `v${number}` });
      given += beginning?.underWay['shop-kk'] ?? 0;
    }
    const tables: Record<string, string[]> = {};
    for (const { tables: own } of this.world.stages) {
      for (const { name } of own) tables[name] = await this.world.rows(name);
    }
    const ledgers = accounts.map(({ ledger, path }) => [path.stage, path.partition, ledger]);
    return { tables, ledgers, given: of(keyedStage) + given };
  }
}

function shopStages(world: StageWorld, { otherKeys = false, plain = false }: ShopShape): string[] {
  return world.stages
    .map(({ name }) => name)
    .filter((name) => name !== 'by-oo' || otherKeys)
    .filter((name) => name !== keyedStage || !plain);
}
