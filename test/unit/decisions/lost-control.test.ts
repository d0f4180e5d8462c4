// Goal: control may be deleted, or put back as an older copy, at any moment and after any decision. The logs know
// what they hold: nothing is read twice, the right build goes on by itself, and for any other there is a command.
import { minutes } from '../../../shared/dataflow';
import { newVersion, removeTopology } from '../../../shared/operations/decisions/decide';
import { PlanStore } from '../../../shared/operations/decisions/plan-store';
import { fixBuild, newBuild, oldBuild, Shop, shopApp } from '../../support/shop';

const hourly = { sizeMs: minutes(60) };
const daily = { sizeMs: minutes(24 * 60) };

type Copy = ReadonlyMap<string, Uint8Array>;

async function controlOf(shop: Shop): Promise<Copy> {
  const { objects } = shop.world;
  const copy = new Map<string, Uint8Array>();
  for (const { name } of await objects.list('control/')) {
    const bytes = await objects.get(name);
    if (bytes !== undefined) copy.set(name, bytes);
  }
  return copy;
}

async function putBack(shop: Shop, copy: Copy): Promise<void> {
  const { objects } = shop.world;
  for (const { name } of await objects.list('control/')) await objects.delete(name);
  for (const [name, bytes] of copy) await objects.put(name, bytes);
}

/** A decision was taken; tasks of one partition have begun in the new version, the others have not. */
async function decided(): Promise<{ shop: Shop; older: Copy }> {
  const shop = new Shop();
  const worker = shop.world.workerOf(oldBuild, shopApp());
  await shop.sale(worker, 1, ['c', 'd'], 500);
  await shop.halfDone(oldBuild);
  const older = await controlOf(shop);
  await newVersion(shop.world.decisionWorld(newBuild, shopApp(hourly)));
  await shop.sale(shop.world.workerOf(newBuild, shopApp(hourly)), 0, ['a'], 3_500);
  return { shop, older };
}

async function expectAllThere(shop: Shop): Promise<void> {
  await shop.outcome();
  expect(await shop.world.rows('all')).toHaveLength(shop.sent);
}

describe.each(['deleted', 'put back as it was before the decision'])(
  'control that was %s',
  (how) => {
    const lose = (shop: Shop, older: Copy): Promise<void> =>
      putBack(shop, how === 'deleted' ? new Map() : older);

    it('is written anew by the build of the plan that the logs name, and nothing is read twice', async () => {
      const { older, shop } = await decided();
      await lose(shop, older);
      await shop.goOn(newBuild, hourly);
      await expectAllThere(shop);
      const newest = await new PlanStore(shop.world.objects).newest('shop');
      expect(newest).toMatchObject({ version: 'v2', number: 3, change: 'restored' });
    });

    it('halts every other build, which is told what to do', async () => {
      const { older, shop } = await decided();
      await lose(shop, older);
      for (const [build, shape] of [
        [oldBuild, {}],
        [fixBuild, daily],
      ] as const) {
        const worker = shop.world.workerOf(build, shopApp(shape));
        await expect(shop.sale(worker, 1, ['x'], 4_000)).rejects.toThrow(
          /STREAM_DECISION_NEEDED: the logs of shop were written under plan 2 .* of version v2.*millrace decide shop new-version/s,
        );
      }
      const held = shop.world.workerOf(newBuild, shopApp(hourly));
      await shop.sale(held, 1, ['y'], 4_000);
      await shop.goOn(newBuild, hourly);
      await expectAllThere(shop);
    });

    it('is made good by a decision of another build, above all that the logs know', async () => {
      const { older, shop } = await decided();
      await lose(shop, older);
      const world = shop.world.decisionWorld(fixBuild, shopApp(daily));
      expect(await newVersion(world)).toMatchObject({ version: 'v3', number: 3, isNew: true });
      expect(await newVersion(world)).toMatchObject({ version: 'v3', number: 3, isNew: false });
      await shop.goOn(fixBuild, daily);
      await expectAllThere(shop);
    });

    it('does not let a worker go on that held its tasks meanwhile, and then everything is there', async () => {
      const { older, shop } = await decided();
      const holding = shop.world.workerOf(newBuild, shopApp(hourly));
      await shop.sale(holding, 0, ['h'], 3_600);
      await lose(shop, older);
      // It opens a task that nobody has begun in this version, while control does not know of it.
      await shop.sale(holding, 1, ['i'], 3_700);
      await shop.goOn(newBuild, hourly);
      await expectAllThere(shop);
    });

    it('halts all after a removal, until the topology is begun again', async () => {
      const shop = new Shop();
      await shop.halfDone(oldBuild);
      const older = await controlOf(shop);
      await removeTopology(shop.world.decisionWorld(oldBuild, shopApp()));
      await lose(shop, older);
      const worker = shop.world.workerOf(oldBuild, shopApp());
      await expect(shop.sale(worker, 0, ['x'], 4_000)).rejects.toThrow(
        /STREAM_DECISION_NEEDED|STREAM_BUILD_SUPERSEDED/,
      );
      await expect(shop.sale(worker, 0, ['y'], 4_000)).rejects.toThrow(
        /STREAM_DECISION_NEEDED: the logs of shop were ended for version v2.*new-version/s,
      );
      const world = shop.world.decisionWorld(oldBuild, shopApp());
      expect(await newVersion(world, 'begin')).toMatchObject({ version: 'v2', isNew: true });
      await shop.goOn(oldBuild);
      await expectAllThere(shop);
    });
  },
);
