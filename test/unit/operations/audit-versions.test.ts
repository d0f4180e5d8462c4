// Goal: an audit recounts all versions of a topology, whatever was decided, and balances; what does not agree in
// a former version it finds as well as in the newest.
import { minutes } from '../../../shared/dataflow';
import { newVersion, removeTopology } from '../../../shared/operations/decisions/decide';
import { rollback } from '../../../shared/operations/decisions/rollback';
import { readBeginning } from '../../../shared/operations/decisions/versions';
import type { JobKind } from '../../../shared/operations/jobs/job-kind';
import { auditKind } from '../../../shared/operations/jobs/kinds/audit';
import { aJobWorker, createJob, reportOf, work } from '../../support/job-world';
import { newBuild, oldBuild, Shop, shopApp } from '../../support/shop';

const hourly = { sizeMs: minutes(60) };

async function audit(shop: Shop, kinds?: readonly JobKind[]): Promise<Record<string, unknown>> {
  const id = await createJob(shop.world, 'audit', { topology: 'shop', withHub: true });
  await work(aJobWorker(shop.world, { ...(kinds && { kinds }) }), id);
  return reportOf(shop.world, id);
}

async function afterNewVersion(): Promise<Shop> {
  const shop = new Shop();
  await shop.halfDone(oldBuild);
  await newVersion(shop.world.decisionWorld(newBuild, shopApp(hourly)));
  await shop.goOn(newBuild, hourly);
  return shop;
}

interface Ledgers {
  readonly sales: { readonly read: number };
}

describe('an audit', () => {
  it('balances after a new version from here, and says what was given up under way', async () => {
    const shop = await afterNewVersion();
    const report = await audit(shop);
    expect(report).toMatchObject({ isRight: true, discrepancies: 0 });
    expect(JSON.stringify(report['notes'])).not.toContain('not compared');
    // Of the second stage nine events were taken in.
    expect(report['comparedWithHub']).toBe(shop.sent + 9);
    expect((report['ledgers'] as Ledgers).sales.read).toBe(shop.sent);
    expect(report['notes']).toContainEqual(
      'exchange shop-kk of v1: 3 events were under way when the version ended, and are given up',
    );
  });

  it('balances after a removal, before and after the topology is begun again', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild);
    await removeTopology(shop.world.decisionWorld(oldBuild, shopApp()));
    expect(await audit(shop)).toMatchObject({ isRight: true, discrepancies: 0 });
    await newVersion(shop.world.decisionWorld(newBuild, shopApp(hourly)), 'begin');
    await shop.goOn(newBuild, hourly);
    expect(await audit(shop)).toMatchObject({ isRight: true, discrepancies: 0 });
  });

  it('balances after three versions, the last by a rollback', async () => {
    const shop = await afterNewVersion();
    await shop.halfDone(newBuild, hourly);
    const world = shop.world.decisionWorld(newBuild, shopApp(hourly));
    await rollback(world, { to: 'old', isNewVersion: true });
    await shop.goOn(oldBuild);
    const report = await audit(shop);
    expect(report).toMatchObject({ isRight: true, discrepancies: 0 });
    expect((report['ledgers'] as Ledgers).sales.read).toBe(shop.sent);
  });

  it('recounts logs and tables of stages that no build has any more', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild, { otherKeys: true });
    const plain = { plain: true };
    await newVersion(shop.world.decisionWorld(newBuild, shopApp(plain)));
    await shop.finish(newBuild, plain);
    const { stages } = new Shop(plain).world;
    const served = shop.world.served('auditor');
    const kind = auditKind({
      ...{ appends: shop.world.appends, objects: shop.world.objects, lake: shop.world.lake },
      clock: { nowMs: () => shop.world.nowMs },
      stages: served.slice(0, 1).map((one, index) => ({ ...one, plan: stages[index] ?? one.plan })),
    });
    const report = await audit(shop, [kind]);
    expect(report).toMatchObject({ isRight: true, discrepancies: 0 });
    expect(Object.keys(report['ledgers'] as object).sort()).toEqual(['by-kk', 'sales']);
    expect(JSON.stringify(report['tables'])).toContain('sums');
  });

  it('finds a row that is gone of a former version, and a count that is wrong', async () => {
    const shop = await afterNewVersion();
    const { lake, objects } = shop.world;
    const [file] = (await lake.list('tables/all/')).filter(({ name }) => name.includes('-v1-'));
    await lake.delete(file?.name ?? '');
    const name = { topology: 'shop', version: 'v2' };
    const beginning = await readBeginning(objects, name);
    const told = { ...beginning, underWay: { 'shop-kk': 2 } };
    await objects.put('control/shop/versions/v2.json', Buffer.from(JSON.stringify(told)));
    const report = await audit(shop);
    expect(report).toMatchObject({ isRight: false });
    const texts = JSON.stringify(report['first']);
    expect(texts).toContain('is missing');
    expect(texts).toContain('3 events were under way when the version ended, 2 were counted');
  });
});

describe('a reset', () => {
  it('counts what the newest version had read, not what the first one had', async () => {
    const shop = await afterNewVersion();
    const id = await createJob(shop.world, 'reset', { topology: 'shop' });
    await work(aJobWorker(shop.world), id);
    expect(await reportOf(shop.world, id)).toMatchObject({
      ...{ isRight: true, eventsReadAgain: shop.sent },
    });
    await shop.finish(newBuild, hourly);
    expect(await shop.world.rows('all')).toHaveLength(shop.sent);
    expect(await audit(shop)).toMatchObject({ isRight: true, discrepancies: 0 });
  });
});
