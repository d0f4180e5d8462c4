// Goal: a dead letter is redriven with exactly one effect, or discarded, and the ledger says so.
// Method: a topology with two failing functions that are mended later, on memory stores; workers die
// at every point of the redrive's commit, two redrive at once, and everything is asked for twice.
import { isBalanced, LedgerReader, totalsByStage } from '../../../shared/ledger/ledger-reader';
import {
  readLetters,
  stateOf,
  type FiledLetter,
} from '../../../shared/operations/letters/letter-reader';
import type { Runtime } from '../../../shared/task/runtime';
import type { SettledLetter } from '../../../shared/task/settle-letters';
import { expectedReadings, Mendable, someReadings, type Reading } from '../../support/mendable';
import { StageWorld, WorkerDied } from '../../support/stage-world';

const partitionCount = 2;

async function aRun(
  readings: readonly Reading[],
): Promise<{ mendable: Mendable; world: StageWorld }> {
  const mendable = new Mendable();
  const world = new StageWorld({ topologies: [mendable.topology], partitionCount });
  readings.forEach((reading, index) => {
    world.hub('readings').append(index % partitionCount, Buffer.from(JSON.stringify(reading)));
  });
  const worker = world.worker();
  for (const stage of ['readings', 'by-sensor']) {
    for (let partition = 0; partition < partitionCount; partition += 1) {
      await world.deliver(worker, { stage, partition });
    }
  }
  return { mendable, world };
}

async function settle(
  world: StageWorld,
  worker: Runtime,
  letters: readonly FiledLetter[],
  kind: 'redriven' | 'discarded' = 'redriven',
): Promise<SettledLetter[]> {
  const settled: SettledLetter[] = [];
  for (const { functionName, name } of world.stages) {
    for (let partition = 0; partition < partitionCount; partition += 1) {
      const own = letters.filter(
        ({ path }) => path.stage === name && path.partition === String(partition),
      );
      if (own.length === 0) continue;
      const answer = await worker.settleLetters({
        ...{ functionName, partition: String(partition), kind, by: 'test', reason: 'mended' },
        letters: own.map(({ id, letter }) => ({ id, letter })),
        deadlineMs: Infinity,
      });
      settled.push(...answer);
    }
  }
  return settled;
}

async function open(world: StageWorld): Promise<readonly FiledLetter[]> {
  return readLetters(world.appends, 'readings', { state: 'open' });
}

/** What redriven events send is delivered, then everything is drained and compared. */
async function expectAllThere(world: StageWorld, readings: readonly Reading[]): Promise<void> {
  const worker = world.worker();
  await world.finish(worker);
  // A task that is opened sends its last outbox again: what came after the delivery is taken in.
  for (let partition = 0; partition < partitionCount; partition += 1) {
    await world.deliver(worker, { stage: 'by-sensor', partition });
  }
  await worker.tendHeld(Infinity);
  const expected = expectedReadings(readings);
  expect(await world.rows('readings_shaped')).toEqual(expected.shaped);
  expect(await world.rows('sensor_minutes')).toEqual(expected.minutes);
  const { appends } = world;
  for (const { ledger } of await new LedgerReader({
    appends,
    topology: 'readings',
  }).refresh()) {
    expect(isBalanced(ledger)).toBe(true);
  }
}

describe('dead letters', () => {
  it('are redriven, of both stages, and read again in the ledger', async () => {
    const readings = someReadings(200);
    const { mendable, world } = await aRun(readings);
    const letters = await open(world);
    expect(letters).toHaveLength(40);
    mendable.isMended = true;
    const settled = await settle(world, world.worker(), letters);
    expect(settled.map(({ verdict }) => verdict.end)).toEqual(Array(40).fill('emitted'));
    expect(await open(world)).toEqual([]);
    const { appends } = world;
    const accounts = await new LedgerReader({ appends, topology: 'readings' }).refresh();
    const source = totalsByStage(accounts).get('readings');
    expect(source).toMatchObject({ read: 200 + 20, deadLettered: 20, emitted: 200 });
    await expectAllThere(world, readings);
  });

  it('take effect once when everything is asked for twice, by two at once', async () => {
    const readings = someReadings(200);
    const { mendable, world } = await aRun(readings);
    mendable.isMended = true;
    const letters = await open(world);
    const [one, other] = [world.worker(), world.worker()];
    const answers = await Promise.all([settle(world, one, letters), settle(world, other, letters)]);
    const news = answers.flat().filter(({ wasSettled }) => !wasSettled);
    expect(news).toHaveLength(letters.length);
    expect(new Set(news.map(({ id }) => id)).size).toBeGreaterThan(1);
    const again = await settle(world, world.worker(), letters);
    expect(again.every(({ wasSettled }) => wasSettled)).toBe(true);
    await expectAllThere(world, readings);
  });

  it.each([
    'commit.before-append',
    'commit.after-append',
    'stage.after-commit',
    'stage.before-send',
    'stage.after-send',
  ])('take effect once when the worker dies at %s', async (point) => {
    const readings = someReadings(100);
    const { mendable, world } = await aRun(readings);
    mendable.isMended = true;
    const letters = await open(world);
    const dying = world.worker((reached) => reached === point);
    await expect(settle(world, dying, letters)).rejects.toThrow(WorkerDied);
    await settle(world, world.worker(), letters);
    expect(await open(world)).toEqual([]);
    await expectAllThere(world, readings);
  });

  it('die again when nothing was mended, with one attempt more', async () => {
    const { world } = await aRun(someReadings(20));
    const before = await open(world);
    expect(before.every(({ letter }) => letter.attempts === 1)).toBe(true);
    await settle(world, world.worker(), before);
    const after = await open(world);
    expect(after).toHaveLength(before.length);
    expect(after.every(({ letter }) => letter.attempts === 2)).toBe(true);
    const position = ({ letter, path }: FiledLetter): string =>
      `${path.stage}/${path.partition} ${letter.sequenceNumber}.${letter.index}`;
    expect(after.map(position).sort()).toEqual(before.map(position).sort());
  });

  it('may be discarded with a reason, and stay so', async () => {
    const { mendable, world } = await aRun(someReadings(20));
    const letters = await open(world);
    await settle(world, world.worker(), letters, 'discarded');
    mendable.isMended = true;
    const again = await settle(world, world.worker(), letters);
    expect(again.every(({ verdict }) => verdict.kind === 'discarded')).toBe(true);
    const discarded = await readLetters(world.appends, 'readings', { state: 'discarded' });
    expect(discarded).toHaveLength(letters.length);
    expect(discarded[0]?.verdict).toMatchObject({ reason: 'mended', by: 'test', end: null });
    expect(discarded.map(stateOf)).toEqual(discarded.map(() => 'discarded'));
  });

  it('are found by cause, stage, text and time', async () => {
    const { world } = await aRun(someReadings(20));
    world.hub('readings').append(0, Buffer.from('{"id":'));
    await world.deliver(world.worker(), { stage: 'readings', partition: 0 });
    const names = async (filter: Parameters<typeof readLetters>[2]): Promise<number> =>
      (await readLetters(world.appends, 'readings', filter)).length;
    expect(await names({})).toBe(5);
    expect(await names({ code: 'STREAM_EVENT_UNDECODABLE' })).toBe(1);
    expect(await names({ stage: 'by-sensor' })).toBe(2);
    expect(await names({ text: 'not mended yet' })).toBe(4);
    expect(await names({ toMs: world.nowMs })).toBe(0);
    expect(await names({ fromMs: world.nowMs })).toBe(5);
  });

  it('keep their verdict when the hub is deleted and created again', async () => {
    const readings = someReadings(40);
    const { mendable, world } = await aRun(readings);
    const letters = await open(world);
    mendable.isMended = true;
    await settle(world, world.worker(), letters.slice(0, 3));
    world.hub('readings').recreate(world.nowMs + 1);
    const worker = world.worker();
    await settle(world, worker, letters);
    expect(await open(world)).toEqual([]);
    await expectAllThere(world, readings);
  });
});
