// Goal: an older copy of a commit log that is put back never doubles, changes or loses a row in
// silence: where tables or consumers have seen more than it knows, the task halts and says so.
// Method: each log of a topology is copied after each of its commits; when all is read and flushed,
// each copy is put back in turn, and everything is read again.
import { listLogs } from '../../../shared/commit-log/log-reader';
import { encodeEnvelope } from '../../../shared/delivery/exchange/envelope';
import { copyLog, restoreLog, type LogCopy } from '../../support/log-copies';
import { envelopeHead } from '../../support/envelopes';
import { expectedReadings, Mendable, someReadings } from '../../support/mendable';
import { StageWorld, type StageWorldOptions } from '../../support/stage-world';
import type { TaskAddress } from '../../../shared/model/task-address';

const readings = someReadings(60);
const expected = expectedReadings(readings);
const partitionCount = 2;

type Worker = ReturnType<StageWorld['worker']>;

function aWorld(options: Partial<StageWorldOptions> = {}): StageWorld {
  const mendable = new Mendable();
  mendable.isMended = true;
  const world = new StageWorld({ topologies: [mendable.topology], partitionCount, ...options });
  readings.forEach((reading, index) => {
    world.hub('readings').append(index % partitionCount, Buffer.from(JSON.stringify(reading)));
  });
  return world;
}

async function readAll(world: StageWorld, worker: Worker, batchSize = 7): Promise<void> {
  for (const stage of ['readings', 'by-sensor']) {
    for (let partition = 0; partition < partitionCount; partition += 1) {
      await world.deliver(worker, { stage, partition, batchSize });
    }
  }
}

async function finish(world: StageWorld, batchSize?: number): Promise<void> {
  const worker = world.worker();
  await world.finish(worker, batchSize);
  await readAll(world, worker, batchSize);
  await worker.tendHeld(Infinity);
}

/** Reads in batches, and copies every log after each. */
async function copiesOf(world: StageWorld): Promise<{ path: TaskAddress; copy: LogCopy }[]> {
  const copies: { path: TaskAddress; copy: LogCopy }[] = [];
  const seen = new Set<string>();
  const copyAll = async (): Promise<void> => {
    for (const path of await listLogs(world.appends, 'readings')) {
      const copy = await copyLog(world.appends, path);
      const id = JSON.stringify([path, Array.from(copy, ([name, { length }]) => [name, length])]);
      if (seen.has(id)) continue;
      seen.add(id);
      copies.push({ path, copy });
    }
  };
  const worker = world.worker();
  for (const stage of ['readings', 'by-sensor']) {
    const hub = world.hub(stage === 'readings' ? 'readings' : 'readings-sensor');
    for (let partition = 0; partition < partitionCount; partition += 1) {
      const messages = hub.messages(partition);
      for (let start = 0; start < messages.length; start += 5) {
        await worker.processBatch({
          functionName: world.stage(stage).functionName,
          partition: String(partition),
          messages: messages.slice(start, start + 5),
          deadlineMs: Infinity,
        });
        await copyAll();
      }
    }
  }
  return copies;
}

const rolling = { blocksMax: 4, bytesMax: 2 ** 30, ageMaxMs: 10 ** 12, blockBytesMax: 2 ** 22 };

it.each([
  ['flushed at each commit', { flushRowsMax: 1 }],
  ['flushed now and then', { flushRowsMax: 12 }],
  ['flushed at the end', { flushRowsMax: 1_000 }],
  ['rolled again and again', { flushRowsMax: 5, limits: { log: rolling } }],
])('every older copy of every log, %s: refused, or right', async (_name, options) => {
  const world = aWorld(options);
  const copies = await copiesOf(world);
  await finish(world);
  expect(copies.length).toBeGreaterThan(10);
  let refused = 0;
  for (const { copy, path } of copies) {
    const now = await copyLog(world.appends, path);
    await restoreLog(world.appends, path, copy);
    world.isDraining = false;
    const failure = await finish(world, 6).then(
      () => null,
      (error: unknown) => String(error),
    );
    if (failure !== null) {
      refused += 1;
      // An old copy may ask for a snapshot that was retired since: that, too, is said.
      expect(failure).toMatch(/STREAM_LOG_BEHIND.*millrace reset|STREAM_SNAPSHOT_CORRUPT/);
    }
    expect(await world.rows('readings_shaped')).toEqual(expected.shaped);
    expect(await world.rows('sensor_minutes')).toEqual(expected.minutes);
    // The newest copy, put back, is gone on with.
    await restoreLog(world.appends, path, now);
    await finish(world);
  }
  expect(refused).toBeGreaterThan(0);
});

it('a log that was deleted although its rows are in the table: its task does not begin anew', async () => {
  const world = aWorld({ flushRowsMax: 1 });
  await readAll(world, world.worker());
  const rows = await world.rows('readings_shaped');
  const path = (await listLogs(world.appends, 'readings')).find(
    ({ stage }) => stage === 'readings',
  );
  if (path === undefined) throw new Error('there is no log');
  await restoreLog(world.appends, path, new Map());
  await expect(readAll(world, world.worker())).rejects.toThrow(
    `STREAM_LOG_BEHIND: commits/readings/v1/readings/000000000001000/${path.partition} ends with commit 0`,
  );
  expect(await world.rows('readings_shaped')).toEqual(rows);
});

it('a worker that is behind another is no older copy: it catches up', async () => {
  const world = aWorld({ flushRowsMax: 1 });
  const [one, other] = [world.worker(), world.worker()];
  await world.deliver(one, { stage: 'readings', partition: 0, batchSize: 30 });
  world.hub('readings').append(0, Buffer.from('no reading'));
  await world.deliver(other, { stage: 'readings', partition: 0, from: 30 });
  world.hub('readings').append(0, Buffer.from('no reading either'));
  await world.deliver(one, { stage: 'readings', partition: 0, from: 31 });
  expect(await world.rows('readings_shaped')).toHaveLength(30);
});

describe('a consumer of an exchange halts rather than take in', () => {
  const head = envelopeHead({ stage: 'readings', epoch: 5, producers: 2 });
  const event = JSON.stringify(['ssensor-0', 1_767_225_600_000, someReadings(1)[0]]);

  async function send(...heads: Partial<typeof head>[]) {
    const world = aWorld();
    const hub = world.hub('readings-sensor');
    for (const own of heads) {
      hub.append(0, encodeEnvelope({ ...head, ...own }, [event, event]));
    }
    await world.deliver(world.worker(), { stage: 'by-sensor', partition: 0, batchSize: 1 });
  }

  it('events of a later commit under numbers that were given out before', async () => {
    await expect(send({ commit: 7 }, { commit: 9, firstOrdinal: 2 })).rejects.toThrow(
      'STREAM_LOG_BEHIND: exchange message: commit 9 of readings/0 sends event 2 again, its commit 7 had sent up to 2',
    );
  });

  it('events of a producer that begins anew', async () => {
    await expect(send({ commit: 7 }, { epoch: 6 })).rejects.toThrow(
      'STREAM_LOG_BEHIND: exchange message: readings/0 begins anew, after 2 events of its former life',
    );
  });

  it('but takes a message that is sent again for what it is', async () => {
    await expect(send({ commit: 7 }, { commit: 8, firstOrdinal: 3 }, { commit: 7 })).resolves.toBe(
      undefined,
    );
  });
});
