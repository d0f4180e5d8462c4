// Goal: whoever takes a decision may die before or after any of its writes. Repeated, or left to workers, it
// comes to what it would have come to: no row is lost or doubled, the ledger balances, nothing open is uncounted.
// Method: each decision is run over a half-done topology of two stages, once for each write that it makes; that
// write, and all that follow it, are not done. (A death after a write is one before the next.)
import { Type } from 'typebox';
import {
  count,
  minutes,
  Timestamp,
  topology,
  tumbling,
  type Topology,
} from '../../../shared/dataflow';
import { isBalanced, LedgerReader } from '../../../shared/ledger/ledger-reader';
import type { BuildIdentity } from '../../../shared/model/topology-plan';
import {
  newVersion,
  removeNodes,
  removeTopology,
  type Decided,
} from '../../../shared/operations/decisions/decide';
import { markDrain } from '../../../shared/operations/decisions/drain-mark';
import { readBeginning } from '../../../shared/operations/decisions/versions';
import { rollback } from '../../../shared/operations/decisions/rollback';
import type { DecisionWorld } from '../../../shared/operations/decisions/standing-plan';
import type { Runtime } from '../../../shared/task/runtime';
import { Mortality, mortal } from '../../support/mortal-services';
import { StageWorld, WorkerDied } from '../../support/stage-world';

jest.setTimeout(120_000);

const event = Type.Object({ k: Type.String(), time: Timestamp() });
const row = Type.Object({ k: Type.String(), n: Type.Integer() });

const app = (shape: { sizeMs?: number; extra?: boolean } = {}): Topology[] => [
  topology('shop', (t) => {
    const { extra = false, sizeMs = minutes(1) } = shape;
    const events = t.source('sales', { schema: event, eventTime: (e) => e.time });
    events.map((e) => ({ k: e.k, n: 1 })).toLake('all', { schema: row });
    const keyed = events.keyBy((e) => e.k, { name: 'kk' });
    const windows = extra ? ['sums', 'more'] : ['sums'];
    for (const name of windows) {
      keyed
        .window(tumbling(sizeMs), { name })
        .aggregate({ n: count() })
        .map((w) => ({ k: String(w.key), n: w.n }))
        .toLake(name, { schema: row });
    }
  }),
];

const oldBuild: BuildIdentity = { id: 'old', builtAtMs: 1_000 };
const newBuild: BuildIdentity = { id: 'new', builtAtMs: 2_000 };
const [source, keyed] = ['sales', 'by-kk'];

class Shop {
  readonly world = new StageWorld({ topologies: app({ extra: true }), partitionCount: 2 });
  sent = 0;

  /** Sends sales to a partition, and lets a worker read them; it may die of it. */
  async sale(runtime: Runtime, partition: number, keys: readonly string[], time: number) {
    const hub = this.world.hub(source);
    const from = hub.messages(partition).length;
    for (const k of keys) hub.append(partition, Buffer.from(JSON.stringify({ k, time })));
    this.sent += keys.length;
    await this.read(runtime, source, partition, from);
  }

  async read(runtime: Runtime, stage: string, partition: number, from = 0): Promise<void> {
    try {
      await this.world.deliver(runtime, { stage, partition, from });
    } catch (error) {
      if (!(error instanceof WorkerDied)) throw error;
    }
  }

  /** Rows and messages are owed, some are taken in and some under way, windows are open, a log is not begun. */
  async halfDone(build: BuildIdentity, topologies: Topology[]): Promise<void> {
    const worker = this.world.workerOf(build, topologies);
    await this.sale(worker, 0, ['a', 'b', 'c', 'd'], 1_000);
    for (const partition of [0, 1]) await this.read(worker, keyed, partition);
    await this.sale(worker, 0, ['a', 'b', 'c'], 2_000);
    const dying = this.world.workerOf(build, topologies, (at) => at === 'stage.before-send');
    await this.sale(dying, 0, ['a', 'b'], 3_000);
  }

  /** Everything is read to its end. */
  async finish(build: BuildIdentity, topologies: Topology[]): Promise<void> {
    await this.world.finish(this.world.workerOf(build, topologies));
    this.world.isDraining = false;
  }

  /** What counts after all: tables, ledgers, and that every event has come to one end. */
  async outcome(): Promise<object> {
    const { appends } = this.world;
    const accounts = await new LedgerReader({ appends, topology: 'shop' }).refresh();
    const ofSource = accounts.filter(({ path }) => path.stage === source);
    expect(ofSource.reduce((sum, { ledger }) => sum + ledger.read, 0)).toBe(this.sent);
    expect(accounts.every(({ ledger }) => isBalanced(ledger) && ledger.gap === 0)).toBe(true);
    expect(await this.world.rows('all')).toHaveLength(this.sent);
    // What the first stage gave out was taken in by the second, or is counted as given up under way.
    const takenIn = accounts.filter(({ path }) => path.stage === keyed);
    let underWay = 0;
    for (const version of ['v2', 'v3']) {
      const beginning = await readBeginning(this.world.objects, { topology: 'shop', version });
      for (const events of Object.values(beginning?.underWay ?? {})) underWay += events;
    }
    expect(takenIn.reduce((sum, { ledger }) => sum + ledger.read, underWay)).toBe(this.sent);
    const tables = [];
    for (const name of ['all', 'sums', 'more']) tables.push(await this.world.rows(name));
    const ledgers = accounts.map(({ ledger, path }) => [path.stage, path.partition, ledger]);
    return { tables, ledgers, underWay };
  }
}

interface Scenario {
  readonly before: (shop: Shop) => Promise<void>;
  readonly world: (shop: Shop) => DecisionWorld;
  readonly decide: (world: DecisionWorld) => Promise<Decided>;
  readonly after: (shop: Shop) => Promise<void>;
}

const changed = app({ sizeMs: minutes(60) });

const goOn = async (shop: Shop, build: BuildIdentity, topologies: Topology[]): Promise<void> => {
  const worker = shop.world.workerOf(build, topologies);
  await shop.sale(worker, 1, ['a', 'e'], 4_000);
  await shop.sale(worker, 0, ['a'], 5_000);
  await shop.finish(build, topologies);
};

const scenarios: Record<string, Scenario> = {
  'new version from here': {
    before: (shop) => shop.halfDone(oldBuild, app()),
    world: (shop) => shop.world.decisionWorld(newBuild, changed),
    decide: (world) => newVersion(world),
    after: (shop) => goOn(shop, newBuild, changed),
  },
  'drain, then begin': {
    before: async (shop) => {
      await shop.halfDone(oldBuild, app());
      await markDrain(shop.world.objects, { topology: 'shop', version: 'v1' });
      await shop.finish(oldBuild, app());
    },
    world: (shop) => shop.world.decisionWorld(newBuild, changed),
    decide: (world) => newVersion(world, 'begin'),
    after: (shop) => goOn(shop, newBuild, changed),
  },
  'remove, then begin': {
    before: (shop) => shop.halfDone(oldBuild, app()),
    world: (shop) => shop.world.decisionWorld(oldBuild, app()),
    decide: (world) => removeTopology(world),
    after: async (shop) => {
      const { world } = shop;
      await newVersion(world.decisionWorld(newBuild, changed), 'begin');
      await goOn(shop, newBuild, changed);
    },
  },
  'remove a node': {
    before: (shop) => shop.halfDone(oldBuild, app({ extra: true })),
    world: (shop) => shop.world.decisionWorld(newBuild, app()),
    decide: (world) => removeNodes(world, ['more']),
    after: (shop) => goOn(shop, newBuild, app()),
  },
  'roll back': {
    before: async (shop) => {
      await shop.halfDone(oldBuild, app());
      await shop.halfDone(newBuild, app({ extra: true }));
    },
    world: (shop) => shop.world.decisionWorld(newBuild, app({ extra: true })),
    decide: (world) => rollback(world, { to: 'old', isNewVersion: false }),
    after: (shop) => goOn(shop, oldBuild, app()),
  },
  'roll back to a new version': {
    before: async (shop) => {
      await shop.halfDone(oldBuild, app());
      await newVersion(shop.world.decisionWorld(newBuild, changed));
      await shop.halfDone(newBuild, changed);
    },
    world: (shop) => shop.world.decisionWorld(newBuild, changed),
    decide: (world) => rollback(world, { to: 'old', isNewVersion: true }),
    after: (shop) => goOn(shop, oldBuild, app()),
  },
};

/** Takes the decision with a death, and what a repetition makes of it. */
async function run(
  scenario: Scenario,
  how: { readonly lastBefore: number; readonly isRepeated: boolean },
): Promise<{ outcome: object; decided: Decided | null; writes: number; hasDied: boolean }> {
  const shop = new Shop();
  await scenario.before(shop);
  const mortality = new Mortality(how.lastBefore);
  let decided: Decided | null = null;
  try {
    decided = await scenario.decide(mortal(shop.world, scenario.world(shop), mortality));
  } catch (error) {
    if (!(error instanceof WorkerDied)) throw error;
  }
  // Whether it has died or not: to decide the same again must come to the same.
  if (how.isRepeated) decided = await scenario.decide(scenario.world(shop));
  await scenario.after(shop);
  const { hasDied, writes } = mortality;
  return { outcome: await shop.outcome(), decided, writes, hasDied };
}

const gist = (decided: Decided | null): object => ({ ...decided, isNew: null });

describe.each(Object.keys(scenarios))('%s', (name) => {
  const scenario = scenarios[name] as Scenario;

  it('comes to the same where its command dies before any of its writes and is repeated', async () => {
    const whole = await run(scenario, { lastBefore: Infinity, isRepeated: false });
    expect(whole.decided?.isNew).toBe(true);
    expect(whole.writes).toBeGreaterThan(0);
    for (let lastBefore = 1; lastBefore <= whole.writes + 1; lastBefore += 1) {
      const died = await run(scenario, { lastBefore, isRepeated: true });
      expect(died.hasDied).toBe(lastBefore <= whole.writes);
      expect({ lastBefore, ...died.outcome }).toEqual({ lastBefore, ...whole.outcome });
      expect(gist(died.decided)).toEqual(gist(whole.decided));
    }
  });
});

describe.each(['new version from here', 'drain, then begin', 'roll back to a new version'])(
  '%s',
  (name) => {
    const scenario = scenarios[name] as Scenario;

    it('is gone on with by workers wherever its command died once it was taken', async () => {
      const whole = await run(scenario, { lastBefore: Infinity, isRepeated: false });
      // Its first write may be the mark of the drain; the plan is what decides.
      const first = name === 'drain, then begin' ? 3 : 2;
      for (let lastBefore = first; lastBefore <= whole.writes; lastBefore += 1) {
        const died = await run(scenario, { lastBefore, isRepeated: false });
        expect({ lastBefore, ...died.outcome }).toEqual({ lastBefore, ...whole.outcome });
      }
    });
  },
);
