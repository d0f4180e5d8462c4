// Goal: an operator sees why a stage stands still without the host's log, on whichever machine it
// halted, until it goes on.
import { readHaltMarks } from '../../../shared/task/halt-marks';
import { Mendable, someReadings } from '../../support/mendable';
import { StageWorld } from '../../support/stage-world';

const foreignLog = 'tables/readings_shaped/_delta_log/00000000000000000000.json';

/** A table of another program stands where ours is to be. */
function otherTable(): Buffer {
  const schema = { type: 'struct', fields: [field('other', 'long'), field('id', 'binary')] };
  const actions = [
    { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
    {
      metaData: {
        ...{ id: 'another', format: { provider: 'parquet', options: {} } },
        ...{ schemaString: JSON.stringify(schema), partitionColumns: [], configuration: {} },
      },
    },
  ];
  return Buffer.from(actions.map((action) => `${JSON.stringify(action)}\n`).join(''));
}

const field = (name: string, type: string): unknown => ({
  ...{ name, type, nullable: true, metadata: {} },
});

describe('a task that halts', () => {
  let world: StageWorld;

  beforeEach(async () => {
    const mendable = new Mendable();
    mendable.isMended = true;
    world = new StageWorld({ topologies: [mendable.topology], partitionCount: 1, flushRowsMax: 5 });
    const readings = someReadings(10).map((one) => Buffer.from(JSON.stringify(one)));
    world.hub('readings').append(0, ...readings);
    await world.lake.put(foreignLog, otherTable());
  });

  const halt = async (): Promise<void> => {
    const worker = world.worker();
    const delivery = world.deliver(worker, { stage: 'readings', partition: 0 });
    await expect(delivery).rejects.toThrow('STREAM_TABLE_INCOMPATIBLE');
  };

  it('leaves its cause in the store, once', async () => {
    await halt();
    const [mark, ...more] = await readHaltMarks(world.objects);
    expect(more).toEqual([]);
    expect(mark).toMatchObject({
      ...{ topology: 'readings', stage: 'readings', partition: '0' },
      ...{ code: 'STREAM_TABLE_INCOMPATIBLE', atMs: world.nowMs, writer: 'worker-1' },
      message: expect.stringContaining('STREAM_TABLE_INCOMPATIBLE'),
    });
    expect(world.events.filter(({ event }) => event === 'task.halted')).toHaveLength(1);
  });

  it('takes it away when another worker could do all that was due', async () => {
    await halt();
    await world.lake.delete(foreignLog);
    const worker = world.worker();
    await world.deliver(worker, { stage: 'readings', partition: 0 });
    await worker.tendHeld(Infinity);
    expect(await readHaltMarks(world.objects)).toEqual([]);
    expect(await world.rows('readings_shaped')).toHaveLength(10);
  });

  it('keeps it while another worker fails alike', async () => {
    await halt();
    const worker = world.worker();
    const { functionName } = world.stage('readings');
    const tending = worker.tendTask({ functionName, partition: '0', deadlineMs: Infinity });
    await expect(tending).rejects.toThrow('STREAM_TABLE_INCOMPATIBLE');
    expect(await readHaltMarks(world.objects)).toHaveLength(1);
  });

  it('that cannot be marked fails with its own cause, and says so', async () => {
    world.objects.put = () => Promise.reject(new Error('full'));
    await halt();
    expect(world.events.map(({ event }) => event)).toContain('task.halt-not-marked');
  });

  it('is not taken for one where a mark cannot be read', async () => {
    await world.objects.put('control/_halted/readings/0.json', Buffer.from('{"format":'));
    expect(await readHaltMarks(world.objects)).toEqual([]);
  });
});
