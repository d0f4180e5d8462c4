// Goal: the sender of a chaos run sends each event once, and ends with all partitions level.
// Method: through the SDK to the emulator; answers to sends are refused by its fault switches.
import { HubLoad, type ChunkSource } from '../../chaos/load/hub-load';
import {
  describeEmulator,
  openTestNamespace,
  type TestNamespace,
} from '../../support/event-hubs-namespace';

const partitionCount = 2;

describeEmulator('the load of a hub', () => {
  let namespace: TestNamespace;
  let load: HubLoad;

  beforeEach(async () => {
    namespace = await openTestNamespace();
  });

  afterEach(async () => {
    await load.close();
    await namespace.close();
  });

  function open(
    hub: string,
    source: ChunkSource,
    backlogMax: number,
    read: (partition: number) => number = () => 0,
  ): void {
    load = new HubLoad({
      ...{ hub, partitionCount, source, backlogMax, read },
      connectionString: namespace.connectionString,
    });
    load.start();
  }

  /** Messages that each partition holds. */
  async function held(hub: string): Promise<number[]> {
    const client = namespace.producer(hub);
    return Promise.all(
      Array.from({ length: partitionCount }, async (_, partition) => {
        const { lastEnqueuedSequenceNumber } = await client.getPartitionProperties(
          String(partition),
        );
        return lastEnqueuedSequenceNumber + 1;
      }),
    );
  }

  it('ends, level, when the foremost partition has a chunk on its way', async () => {
    let release = (): void => undefined;
    let begun = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const isBegun = new Promise<void>((resolve) => (begun = resolve));
    const source: ChunkSource = {
      chunk: async (partition, chunk) => {
        if (partition === 0 && chunk === 1) {
          begun();
          await released;
        }
        return [Buffer.from(`${partition} ${chunk}`)];
      },
    };
    open('level', source, 2);
    await isBegun;
    const finished = load.finish();
    release();
    await finished;
    expect(await held('level')).toEqual([2, 2]);
    expect([load.sent, load.chunks]).toEqual([4, 2]);
  });

  it('is there once although connections drop and the hub refuses', async () => {
    const source = {
      chunk: async (partition: number, chunk: number) => [Buffer.from(`${partition} ${chunk}`)],
    };
    open('once', source, 40);
    for (const kind of ['drop-connections', 'server-busy', 'drop-connections']) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await namespace.fault({ kind });
    }
    await load.finish();
    expect(await held('once')).toEqual([load.chunks, load.chunks]);
    expect(load.askedFor).toBeGreaterThan(0);
  });

  it('sends nothing while one of several works in silence', async () => {
    const source = {
      chunk: async (partition: number, chunk: number) => [Buffer.from(`${partition} ${chunk}`)],
    };
    open('silence', source, 40, (partition) => load.sentTo(partition));
    const heard = async (workMs: number): Promise<number> => {
      let sent = 0;
      await load.whileQuiet(async () => {
        const before = load.sent;
        await new Promise((resolve) => setTimeout(resolve, workMs));
        sent = load.sent - before;
      });
      return sent;
    };
    // The first ends while the others wait or work.
    expect(await Promise.all([heard(50), heard(400), heard(50)])).toEqual([0, 0, 0]);
    expect(load.sent).toBeGreaterThan(0);
  });
});
