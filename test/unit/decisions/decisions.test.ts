// Goal: each decision is safe to repeat, whoever dies wherever: no row is lost or doubled, the ledger
// balances, and what is given up is counted.
import { Type } from 'typebox';
import {
  count,
  minutes,
  Timestamp,
  topology,
  tumbling,
  type Topology,
} from '../../../shared/dataflow';
import { LedgerReader, isBalanced } from '../../../shared/ledger/ledger-reader';
import type { BuildIdentity } from '../../../shared/model/topology-plan';
import {
  newVersion,
  removeNodes,
  removeTopology,
  type Decided,
} from '../../../shared/operations/decisions/decide';
import { rollback } from '../../../shared/operations/decisions/rollback';
import { PlanStore } from '../../../shared/operations/decisions/plan-store';
import { markDrain } from '../../../shared/operations/decisions/drain-mark';
import type { Runtime } from '../../../shared/task/runtime';
import { StageWorld, WorkerDied } from '../../support/stage-world';

const event = Type.Object({ k: Type.String(), time: Timestamp() });
const row = Type.Object({ k: Type.String(), n: Type.Integer() });

const app = (window: { name?: string | null; sizeMs?: number } = {}): Topology[] => [
  topology('shop', (t) => {
    const { name = 'sums', sizeMs = minutes(1) } = window;
    const events = t.source('sales', { schema: event, eventTime: (e) => e.time });
    events.map((e) => ({ k: e.k, n: 1 })).toLake('all', { schema: row });
    if (name === null) return;
    const keyed = events.keyBy((e) => e.k, { name: 'kk', isPartitionedBySource: true });
    keyed
      .window(tumbling(sizeMs), { name })
      .aggregate({ n: count() })
      .map((w) => ({ k: String(w.key), n: w.n }))
      .toLake('sums', { schema: row });
  }),
];

const oldBuild: BuildIdentity = { id: 'old', builtAtMs: 1_000 };
const newBuild: BuildIdentity = { id: 'new', builtAtMs: 2_000 };
const fixBuild: BuildIdentity = { id: 'fix', builtAtMs: 3_000 };
const functionName = 'shop-sales';

class Shop {
  readonly world = new StageWorld({ topologies: app(), partitionCount: 1 });
  sent = 0;

  /** Sends events and lets a worker read; true: it committed. */
  async sale(runtime: Runtime, keys: readonly string[], time: number): Promise<boolean> {
    const hub = this.world.hub('sales');
    for (const k of keys) hub.append(0, Buffer.from(JSON.stringify({ k, time })));
    this.sent += keys.length;
    const messages = hub.messages(0).slice(-keys.length);
    const report = await runtime.processBatch({
      ...{ functionName, partition: '0', messages, deadlineMs: Infinity },
    });
    return report.committedEvents > 0;
  }

  async end(runtime: Runtime): Promise<void> {
    this.world.isDraining = true;
    await runtime.tendHeld(Infinity);
    await runtime.tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: -Infinity });
    this.world.isDraining = false;
    const { appends } = this.world;
    const accounts = await new LedgerReader({ appends, topology: 'shop' }).refresh();
    expect(accounts.map(({ ledger }) => [ledger.read, isBalanced(ledger)])).toEqual([
      [this.sent, true],
    ]);
    expect(await this.world.rows('all')).toHaveLength(this.sent);
  }
}

/** Takes a decision with deaths at a point until it is taken, then once more. */
async function untilTaken(
  decide: (dieAt: (point: string) => boolean) => Promise<Decided>,
  point: string | null,
): Promise<Decided> {
  let deaths = 0;
  const dieAt = (at: string): boolean => at === point && (deaths += 1) === 1;
  try {
    return await decide(dieAt);
  } catch (error) {
    if (!(error instanceof WorkerDied)) throw error;
  }
  return decide(() => false);
}

const points = [
  'decision.before-plan',
  'decision.after-plan',
  'version.before-seal',
  'version.after-seal',
  'version.before-beginning',
  'version.after-beginning',
  'stage.before-flush',
  'stage.after-flush',
  'commit.before-append',
  'commit.after-append',
  null,
];

describe('a new version from here', () => {
  it.each(points)(
    'begins where the former one stopped, though its command dies at %s',
    async (point) => {
      const shop = new Shop();
      const changed = app({ sizeMs: minutes(60) });
      const older = shop.world.workerOf(oldBuild, app());
      await shop.sale(older, ['a', 'b', 'c'], 1_000);
      const waiting = shop.world.workerOf(newBuild, changed);
      await expect(shop.sale(waiting, ['a'], 2_000)).rejects.toThrow('STREAM_DECISION_NEEDED');
      expect(await shop.sale(older, ['a'], 3_000)).toBe(true);
      const decided = await untilTaken(
        (dieAt) => newVersion(shop.world.decisionWorld(newBuild, changed, dieAt)),
        point,
      );
      expect(decided).toMatchObject({ version: 'v2', givenUp: { 'sales/sums': 3 } });
      expect(await shop.sale(older, ['d'], 4_000)).toBe(false);
      const newer = shop.world.workerOf(newBuild, changed);
      await shop.sale(newer, ['a', 'a'], 5_000);
      await shop.end(newer);
      // The first version's five events were in windows that were given up; three of the second were not.
      expect(await shop.world.rows('sums')).toEqual(['["a",2]', '["d",1]']);
      expect(await newVersion(shop.world.decisionWorld(newBuild, changed))).toMatchObject({
        ...{ version: 'v2', isNew: false, givenUp: { 'sales/sums': 3 } },
      });
    },
  );

  it('is gone on with by a worker where the command died before any log was ended', async () => {
    const shop = new Shop();
    const changed = app({ name: 'totals' });
    const older = shop.world.workerOf(oldBuild, app());
    await shop.sale(older, ['a'], 1_000);
    const dying = shop.world.decisionWorld(newBuild, changed, (at) => at === 'decision.after-plan');
    await expect(newVersion(dying)).rejects.toThrow(WorkerDied);
    expect(await shop.sale(older, ['b'], 1_500)).toBe(true);
    const newer = shop.world.workerOf(newBuild, changed);
    await shop.sale(newer, ['c'], 2_000);
    expect(await shop.sale(older, ['d'], 3_000)).toBe(false);
    await shop.sale(newer, ['c'], 4_000);
    await shop.end(newer);
    expect(await shop.world.rows('sums')).toEqual(['["c",2]', '["d",1]']);
  });
});

describe('a drained topology', () => {
  it('begins again with its time reset, and no event after it is late', async () => {
    const shop = new Shop();
    const worker = shop.world.workerOf(oldBuild, app());
    await shop.sale(worker, ['a', 'a'], 1_000);
    const world = shop.world.decisionWorld(oldBuild, app());
    await expect(newVersion(world, 'begin')).rejects.toThrow('is not drained');
    await markDrain(shop.world.objects, { topology: 'shop', version: 'v1' });
    await expect(newVersion(world, 'begin')).rejects.toThrow('still draining: 1 keys are open');
    await shop.end(worker);
    expect(await newVersion(world, 'begin')).toMatchObject({ version: 'v2', givenUp: {} });
    expect(await newVersion(world, 'begin')).toMatchObject({ version: 'v2', isNew: false });
    const again = shop.world.workerOf(oldBuild, app());
    await shop.sale(again, ['a'], 1_500);
    await shop.end(again);
    expect(await shop.world.rows('sums')).toEqual(['["a",1]', '["a",2]']);
  });
});

describe('what is removed', () => {
  it('a topology: rows leave first, what is open is counted, and it stands still until it is begun', async () => {
    const shop = new Shop();
    const worker = shop.world.workerOf(oldBuild, app());
    await shop.sale(worker, ['a', 'b'], 1_000);
    const world = shop.world.decisionWorld(oldBuild, app());
    expect(await removeTopology(world)).toMatchObject({
      isNew: true,
      givenUp: { 'sales/sums': 2 },
    });
    expect(await removeTopology(world)).toMatchObject({
      isNew: false,
      givenUp: { 'sales/sums': 2 },
    });
    expect(await shop.world.rows('all')).toHaveLength(2);
    await expect(shop.sale(worker, ['c'], 2_000)).rejects.toThrow('STREAM_DECISION_NEEDED');
    await newVersion(world, 'begin');
    const again = shop.world.workerOf(oldBuild, app());
    await shop.sale(again, ['d'], 3_000);
    await shop.end(again);
  });

  it('a node: its state goes, counted, and what stays is untouched', async () => {
    const shop = new Shop();
    const without = app({ name: null });
    const older = shop.world.workerOf(oldBuild, app());
    await shop.sale(older, ['a', 'b'], 1_000);
    await expect(shop.sale(shop.world.workerOf(newBuild, without), ['a'], 2_000)).rejects.toThrow(
      'millrace remove shop sums',
    );
    await expect(removeNodes(shop.world.decisionWorld(oldBuild, app()), ['sums'])).rejects.toThrow(
      'take it out of the code first',
    );
    const world = shop.world.decisionWorld(newBuild, without);
    expect(await removeNodes(world, ['sums'])).toMatchObject({ isNew: true });
    expect(await removeNodes(world, ['sums'])).toMatchObject({ isNew: false });
    const newer = shop.world.workerOf(newBuild, without);
    await shop.sale(newer, ['c'], 3_000);
    expect(shop.world.events).toContainEqual({
      event: 'task.state-given-up',
      fields: expect.objectContaining({ node: 'sums', keys: 2 }) as unknown,
    });
    // Put back, it begins with nothing of what was given up.
    const back = shop.world.workerOf(fixBuild, app());
    await shop.sale(back, ['a'], 4_000);
    await shop.end(back);
    expect(await shop.world.rows('sums')).toEqual(['["a",1]']);
  });
});

describe('a rollback', () => {
  it('gives the topology back to the older build, and the newer does not take over by itself', async () => {
    const shop = new Shop();
    const added = app({ name: 'sums' });
    const older = shop.world.workerOf(oldBuild, app({ name: null }));
    await shop.sale(older, ['a'], 1_000);
    const newer = shop.world.workerOf(newBuild, added);
    await shop.sale(newer, ['b'], 2_000);
    expect(await shop.sale(older, ['c'], 3_000)).toBe(false);
    const world = shop.world.decisionWorld(newBuild, added);
    expect(await rollback(world, { to: null, isNewVersion: false })).toMatchObject({
      isNew: true,
      number: 3,
    });
    expect(await rollback(world, { to: 'old', isNewVersion: false })).toMatchObject({
      isNew: false,
      number: 3,
    });
    shop.world.nowMs += 60_000;
    expect(await shop.sale(older, ['d'], 4_000)).toBe(true);
    expect(await shop.sale(newer, ['e'], 5_000)).toBe(false);
    const cold = shop.world.workerOf(newBuild, added);
    expect(await shop.sale(cold, ['f'], 6_000)).toBe(false);
    const fixed = shop.world.workerOf(fixBuild, added);
    expect(await shop.sale(fixed, ['g'], 7_000)).toBe(true);
    await shop.end(fixed);
  });
});

describe('state that the plan at work has no use for', () => {
  it('is refused by the log alone where control was tampered with, and said with the commands', async () => {
    const shop = new Shop();
    const older = shop.world.workerOf(oldBuild, app());
    await shop.sale(older, ['a', 'b'], 1_000);
    for (const { name } of await shop.world.objects.list('control/')) {
      await shop.world.objects.delete(name);
    }
    const { services } = shop.world.decisionWorld(newBuild, app({ name: null }));
    const own = shop.world.decisionWorld(newBuild, app({ name: null })).own;
    await new PlanStore(services.objects).put({
      ...{ format: 1, id: 'forged', number: 9, version: 'v1', build: newBuild, ...own },
      ...{ change: 'compatible', by: 'nobody', atMs: 0, differences: [], refusedBuilds: [] },
      ...{ givenUp: [], isRemoved: false },
    });
    const forged = shop.world.workerOf(newBuild, app({ name: null }));
    await expect(shop.sale(forged, ['c'], 2_000)).rejects.toThrow(
      /STREAM_STATE_MISMATCH: sums of stage sales has 2 keys open.*millrace decide shop new-version/,
    );
  });
});
