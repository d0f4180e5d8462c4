// Goal: versions follow each other however many there are, whatever their tasks had come to: no event is read
// twice or left out, and no letter is redriven twice.
import { minutes } from '../../../shared/dataflow';
import { newVersion, removeNodes } from '../../../shared/operations/decisions/decide';
import { markDrain } from '../../../shared/operations/decisions/drain-mark';
import { rollback } from '../../../shared/operations/decisions/rollback';
import { LedgerReader } from '../../../shared/ledger/ledger-reader';
import { readLetters } from '../../../shared/operations/letters/letter-reader';
import { redriveKind } from '../../../shared/operations/jobs/kinds/redrive';
import { aJobWorker, createJob, work } from '../../support/job-world';
import { fixBuild, newBuild, oldBuild, Shop, shopApp, sourceStage } from '../../support/shop';

const hourly = { sizeMs: minutes(60) };
const daily = { sizeMs: minutes(24 * 60) };

async function expectAllThere(shop: Shop): Promise<void> {
  expect((await shop.outcome()).given).toBe(shop.sent);
}

describe('a version that follows another', () => {
  it('goes on where the one before the last stopped, in tasks that the last one never began', async () => {
    const shop = new Shop();
    const older = shop.world.workerOf(oldBuild, shopApp());
    await shop.sale(older, 0, ['a', 'b'], 1_000);
    await shop.sale(older, 1, ['c', 'd'], 1_000);
    await newVersion(shop.world.decisionWorld(newBuild, shopApp(hourly)));
    // Of the second version only one task begins.
    await shop.sale(shop.world.workerOf(newBuild, shopApp(hourly)), 0, ['a'], 2_000);
    await newVersion(shop.world.decisionWorld(fixBuild, shopApp(daily)));
    await shop.goOn(fixBuild, daily);
    await expectAllThere(shop);
  });

  it('is not doubled by a worker of the former one that begins a log at that moment', async () => {
    const shop = new Shop();
    const older = shop.world.workerOf(oldBuild, shopApp());
    await shop.sale(older, 0, ['a', 'b'], 1_000);
    const { appends } = shop.world;
    const create = appends.create.bind(appends);
    appends.create = async (name) => {
      appends.create = create;
      // It has found no log of the second partition; before it makes one, the version ends.
      await newVersion(shop.world.decisionWorld(newBuild, shopApp(hourly)));
      return create(name);
    };
    await shop.sale(older, 1, ['c', 'd'], 1_000);
    await shop.goOn(newBuild, hourly);
    shop.world.nowMs += minutes(60);
    await older.tendHeld(Infinity);
    await expectAllThere(shop);
  });

  it('ends a log that a worker of the former one has begun and not written to', async () => {
    const shop = new Shop();
    const older = shop.world.workerOf(oldBuild, shopApp());
    await shop.sale(older, 0, ['a', 'b'], 1_000);
    const { appends } = shop.world;
    const create = appends.create.bind(appends);
    appends.create = async (name) => {
      appends.create = create;
      const created = await create(name);
      await newVersion(shop.world.decisionWorld(newBuild, shopApp(hourly)));
      return created;
    };
    await shop.sale(older, 1, ['c', 'd'], 1_000);
    await shop.goOn(newBuild, hourly);
    await expectAllThere(shop);
  });

  it('is not ended by a worker of the former one that wakes and looks what that began with', async () => {
    const shop = new Shop();
    const older = shop.world.workerOf(oldBuild, shopApp());
    await shop.sale(older, 0, ['a', 'b'], 1_000);
    await newVersion(shop.world.decisionWorld(newBuild, shopApp(hourly)));
    const newer = shop.world.workerOf(newBuild, shopApp(hourly));
    await shop.sale(newer, 0, ['a'], 2_000);
    await shop.sale(older, 1, ['c'], 2_000);
    await shop.sale(newer, 0, ['a'], 3_000);
    await shop.goOn(newBuild, hourly);
    await expectAllThere(shop);
  });

  it('goes on where it was after a reset, which began another life on the same hub', async () => {
    const shop = new Shop({});
    const older = shop.world.workerOf(oldBuild, shopApp());
    await shop.sale(older, 0, ['x', 'y', 'z'], 500);
    const id = await createJob(shop.world, 'reset', { topology: 'shop' });
    await work(aJobWorker(shop.world), id);
    await shop.read(shop.world.workerOf(oldBuild, shopApp()), sourceStage, 0);
    await newVersion(shop.world.decisionWorld(newBuild, shopApp(hourly)));
    await shop.goOn(newBuild, hourly);
    expect(await shop.world.rows('all')).toHaveLength(shop.sent);
  });

  it('is not counted before it has begun', async () => {
    const shop = new Shop();
    await shop.sale(shop.world.workerOf(oldBuild, shopApp()), 0, ['a', 'b'], 1_000);
    const { appends } = shop.world;
    const [blob = ''] = await appends.list('commits/shop/v1/sales/');
    // A worker of the next version is about to begin the task's log, or has died before it did.
    await appends.create(blob.replace('/v1/', '/v2/'));
    const [account] = await new LedgerReader({ appends, topology: 'shop' }).refresh();
    expect(account?.ledger.read).toBe(2);
  });

  it('redrives no letter that was redriven before it', async () => {
    const shop = new Shop();
    await shop.sale(shop.world.workerOf(oldBuild, shopApp({ failing: true })), 0, ['poison'], 1);
    const letters = await readLetters(shop.world.appends, 'shop', { state: 'open' });
    expect(letters).toHaveLength(1);
    const request = {
      ...({ functionName: 'shop-sales', partition: '0', kind: 'redriven', by: 'me' } as const),
      ...{ reason: 'mended', deadlineMs: Infinity },
      letters: letters.map(({ id, letter }) => ({ id, letter })),
    };
    const mended = shop.world.workerOf(oldBuild, shopApp());
    expect(await mended.settleLetters(request)).toMatchObject([{ wasSettled: false }]);
    await newVersion(shop.world.decisionWorld(newBuild, shopApp(hourly)));
    // The job's piece died after it had done its work, and is run again.
    const newer = shop.world.workerOf(newBuild, shopApp(hourly));
    expect(await newer.settleLetters(request)).toMatchObject([{ wasSettled: true }]);
    await shop.finish(newBuild, hourly);
    expect(await shop.world.rows('all')).toEqual(['["poison",1]']);
  });

  it('is the one that was asked for, after one that somebody began and left was finished', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild);
    const dead = shop.world.decisionWorld(newBuild, shopApp(hourly), (at) => {
      return at === 'decision.after-plan';
    });
    await expect(newVersion(dead)).rejects.toThrow('decision.after-plan');
    const decided = await newVersion(shop.world.decisionWorld(fixBuild, shopApp(daily)));
    expect(decided).toMatchObject({ version: 'v3', isNew: true });
    await shop.goOn(fixBuild, daily);
    await expectAllThere(shop);
  });

  it('is begun once, though the mark of the drain was put there by hand and names no version', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild);
    await shop.world.objects.put('control/shop/drain', Buffer.from(''));
    await shop.finish(oldBuild);
    const dies = shop.world.decisionWorld(newBuild, shopApp(hourly), (at) => {
      return at === 'version.after-beginning';
    });
    await expect(newVersion(dies, 'begin')).rejects.toThrow('version.after-beginning');
    const again = shop.world.decisionWorld(newBuild, shopApp(hourly));
    expect(await newVersion(again, 'begin')).toMatchObject({ version: 'v2', isNew: false });
    expect(await shop.world.objects.get('control/shop/drain')).toBeUndefined();
    await shop.goOn(newBuild, hourly);
    await expectAllThere(shop);
  });
});

describe('what is removed', () => {
  it('is refused where it never was, or where more has changed than that', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild, { extra: true });
    const without = shop.world.decisionWorld(newBuild, shopApp());
    await expect(removeNodes(without, ['moer'])).rejects.toThrow(
      'topology shop never had moer; gone are: more',
    );
    const changed = shop.world.decisionWorld(newBuild, shopApp(hourly));
    await expect(removeNodes(changed, ['more'])).rejects.toThrow(
      /STREAM_DECISION_NEEDED.*sums: sizeMs is 3600000/s,
    );
    expect(await removeNodes(without, ['more'])).toMatchObject({ isNew: true });
  });
});

describe('a rollback', () => {
  it('is refused where the older build takes what is open for something else, and says the way', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild);
    await newVersion(shop.world.decisionWorld(newBuild, shopApp(hourly)));
    await shop.halfDone(newBuild, hourly);
    const world = shop.world.decisionWorld(newBuild, shopApp(hourly));
    await expect(rollback(world, { to: 'old', isNewVersion: false })).rejects.toThrow(
      /build old cannot go on with version v2 of shop.*sums: sizeMs is 60000, was 3600000.*millrace rollback shop --to old --new-version/s,
    );
    // Nothing was changed by it.
    await shop.sale(shop.world.workerOf(newBuild, shopApp(hourly)), 0, ['a'], 3_500);
    const decided = await rollback(world, { to: 'old', isNewVersion: true });
    expect(decided).toMatchObject({ version: 'v3', isNew: true });
    expect(decided.givenUp['by-kk/sums']).toBeGreaterThan(0);
    expect(await rollback(world, { to: 'old', isNewVersion: true })).toMatchObject({
      ...{ version: 'v3', isNew: false, givenUp: decided.givenUp },
    });
    await shop.goOn(oldBuild);
    await expectAllThere(shop);
  });

  it('goes over versions where both builds mean the same by what is open', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild);
    await markDrain(shop.world.objects, { topology: 'shop', version: 'v1' });
    await shop.finish(oldBuild);
    await newVersion(shop.world.decisionWorld(newBuild, shopApp()), 'begin');
    await shop.halfDone(newBuild, { extra: true });
    const world = shop.world.decisionWorld(newBuild, shopApp({ extra: true }));
    expect(await rollback(world, { to: 'old', isNewVersion: false })).toMatchObject({
      version: 'v2',
    });
    await shop.goOn(oldBuild);
    await expectAllThere(shop);
  });

  it('is over for a build with which somebody decides: else neither build may go on', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild);
    await shop.halfDone(newBuild, { extra: true });
    const world = shop.world.decisionWorld(newBuild, shopApp({ extra: true }));
    await rollback(world, { to: 'old', isNewVersion: false });
    expect(await newVersion(world)).toMatchObject({ version: 'v2', isNew: true });
    await shop.goOn(newBuild, { extra: true });
    await expectAllThere(shop);
  });

  it('leaves a stage that the older build lacks as it is, and a later build goes on with it', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild);
    const both = { otherKeys: true };
    const newer = shop.world.workerOf(newBuild, shopApp(both));
    await shop.sale(newer, 0, ['p', 'q'], 1_000);
    for (const partition of [0, 1]) await shop.read(newer, 'by-oo', partition);
    await shop.sale(newer, 0, ['p'], 2_000);
    const world = shop.world.decisionWorld(newBuild, shopApp(both));
    await rollback(world, { to: 'old', isNewVersion: false });
    // Whoever holds that stage alone is told, too: it commits no more.
    const bytesOf = async (): Promise<number> => {
      const { appends } = shop.world;
      let bytes = 0;
      for (const name of await appends.list('commits/shop/v1/by-oo/')) {
        bytes += (await appends.stat(name))?.bytes ?? 0;
      }
      return bytes;
    };
    const bytes = await bytesOf();
    for (const partition of [0, 1]) await shop.read(newer, 'by-oo', partition);
    expect(await bytesOf()).toBe(bytes);
    await shop.sale(shop.world.workerOf(oldBuild, shopApp()), 0, ['p'], 2_500);
    await shop.goOn(fixBuild, both);
    await expectAllThere(shop);
    // Sales of `p` and `q` before the rollback, and what came after it was over.
    const rows = await shop.world.rows('others');
    expect(rows).toEqual(expect.arrayContaining(['["p",2]', '["q",1]']));
  });
});

describe('letters of a stage that is gone', () => {
  it('are left, with the reason, and do not keep others from being redriven', async () => {
    const shop = new Shop({});
    const { world } = shop;
    await shop.sale(world.workerOf(oldBuild, shopApp({ failing: true })), 0, ['poison'], 1);
    const kind = redriveKind({
      ...{ appends: world.appends, clock: { nowMs: () => world.nowMs }, stages: [] },
      runtime: world.worker(),
      limitsOf: () => ({ attemptsMax: 3, ageMaxMs: Infinity }),
    });
    const plan = await kind.plan(
      { topology: 'shop', verdict: 'redriven', reason: 'mended', isForced: true, filter: {} },
      { folder: 'jobs/1/', jobId: '1' },
    );
    expect(plan).toMatchObject({ pieces: [], summary: { found: 1, taken: 0 } });
    expect(JSON.stringify(plan.summary)).toContain('this build has no such stage any more');
  });
});
