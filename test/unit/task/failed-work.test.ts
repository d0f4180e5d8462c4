// Goal: work on a task that failed leaves nothing behind for the work that waits its turn: once a
// batch committed what a failed redrive had done, without the events that it had read.
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import { MemoryAppendStore } from '../../../shared/adapters/memory-stores';
import { isBalanced } from '../../../shared/ledger/ledger-reader';
import { StreamError } from '../../../shared/model/errors';
import { Mendable, someReadings } from '../../support/mendable';
import { StageWorld } from '../../support/stage-world';

/** Refuses the next append when told to, once its turn has been waited for. */
class FailingStore extends MemoryAppendStore {
  gate: Promise<void> | null = null;

  override async append(
    request: Parameters<MemoryAppendStore['append']>[0],
  ): ReturnType<MemoryAppendStore['append']> {
    const { gate } = this;
    if (gate === null) return super.append(request);
    this.gate = null;
    await gate;
    throw new StreamError('STREAM_STORE_UNAVAILABLE', 'no answer');
  }
}

it('a redrive that fails leaves nothing for the batch that waits behind it', async () => {
  const mendable = new Mendable();
  const appends = new FailingStore();
  const world = new StageWorld({ topologies: [mendable.topology], partitionCount: 1, appends });
  const readings = someReadings(20).map((one) => Buffer.from(JSON.stringify(one)));
  world.hub('readings').append(0, ...readings.slice(0, 10));
  const worker = world.worker();
  await world.deliver(worker, { stage: 'readings', partition: 0 });
  const [path] = await listLogs(appends, 'readings');
  if (path === undefined) throw new Error('no log');
  const { records } = await readLog(appends, path, null);
  const letters = records.flatMap((record) =>
    record.kind !== 'commit'
      ? []
      : record.deadLetters.map((letter, index) => ({ id: `${record.commit}.${index}`, letter })),
  );
  expect(letters).toHaveLength(1);
  mendable.isMended = true;

  const { functionName } = world.stage('readings');
  let open = (): void => undefined;
  appends.gate = new Promise((resolve) => (open = resolve));
  const redrive = worker.settleLetters({
    ...{ functionName, partition: '0', kind: 'redriven', letters },
    ...{ by: 'test', reason: 'mended', deadlineMs: Infinity },
  });
  const failing = expect(redrive).rejects.toThrow('STREAM_STORE_UNAVAILABLE');
  world.hub('readings').append(0, ...readings.slice(10));
  const batch = world.deliver(worker, { stage: 'readings', partition: 0, from: 10 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  open();
  await failing;
  await batch;

  const [ledger] = await world.worker().ledgers(functionName);
  expect(ledger && isBalanced(ledger)).toBe(true);
  expect(ledger).toMatchObject({ read: 20, deadLettered: 1 });
  await world.finish(world.worker());
  expect(await world.rows('readings_shaped')).toHaveLength(19);
});
