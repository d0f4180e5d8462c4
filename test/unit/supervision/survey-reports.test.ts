// Goal: what alerts wait for is said whoever looks after the tasks: the orchestration or the timer.
// Method: both over the real engine on memory stores; a log is falsified where a ledger must not balance.
import { encodeRecord } from '../../../shared/commit-log/record';
import { generationName } from '../../../shared/commit-log/names';
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import { addLedgers, emptyLedger } from '../../../shared/model/commit';
import { PlainSupervisor } from '../../../shared/supervision/plain-supervisor';
import { readSurveyPage, surveyPageName } from '../../../shared/supervision/survey/surveyor';
import { defaultStageLimits, type StageLimits } from '../../../shared/task/services';
import { topologies } from '../../fixtures/topologies/orders';
import { someOrders } from '../../support/orders';
import { StageWorld } from '../../support/stage-world';
import { SupervisorWorld } from '../../support/supervisor-world';

const periodMs = 10_000;

function aWorld(limits: Partial<StageLimits> = {}): StageWorld {
  const world = new StageWorld({ topologies, partitionCount: 2, limits });
  someOrders(200).forEach((order, index) => {
    world.hub('orders').append(index % 2, Buffer.from(JSON.stringify(order)));
  });
  return world;
}

/** One turn of either: the orchestration's cycle, or the timer's. */
const supervisors: [string, (world: StageWorld) => () => Promise<unknown>][] = [
  [
    'the orchestration',
    (world) => {
      const supervision = new SupervisorWorld(world);
      return () => supervision.cycle();
    },
  ],
  [
    'the timer',
    (world) => {
      const supervisor = plain(world);
      return async () => {
        await supervisor.cycle(Infinity);
        world.nowMs += periodMs;
      };
    },
  ],
];

/** Tends are over at once: nobody waits for as long as a period. */
const never = async (): Promise<void> => new Promise(() => undefined);

function plain(
  world: StageWorld,
  { runtime = world.worker(), sleep = never } = {},
): PlainSupervisor {
  return new PlainSupervisor({
    ...{ stages: world.served('surveyor'), runtime, objects: world.objects, periodMs },
    clock: { nowMs: () => world.nowMs },
    telemetry: { emit: (_level, event, fields) => world.events.push({ event, fields }) },
    isDraining: async () => world.isDraining,
    graceMs: 4_000,
    abandonedAfterMs: 30_000,
    sleep,
  });
}

const said = (world: StageWorld, name: string): Readonly<Record<string, unknown>>[] =>
  world.events.filter(({ event }) => event === name).map(({ fields }) => fields);

/** Appends a commit whose ledger has these counts, as an engine with a bug would. */
async function falsify(world: StageWorld, ledger: Partial<typeof emptyLedger>): Promise<void> {
  const paths = await listLogs(world.appends, 'orders');
  const path = paths.find(({ partition, stage }) => stage === 'orders' && partition === '0');
  if (path === undefined) throw new Error('there is no log');
  const { next, records } = await readLog(world.appends, path, null);
  const last = records.findLast((record) => record.kind === 'commit');
  if (last?.kind !== 'commit') throw new Error('there is no commit');
  const counted = { ...emptyLedger, ...ledger };
  const commit = last.commit + 1;
  const total = addLedgers(last.summary.ledger, counted);
  const wrong = {
    ...{ ...last, commit, commitId: 'of-a-bug', from: last.to, ledger: counted },
    ...{ state: [], rows: [], outbox: [], deadLetters: [] },
    summary: { ...last.summary, commit, ledger: total },
  };
  const block = encodeRecord(wrong);
  const name = generationName(path, next.generation);
  await world.appends.append({ name, block, expectedPosition: next.position });
}

describe.each(supervisors)('%s', (_name, begin) => {
  it('says nothing of a ledger that balances', async () => {
    const world = aWorld();
    const turn = begin(world);
    for (let count = 0; count < 5; count += 1) await turn();
    expect(said(world, 'ledger.unbalanced')).toEqual([]);
  });

  it('says by how much a ledger does not balance, and says it again', async () => {
    const world = aWorld();
    const turn = begin(world);
    const worker = world.worker();
    await world.deliver(worker, { stage: 'orders', partition: 0 });
    await turn();
    await falsify(world, { read: 5, emitted: 2, late: 1 });
    await turn();
    await turn();
    const lines = said(world, 'ledger.unbalanced');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({ topology: 'orders', stage: 'orders', partition: '0' });
    expect(lines[0]).toMatchObject({ read: 105, difference: 2 });
  });

  it('counts an end too many as well', async () => {
    const world = aWorld();
    const turn = begin(world);
    await world.deliver(world.worker(), { stage: 'orders', partition: 0 });
    await falsify(world, { emitted: 1 });
    await turn();
    expect(said(world, 'ledger.unbalanced')).toMatchObject([{ difference: -1 }]);
  });

  it('gives a sign of life with each survey', async () => {
    const world = aWorld();
    const turn = begin(world);
    await turn();
    await turn();
    expect(said(world, 'supervisor.cycle')).toHaveLength(2);
    expect(said(world, 'supervisor.cycle')[1]).toMatchObject({ tasks: 4 });
  });
});

it('surveys go on while a task with a long backlog is tended', async () => {
  const world = aWorld();
  const worker = world.worker();
  let end: () => void = () => undefined;
  const tended = new Promise<void>((done) => (end = done));
  worker.tendAbandoned = async () => tended;
  const cyclesSeen: number[] = [];
  const supervisor = plain(world, {
    runtime: worker,
    sleep: async (periods = periodMs) => {
      world.nowMs += periods;
      cyclesSeen.push(said(world, 'supervisor.cycle').length);
      if (cyclesSeen.length === 4) end();
    },
  });
  await supervisor.cycle(Infinity);
  expect(cyclesSeen.slice(0, 4)).toEqual([0, 1, 2, 3]);
});

describe('a task that no worker gets a batch of', () => {
  it('is said to be behind by the time its first message waits, and only by that', async () => {
    const world = aWorld();
    // Surveyed by one that can recover nothing.
    const supervision = new SupervisorWorld(world, {
      before: (name) => (name.endsWith('Tend') ? Promise.reject(new Error('no')) : undefined),
    });
    const beganAtMs = world.nowMs;
    for (let cycle = 0; cycle < 12; cycle += 1) await supervision.cycle();
    const lines = said(world, 'task.behind').filter(({ stage }) => stage === 'orders');
    expect(lines.length).toBeGreaterThan(0);
    for (const { lagMessages, lagMs } of lines) {
      expect(lagMessages).toBe(100);
      expect(lagMs).toBeGreaterThanOrEqual(60_000);
      expect(lagMs).toBeLessThanOrEqual(world.nowMs - beganAtMs);
    }
  });
});

describe('the ledger of a survey', () => {
  const read = async (world: StageWorld): Promise<(number | undefined)[]> => {
    const page = readSurveyPage(await world.objects.get(surveyPageName('orders-orders', 0)));
    return (page?.tasks ?? []).map(({ digest }) => digest.ledger.read);
  };

  it('counts every event once, whether it followed the log or begins at its newest generation', async () => {
    const world = aWorld({ log: { ...defaultStageLimits.log, blocksMax: 6 } });
    const worker = world.worker();
    // Of the worker that holds the tasks: it tends none of them as abandoned.
    const following = plain(world, { runtime: worker });
    const deliver = async (from: number): Promise<void> => {
      for (const partition of [0, 1]) {
        await world.deliver(worker, { stage: 'orders', partition, from, batchSize: 10 });
      }
      await following.cycle(Infinity);
      world.nowMs += periodMs;
    };
    await deliver(0);
    const rolled = said(world, 'log.rolled').length;
    expect(rolled).toBeGreaterThan(0);
    someOrders(100, 2).forEach((order, index) => {
      world.hub('orders').append(index % 2, Buffer.from(JSON.stringify(order)));
    });
    await deliver(100);
    expect(said(world, 'log.rolled').length).toBeGreaterThan(rolled);
    expect(await read(world)).toEqual([150, 150]);
    await world.objects.delete(surveyPageName('orders-orders', 0));
    await plain(world, { runtime: worker }).cycle(Infinity);
    expect(await read(world)).toEqual([150, 150]);
  });
});

describe('the timer', () => {
  it('surveys once in a period, however often it fires', async () => {
    const world = aWorld();
    const supervisor = plain(world);
    for (let count = 0; count < 6; count += 1) {
      await supervisor.cycle(Infinity);
      world.nowMs += periodMs / 4;
    }
    expect(said(world, 'supervisor.cycle')).toHaveLength(2);
  });

  it('that cannot tend fails and gives no sign of life, but surveys', async () => {
    const world = aWorld();
    const worker = world.worker();
    worker.tendAbandoned = () => Promise.reject(new Error('the store is away'));
    await world.deliver(world.worker(), { stage: 'orders', partition: 0 });
    await falsify(world, { read: 1 });
    await expect(plain(world, { runtime: worker }).cycle(Infinity)).rejects.toThrow(
      'the store is away',
    );
    expect(said(world, 'supervisor.cycle')).toEqual([]);
    expect(said(world, 'ledger.unbalanced')).toHaveLength(1);
  });
});
