// Goal: the supervisor finds what tasks need, has it done, and tries again what failed.
// Method: its orchestration is replayed by the real durable-functions package; its activities run
// the real engine on memory stores, hubs and a clock of the test.
import { topologies } from '../../fixtures/topologies/orders';
import { expectedMinutes, expectedPaid, someOrders, type Order } from '../../support/orders';
import { StageWorld, WorkerDied } from '../../support/stage-world';
import { SupervisorWorld, type SupervisorWorldOptions } from '../../support/supervisor-world';
import type { SurveyPage } from '../../../shared/supervision/survey/surveyor';
import type { TendPiece } from '../../../shared/supervision/plan-cycle';
import { readSupervisorReport } from '../../../shared/supervision/supervisor-report';
import { DecisionLog } from '../../../shared/supervision/decision-log';
import { supervisorActivities } from '../../../shared/supervision/orchestrator';

const partitionCount = 2;

function aWorld(orders: readonly Order[]): StageWorld {
  const world = new StageWorld({ topologies, partitionCount });
  orders.forEach((order, index) => {
    world.hub('orders').append(index % partitionCount, Buffer.from(JSON.stringify(order)));
  });
  return world;
}

function supervise(world: StageWorld, options: SupervisorWorldOptions = {}): SupervisorWorld {
  return new SupervisorWorld(world, options);
}

async function untilQuiet(supervision: SupervisorWorld, cycles: number): Promise<void> {
  for (let cycle = 0; cycle < cycles; cycle += 1) await supervision.cycle();
}

async function expectOracle(world: StageWorld, orders: readonly Order[]): Promise<void> {
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(orders));
  expect(await world.rows('customer_minutes')).toEqual(expectedMinutes(orders));
}

describe('the supervisor', () => {
  it('processes everything from the hubs alone when no worker ever gets a batch', async () => {
    const orders = someOrders(400);
    const world = aWorld(orders);
    const supervision = supervise(world);
    await untilQuiet(supervision, 6);
    world.isDraining = true;
    await untilQuiet(supervision, 6);
    await expectOracle(world, orders);
  });

  it('leaves tasks alone whose input has not waited for the stall time-out', async () => {
    const world = aWorld(someOrders(100));
    const supervision = supervise(world);
    await supervision.cycle();
    expect(await world.appends.list('commits/orders/v1/orders/')).toEqual([]);
    expect(supervision.input?.status?.lag).toBe(100);
  });

  it('carries on where a dead worker left off, and says who, what and why', async () => {
    const orders = someOrders(400);
    const world = aWorld(orders);
    let commits = 0;
    const dying = world.worker((point) => point === 'stage.after-commit' && (commits += 1) === 2);
    await expect(
      world.deliver(dying, { stage: 'orders', partition: 0, batchSize: 50 }),
    ).rejects.toThrow(WorkerDied);
    const supervision = supervise(world);
    await untilQuiet(supervision, 4);
    const clock = { nowMs: () => world.nowMs };
    const decisions = await new DecisionLog({ appends: world.appends, clock }).newest(100);
    const recovery = decisions.find(
      ({ functionName, needs, partition }) =>
        functionName === 'orders-orders' && partition === '0' && needs.includes('recover'),
    );
    expect(recovery).toMatchObject({
      kind: 'tended',
      result: 'done',
      attempt: 1,
      worker: 'tender',
    });
    expect(recovery?.why).toMatch(/^100 messages wait at commit 2 since \d+ s \(last: worker-1\)/);
    world.isDraining = true;
    await untilQuiet(supervision, 6);
    await expectOracle(world, orders);
  });

  it('recovers a task within the stall time-out and one cycle of its worker’s death', async () => {
    const orders = someOrders(200);
    for (const diesAfterMs of [0, 3_000, 9_000]) {
      const world = aWorld(orders);
      const supervision = supervise(world);
      await supervision.cycle();
      world.nowMs += diesAfterMs;
      let commits = 0;
      const dying = world.worker((point) => point === 'stage.after-commit' && (commits += 1) === 1);
      await expect(
        world.deliver(dying, { stage: 'orders', partition: 0, batchSize: 50 }),
      ).rejects.toThrow(WorkerDied);
      const diedAtMs = world.nowMs;
      const isRecovered = (): boolean =>
        world.events.some(
          ({ event, fields }) =>
            event === 'supervisor.tended' &&
            fields['partition'] === '0' &&
            fields['functionName'] === 'orders-orders' &&
            (fields['needs'] as string[]).includes('recover') &&
            fields['result'] === 'done',
        );
      let cycleBeganAtMs = world.nowMs;
      while (!isRecovered()) {
        cycleBeganAtMs = world.nowMs;
        await supervision.cycle();
      }
      expect(cycleBeganAtMs - diedAtMs).toBeGreaterThanOrEqual(15_000);
      expect(cycleBeganAtMs - diedAtMs).toBeLessThanOrEqual(15_000 + 10_000);
    }
  });

  it('ticks idle sources until nothing is open, then rests', async () => {
    const world = aWorld([]);
    const supervision = supervise(world);
    const ticks: number[] = [];
    for (let cycle = 1; cycle <= 40; cycle += 1) {
      const before = (await world.appends.stat(firstLog))?.bytes ?? 0;
      await supervision.cycle();
      if (((await world.appends.stat(firstLog))?.bytes ?? 0) > before) ticks.push(cycle);
    }
    expect(ticks.length).toBeGreaterThanOrEqual(1);
    expect(ticks.length).toBeLessThan(12);
  });

  it('sends an outbox that its worker did not live to send, once', async () => {
    const world = aWorld(someOrders(100));
    const dying = world.worker((point) => point === 'stage.before-send');
    await expect(
      world.deliver(dying, { stage: 'orders', partition: 0, batchSize: 50 }),
    ).rejects.toThrow(WorkerDied);
    const supervision = supervise(world, { limits: { periodMs: 20_000 } });
    await untilQuiet(supervision, 5);
    const sent = world.hub('orders-customer').messages(0).length;
    expect(sent).toBeGreaterThan(0);
    const clock = { nowMs: () => world.nowMs };
    const log = new DecisionLog({ appends: world.appends, clock });
    const resends = async (): Promise<number> =>
      (await log.newest(1_000)).filter(({ needs }) => needs.includes('resend')).length;
    const before = await resends();
    await untilQuiet(supervision, 5);
    const ticksSince = (await log.newest(1_000)).filter(({ needs }) => needs.includes('tick'));
    // Each tick sends once more; nothing that was sent is sent again.
    expect((await resends()) - before).toBeLessThanOrEqual(ticksSince.length);
  });

  it('reassigns a piece whose worker hangs, alone and in the same cycle', async () => {
    const orders = someOrders(100);
    const world = aWorld(orders);
    let hung = 0;
    const supervision = supervise(world, {
      before: (name, input) => {
        if (name !== supervisorActivities.tend) return undefined;
        const { piece } = input as unknown as { piece: TendPiece };
        const isFirst = piece.targets.some(({ attempt, partition, needs }) => {
          return attempt === 1 && partition === '0' && needs.includes('recover');
        });
        if (!isFirst) return undefined;
        hung += 1;
        return 'hang';
      },
    });
    await untilQuiet(supervision, 4);
    expect(hung).toBeGreaterThan(0);
    const clock = { nowMs: () => world.nowMs };
    const decisions = await new DecisionLog({ appends: world.appends, clock }).newest(100);
    expect(decisions).toContainEqual(
      expect.objectContaining({ kind: 'reassigned', partition: '0', attempt: 1 }),
    );
    expect(decisions).toContainEqual(
      expect.objectContaining({ kind: 'tended', partition: '0', attempt: 2, result: 'done' }),
    );
    world.isDraining = true;
    await untilQuiet(supervision, 6);
    await expectOracle(world, orders);
  });

  it('marks a task whose attempts are used up, says so once, and mends it later', async () => {
    const world = aWorld(someOrders(100));
    let isBroken = true;
    const supervision = supervise(world, {
      limits: { markedRetryCycles: 2 },
      runtime: () => world.worker((point) => isBroken && point === 'stage.before-process'),
    });
    await untilQuiet(supervision, 8);
    const events = (name: string): number =>
      world.events.filter(({ event }) => event === name).length;
    expect(events('supervisor.marked')).toBe(partitionCount);
    expect(supervision.input?.status?.marked).toEqual(['orders-orders/0', 'orders-orders/1']);
    isBroken = false;
    await untilQuiet(supervision, 4);
    expect(events('supervisor.mended')).toBe(partitionCount);
    expect(supervision.input?.status?.marked).toEqual([]);
  });

  it('does no harm when two of them run at once', async () => {
    const orders = someOrders(300);
    const world = aWorld(orders);
    const one = supervise(world);
    const other = supervise(world);
    for (let cycle = 0; cycle < 4; cycle += 1) await Promise.all([one.cycle(), other.cycle()]);
    world.isDraining = true;
    for (let cycle = 0; cycle < 6; cycle += 1) await Promise.all([one.cycle(), other.cycle()]);
    await expectOracle(world, orders);
  });

  it('begins when it is started without an input', async () => {
    const supervision = supervise(aWorld([]));
    supervision.input = '' as never;
    expect((await supervision.cycle()).customStatus).toMatchObject({ cycle: 1, tasks: 4 });
  });

  it('waits when no activity answers at all, and begins again', async () => {
    const supervision = supervise(aWorld([]), {
      before: (name) =>
        name === supervisorActivities.prepare
          ? Promise.reject(new Error('out of reach'))
          : undefined,
    });
    const { customStatus, isContinued } = await supervision.cycle();
    expect(isContinued).toBe(true);
    expect(customStatus).toMatchObject({
      cycle: 1,
      error: expect.stringContaining('out of reach'),
    });
  });

  it('keeps what it knows of a task in the store, so that each survey reads only what is new', async () => {
    const orders = someOrders(200);
    const world = aWorld(orders);
    await world.deliver(world.worker(), { stage: 'orders', partition: 0 });
    const supervision = supervise(world);
    await supervision.cycle();
    const bytes = await world.objects.get('supervisor/surveys/orders-orders/0000.json');
    const page = JSON.parse(Buffer.from(bytes ?? []).toString()) as SurveyPage;
    expect(page.tasks[0]?.digest).toMatchObject({ commit: 1, cursor: { sequenceNumber: 100 } });
    expect(page.tasks[1]).toMatchObject({ lag: 100, digest: { commit: 0 } });
    const clock = { nowMs: () => world.nowMs };
    const { appends, objects } = world;
    const report = await readSupervisorReport({ appends, objects, clock }, { decisionsMax: 10 });
    expect(report.lifeSign).toMatchObject({ cycle: 1 });
    expect(report.tasks).toHaveLength(2 * partitionCount);
    const source = report.tasks.filter(({ stage }) => stage === 'orders');
    expect(source.map(({ lag }) => lag)).toEqual([0, 100]);
    const windows = report.tasks.filter(({ stage }) => stage === 'by-customer');
    expect(windows.every(({ hasOpenWindows }) => hasOpenWindows)).toBe(false);
  });
});

const firstLog = 'commits/orders/v1/orders/000000000001000/0/00000000';
