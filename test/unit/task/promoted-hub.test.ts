// Goal: a hub whose namespace was promoted by force, without its last messages, loses nothing that was read, doubles
// nothing, drops nothing that has an old number, and what was lost unread is declared.
import type { HostCheckpoints } from '../../../shared/model/ports';
import {
  batch,
  expectTables,
  functionName,
  logsOf,
  lossOf,
  orders,
  read,
  send,
  sentAfter,
  started,
  told,
} from '../../support/promoted-world';
import { WorkerDied } from '../../support/stage-world';

test('numbers that come again with later times are not dropped as duplicates, and the loss is declared', async () => {
  const { hub, world, worker } = await started();
  expect(hub.loseLast(0, 30)).toBe(30);
  send(world, sentAfter.slice(0, 20));
  // From where the host begins to read: some of these were read, the others have numbers of such.
  await worker.processBatch(batch(hub.messages(0).slice(60)));
  const [former, newer] = await logsOf(world);
  expect(former?.incarnation).toBe('001000');
  expect(newer).toMatchObject({ incarnation: '0x0001', gaps: [lossOf(70, 99)], ledgerRead: 120 });
  expect(newer?.summary?.promotion).toMatchObject({
    ...{ count: 1, fromSequenceNumber: 70, readThrough: 99, isDeclared: true },
    fromEnqueuedMs: hub.messages(0)[70]?.enqueuedTimeMs,
  });
  expect(told(world, 'task.hub-promoted')).toHaveLength(1);
  await world.finish(worker);
  await expectTables(world, [...read, ...sentAfter.slice(0, 20)]);
});

test.each([30, 31, 100])('a hub that has lost %i and grown past the cursor again', async (lost) => {
  const { hub, world, worker } = await started();
  hub.loseLast(0, lost);
  send(world, orders.slice(100, 300));
  // The numbers go on where the host has read to.
  await worker.processBatch(batch(hub.messages(0).slice(100)));
  await world.finish(worker);
  await expectTables(world, orders.slice(0, 300));
  const [, newer] = await logsOf(world);
  expect(newer).toMatchObject({ gaps: [lossOf(100 - lost, 99)], ledgerRead: 300 });
});

test('a batch of before and after with the same run of numbers: what lies between is read, once', async () => {
  const { hub, world, worker } = await started();
  send(world, orders.slice(100, 150));
  const waiting = Array.from(hub.messages(0)).slice(100, 140);
  hub.loseLast(0, 60);
  send(world, orders.slice(150, 250));
  // The host has kept what had come, and went on to read behind it.
  await worker.processBatch(batch([...waiting, ...hub.messages(0).slice(140)]));
  await world.finish(worker);
  // What was lost with the region and not committed is gone: 100 to 149.
  await expectTables(world, [...read, ...orders.slice(150, 250)]);
  expect((await logsOf(world)).at(-1)?.gaps).toEqual([lossOf(90, 99)]);
});

test('an idle partition whose hub lost its tail says so, and goes on with what comes', async () => {
  const { hub, world, worker } = await started();
  hub.loseLast(0, 30);
  world.nowMs += 5_000;
  await worker.tendHeld(Infinity);
  const [, newer] = await logsOf(world);
  expect(newer).toMatchObject({ gaps: [lossOf(70, 99)], ledgerRead: 100 });
  // Once: nobody says it again.
  world.nowMs += 5_000;
  await worker.tendHeld(Infinity);
  expect((await logsOf(world)).map(({ gaps }) => gaps.length)).toEqual([0, 1]);
  send(world, sentAfter);
  await worker.processBatch(batch(hub.messages(0).slice(70)));
  await world.finish(worker);
  await expectTables(world, [...read, ...sentAfter]);
});

test('an idle partition that has grown again exactly to where it was read is noticed', async () => {
  const { hub, world, worker } = await started();
  hub.loseLast(0, 30);
  send(world, sentAfter.slice(0, 30));
  world.nowMs += 60_000;
  await worker.tendHeld(Infinity);
  await worker.tendHeld(Infinity);
  expect((await logsOf(world)).at(-1)).toMatchObject({ ledgerRead: 130 });
  await world.finish(worker);
  await expectTables(world, [...read, ...sentAfter.slice(0, 30)]);
});

test('while no worker runs', async () => {
  const { hub, world } = await started();
  hub.loseLast(0, 40);
  send(world, sentAfter.slice(0, 50));
  const next = world.worker();
  await next.tendTask({ functionName, partition: '0', deadlineMs: Infinity, isRecovery: true });
  await next.tendTask({ functionName, partition: '0', deadlineMs: Infinity, isRecovery: true });
  expect((await logsOf(world)).at(-1)).toMatchObject({ gaps: [lossOf(60, 99)], ledgerRead: 150 });
  await world.finish(next);
  await expectTables(world, [...read, ...sentAfter.slice(0, 50)]);
});

test('a promotion that lost nothing, or nothing that was read, begins no life', async () => {
  const { hub, world, worker } = await started();
  hub.loseLast(0, 0);
  send(world, sentAfter.slice(0, 40));
  await worker.processBatch(batch(hub.messages(0).slice(90)));
  hub.loseLast(0, 0);
  send(world, orders.slice(140, 200));
  hub.loseLast(0, 20);
  send(world, orders.slice(200, 240));
  await worker.processBatch(batch(hub.messages(0).slice(140)));
  await world.finish(worker);
  await expectTables(world, [...orders.slice(0, 180), ...orders.slice(200, 240)]);
  expect(await logsOf(world)).toHaveLength(1);
  expect(told(world, 'task.hub-promoted')).toEqual([]);
});

test('two in a row, the second before anything was read of the first', async () => {
  const { hub, world, worker } = await started();
  hub.loseLast(0, 30);
  world.nowMs += 5_000;
  await worker.tendHeld(Infinity);
  hub.loseLast(0, 20);
  send(world, sentAfter.slice(0, 60));
  await worker.processBatch(batch(hub.messages(0).slice(70)));
  hub.loseLast(0, 5);
  send(world, orders.slice(200, 260));
  await worker.processBatch(batch(hub.messages(0).slice(100)));
  await world.finish(worker);
  await expectTables(world, [...read, ...sentAfter.slice(0, 60), ...orders.slice(200, 260)]);
  const logs = await logsOf(world);
  expect(logs.map(({ gaps }) => gaps)).toEqual([
    [],
    [lossOf(70, 99)],
    [lossOf(50, 69)],
    [lossOf(105, 109)],
  ]);
  expect(logs.at(-1)?.summary?.promotion?.count).toBe(3);
});

test('a batch of the region before that comes late is dropped, not doubled, and nothing is lost by it', async () => {
  const { hub, world, worker } = await started();
  send(world, orders.slice(100, 140));
  const late = Array.from(hub.messages(0)).slice(60, 140);
  await worker.processBatch(batch(Array.from(hub.messages(0))));
  hub.loseLast(0, 70);
  world.nowMs += 5_000;
  await worker.tendHeld(Infinity);
  const other = world.worker();
  // Nothing has come yet: what is in hand is no beginning of the life.
  await other.processBatch(batch(late));
  send(world, orders.slice(200, 230));
  await other.processBatch(batch(late));
  await worker.processBatch(batch(hub.messages(0).slice(70)));
  await other.processBatch(batch(late));
  await world.finish(worker);
  await expectTables(world, [...orders.slice(0, 140), ...orders.slice(200, 230)]);
});

test('a worker that holds the former life cannot commit to it any more', async () => {
  const { hub, world, worker } = await started();
  send(world, orders.slice(100, 110));
  const inHand = Array.from(hub.messages(0)).slice(100);
  hub.loseLast(0, 40);
  send(world, orders.slice(200, 210));
  const other = world.worker();
  await other.processBatch(batch(hub.messages(0).slice(50)));
  await worker.processBatch(batch(inHand));
  await world.finish(other);
  await expectTables(world, [...read, ...orders.slice(200, 210)]);
});

test.each([
  'stage.before-flush',
  'stage.after-flush',
  'stage.before-send',
  'stage.after-send',
  'stage.after-commit',
])('a worker that dies at %s in the middle of it leaves it to the next', async (point) => {
  const { hub, world } = await started();
  hub.loseLast(0, 30);
  send(world, sentAfter);
  for (const nth of [1, 2]) {
    let met = 0;
    const dying = world.worker((at) => at === point && ++met === nth);
    await dying
      .processBatch(batch(hub.messages(0).slice(50)))
      .catch((error: unknown) => expect(error).toBeInstanceOf(WorkerDied));
  }
  await world.finish(world.worker());
  await expectTables(world, [...read, ...sentAfter]);
  expect((await logsOf(world)).map(({ gaps }) => gaps)).toEqual([[], [lossOf(70, 99)]]);
});

test.each(['the seal', 'the new log’s blob', 'the new log’s header'])(
  'a store that fails after %s leaves it to the next',
  async (what) => {
    const { hub, world, worker } = await started();
    hub.loseLast(0, 30);
    send(world, sentAfter);
    const { appends } = world;
    const [append, create] = [appends.append.bind(appends), appends.create.bind(appends)];
    const isNewLife = (name: string): boolean => name.includes('x0001');
    let isSealing = what === 'the seal';
    appends.create = async (name) => {
      if (isSealing && isNewLife(name)) throw new WorkerDied('create');
      const created = await create(name);
      if (what === 'the new log’s blob' && isNewLife(name)) throw new WorkerDied('header');
      return created;
    };
    appends.append = async (request) => {
      const outcome = await append(request);
      if (what === 'the new log’s header' && isNewLife(request.name)) throw new WorkerDied('open');
      return outcome;
    };
    const lost = worker.processBatch(batch(hub.messages(0).slice(50)));
    await expect(lost).rejects.toBeInstanceOf(WorkerDied);
    isSealing = false;
    Object.assign(appends, { append, create });
    await world.finish(world.worker());
    await expectTables(world, [...read, ...sentAfter]);
    expect((await logsOf(world)).map(({ gaps }) => gaps)).toEqual([[], [lossOf(70, 99)]]);
  },
);

test('the host’s checkpoint beyond the promoted hub’s end is forgotten at once', async () => {
  const forgotten: string[] = [];
  const checkpoints: HostCheckpoints = {
    read: async () => ({ sequenceNumber: 99, tag: 'a' }),
    forget: async (partition, { tag }) => {
      forgotten.push(`${partition} ${tag}`);
      return 'forgotten';
    },
  };
  const { hub, world } = await started();
  world.checkpoints = checkpoints;
  hub.loseLast(0, 30);
  world.nowMs += 5_000;
  const tend = { functionName, partition: '0', deadlineMs: Infinity };
  await world.worker().tendTask(tend);
  expect(forgotten).toEqual(['0 a']);
});

test('a steady flow asks the hub for nothing; after a pause one message is looked at', async () => {
  const { hub, world, worker } = await started();
  const reads: number[] = [];
  const original = hub.read.bind(hub);
  hub.read = async (range) => {
    reads.push(range.lastSequenceNumber - range.firstSequenceNumber + 1);
    return original(range);
  };
  send(world, sentAfter);
  await worker.processBatch(batch(hub.messages(0).slice(100, 150)));
  await worker.processBatch(batch(hub.messages(0).slice(120)));
  expect(reads).toEqual([]);
  hub.loseLast(0, 0);
  send(world, orders.slice(200, 230));
  await worker.processBatch(batch(hub.messages(0).slice(180)));
  expect(reads).toEqual([1]);
  expect(await logsOf(world)).toHaveLength(1);
});

test('a hub made anew after it was promoted is one made anew', async () => {
  const { hub, world, worker } = await started();
  hub.loseLast(0, 30);
  world.nowMs += 5_000;
  await worker.tendHeld(Infinity);
  hub.recreate(Date.UTC(2026, 5, 2));
  send(world, sentAfter);
  await world.finish(world.worker());
  await expectTables(world, [...read, ...sentAfter]);
});
