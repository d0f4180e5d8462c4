// Goal: whoever has to do with a task whose hub was promoted knows of it: readers of logs, surveys, versions of the
// topology, and stages behind an exchange.
import { listLogs } from '../../../shared/commit-log/log-reader';
import { LedgerReader } from '../../../shared/ledger/ledger-reader';
import { emptySummary } from '../../../shared/model/commit';
import { bequestOf } from '../../../shared/operations/decisions/versions';
import { recountLog } from '../../../shared/operations/jobs/kinds/recount-log';
import { Surveyor } from '../../../shared/supervision/survey/surveyor';
import { topologies } from '../../fixtures/topologies/orders';
import { expectedPaid } from '../../support/orders';
import {
  batch,
  expectTables,
  functionName,
  logsOf,
  read,
  send,
  sentAfter,
  started,
} from '../../support/promoted-world';
import { StageWorld, WorkerDied } from '../../support/stage-world';

test('who looks at the logs is told, and an audit agrees', async () => {
  const { hub, world, worker } = await started();
  hub.loseLast(0, 30);
  send(world, sentAfter);
  await worker.processBatch(batch(hub.messages(0).slice(60)));
  await world.finish(worker);
  const reader = new LedgerReader({ appends: world.appends, topology: 'orders' });
  const [account] = (await reader.refresh()).filter(({ path }) => path.stage === 'orders');
  expect(account).toMatchObject({
    ledger: { read: 180, gap: 0 },
    promotion: { count: 1, fromSequenceNumber: 70, readThrough: 99 },
  });
  const stage = world.served('audit').find(({ plan }) => plan.name === 'orders');
  if (stage === undefined) throw new Error('no stage');
  for (const path of await listLogs(world.appends, 'orders')) {
    if (path.stage !== 'orders') continue;
    const beat = async (): Promise<void> => undefined;
    const recount = await recountLog(world, {
      ...{ path, plan: stage.plan, tables: {}, beat },
      ...{ hub, clock: stage.services.clock },
    });
    expect(recount.discrepancies).toEqual([]);
    expect(recount.comparedWithHub).toBe(path.incarnation.includes('x') ? 80 : 0);
  }
});

test('a survey finds a partition that nobody holds, and asks for a recovery until it is over', async () => {
  const { hub, world } = await started();
  const stages = world.served('surveyor');
  const surveyor = new Surveyor({
    ...{ stages, objects: world.objects, graceMs: 1_000 },
    isDraining: async () => false,
  });
  const survey = async () => {
    const request = { functionName, page: 0, settled: {}, recovering: {} };
    const { findings } = await surveyor.survey(request);
    return findings.filter(({ needs }) => needs.includes('recover')).map(({ why }) => why);
  };
  expect(await survey()).toEqual([]);
  hub.loseLast(0, 30);
  expect(await survey()).toEqual([expect.stringContaining('was it promoted?')]);
  send(world, sentAfter.slice(0, 30));
  expect(await survey()).toEqual([expect.stringContaining('was it promoted?')]);
  const recover = { functionName, partition: '0', deadlineMs: Infinity, isRecovery: true };
  await world.worker().tendTask(recover);
  await world.worker().tendTask(recover);
  expect(await survey()).toEqual([]);
  expect((await logsOf(world)).at(-1)).toMatchObject({ ledgerRead: 130 });
});

test('a new version of the topology goes on where the last life on the hub stopped', () => {
  const promotion = {
    ...{ count: 1, noticedAtMs: 1, fromSequenceNumber: 70, readThrough: 99 },
    ...{ fromEnqueuedMs: 5, isDeclared: true },
  };
  const cursor = { sequenceNumber: 180, index: 2 };
  const summary = { ...emptySummary, commit: 7, cursor, lastEnqueuedAtMs: 9, promotion };
  const former = { stage: 'orders', partition: '0', summary, open: {}, letters: [] };
  const beginning = {
    ...({ format: 1, topology: 'orders', version: 'v2', after: 'v1' } as const),
    ...{
      epoch: 3,
      atMs: 1,
      underWay: {},
      tasks: [{ ...former, incarnation: '000000000001000x0001' }],
    },
  };
  const world = new StageWorld({ topologies, partitionCount: 1 });
  const address = { topology: 'orders', version: 'v2', stage: 'orders', partition: '0' };
  const [plan] = world.stages;
  if (plan === undefined) throw new Error('no stage');
  const of = (incarnation: string) => bequestOf(beginning, { ...address, incarnation }, plan);
  expect(of('000000000001000')?.summary).toMatchObject({ cursor, lastEnqueuedAtMs: 9, promotion });
  expect(of('000000000002000')?.summary).toMatchObject({ cursor: null, promotion: null });
});

describe('an exchange hub', () => {
  async function exchanging() {
    const { world, worker } = await started();
    const exchange = world.hub('orders-customer');
    const consumer = world.stage('by-customer');
    const consume = (from = 0) =>
      worker.processBatch({
        functionName: consumer.functionName,
        partition: '0',
        messages: exchange.messages(0).slice(from),
        deadlineMs: Infinity,
      });
    return { world, worker, exchange, consume };
  }

  it('that lost what was read takes what is sent after it, once', async () => {
    const { consume, exchange, world, worker } = await exchanging();
    await consume();
    const lost = exchange.loseLast(0, 1);
    send(world, sentAfter);
    await worker.processBatch(batch(world.hub('orders').messages(0).slice(100)));
    await consume();
    expect((await logsOf(world, 'by-customer')).at(-1)?.gaps[0]?.reason).toBe('hub-promoted');
    expect(lost).toBe(1);
    await world.finish(worker);
    await expectTables(world, [...read, ...sentAfter]);
  });

  it('that lost what nobody had read declares by number what will never come', async () => {
    const { consume, exchange, world, worker } = await exchanging();
    exchange.loseLast(0, 1);
    send(world, sentAfter);
    await worker.processBatch(batch(world.hub('orders').messages(0).slice(100)));
    await consume();
    const [log] = await logsOf(world, 'by-customer');
    expect(log?.gaps.map(({ events, reason }) => [reason, events])).toEqual([
      ['producer-missing', expectedPaid(read).length],
    ]);
  });

  it('that lost what is sent again takes it once', async () => {
    const { consume, exchange, world } = await exchanging();
    send(world, sentAfter);
    const dying = world.worker((point) => point === 'stage.after-send');
    const messages = world.hub('orders').messages(0).slice(100);
    await expect(dying.processBatch(batch(messages))).rejects.toBeInstanceOf(WorkerDied);
    await consume();
    // Both messages are read; the one that was not confirmed comes again under an old number.
    exchange.loseLast(0, 1);
    const next = world.worker();
    await world.finish(next);
    await expectTables(world, [...read, ...sentAfter]);
  });
});
