// Goal: whoever takes a decision may die before or after any of its writes. Repeated, or left to workers, it
// comes to what it would have come to: no row is lost or doubled, the ledger balances, nothing open is uncounted.
// Method: each decision is run over a half-done topology of two stages, once for each write that it makes; that
// write, and all that follow it, are not done. (A death after a write is one before the next.)
import { minutes } from '../../../shared/dataflow';
import {
  newVersion,
  removeNodes,
  removeTopology,
  type Decided,
} from '../../../shared/operations/decisions/decide';
import { markDrain } from '../../../shared/operations/decisions/drain-mark';
import { rollback } from '../../../shared/operations/decisions/rollback';
import type { DecisionWorld } from '../../../shared/operations/decisions/standing-plan';
import { Mortality, mortal } from '../../support/mortal-services';
import { newBuild, oldBuild, Shop, shopApp } from '../../support/shop';
import { WorkerDied } from '../../support/stage-world';

jest.setTimeout(120_000);

interface Scenario {
  readonly before: (shop: Shop) => Promise<void>;
  readonly world: (shop: Shop) => DecisionWorld;
  readonly decide: (world: DecisionWorld) => Promise<Decided>;
  readonly after: (shop: Shop) => Promise<void>;
}

const changed = { sizeMs: minutes(60) };

const scenarios: Record<string, Scenario> = {
  'new version from here': {
    before: (shop) => shop.halfDone(oldBuild),
    world: (shop) => shop.world.decisionWorld(newBuild, shopApp(changed)),
    decide: (world) => newVersion(world),
    after: (shop) => shop.goOn(newBuild, changed),
  },
  'drain, then begin': {
    before: async (shop) => {
      await shop.halfDone(oldBuild);
      await markDrain(shop.world.objects, { topology: 'shop', version: 'v1' });
      await shop.finish(oldBuild);
    },
    world: (shop) => shop.world.decisionWorld(newBuild, shopApp(changed)),
    decide: (world) => newVersion(world, 'begin'),
    after: (shop) => shop.goOn(newBuild, changed),
  },
  'remove, then begin': {
    before: (shop) => shop.halfDone(oldBuild),
    world: (shop) => shop.world.decisionWorld(oldBuild, shopApp()),
    decide: (world) => removeTopology(world),
    after: async (shop) => {
      await newVersion(shop.world.decisionWorld(newBuild, shopApp(changed)), 'begin');
      await shop.goOn(newBuild, changed);
    },
  },
  'remove a node': {
    before: (shop) => shop.halfDone(oldBuild, { extra: true }),
    world: (shop) => shop.world.decisionWorld(newBuild, shopApp()),
    decide: (world) => removeNodes(world, ['more']),
    after: (shop) => shop.goOn(newBuild),
  },
  'roll back': {
    before: async (shop) => {
      await shop.halfDone(oldBuild);
      await shop.halfDone(newBuild, { extra: true, otherKeys: true });
    },
    world: (shop) => shop.world.decisionWorld(newBuild, shopApp({ extra: true, otherKeys: true })),
    decide: (world) => rollback(world, { to: 'old', isNewVersion: false }),
    after: (shop) => shop.goOn(oldBuild),
  },
  'roll back to a new version': {
    before: async (shop) => {
      await shop.halfDone(oldBuild);
      await newVersion(shop.world.decisionWorld(newBuild, shopApp(changed)));
      await shop.halfDone(newBuild, changed);
    },
    world: (shop) => shop.world.decisionWorld(newBuild, shopApp(changed)),
    decide: (world) => rollback(world, { to: 'old', isNewVersion: true }),
    after: (shop) => shop.goOn(oldBuild),
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
  const outcome = await shop.outcome();
  expect(outcome.given).toBe(shop.sent);
  return { outcome, decided, writes, hasDied };
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
