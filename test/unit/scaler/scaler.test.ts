// Goal: votes and commands bring the host to the right number of workers, faults or not.
// Method: the scaler on a host and positions in memory; what it votes is target.test.ts's.
import type { ScaledTrigger } from '../../../local/scaler/hub-positions';
import { Scaler, type ScalerOptions } from '../../../local/scaler/scaler';
import type { PartitionPosition } from '../../../local/scaler/target';

class MemoryHost {
  readonly workers: { id: number }[] = [];
  readonly removed: number[] = [];
  #nextId = 1;
  doesRefuse = false;

  async addWorker(): Promise<void> {
    if (this.doesRefuse) throw new Error('the app does not start');
    this.workers.push({ id: this.#nextId });
    this.#nextId += 1;
  }

  async removeWorker(id: number): Promise<void> {
    this.removed.push(id);
    this.workers.splice(
      this.workers.findIndex((worker) => worker.id === id),
      1,
    );
  }
}

const trigger = (functionName: string): ScaledTrigger => ({
  functionName,
  connection: 'Hub',
  eventHubName: 'orders',
  consumerGroup: functionName,
});

const backlog = (unprocessed: number, partitions = 4): PartitionPosition[] =>
  Array.from({ length: partitions }, (_, index) => ({
    isEmpty: index > 0,
    beginningSequenceNumber: 0,
    lastSequenceNumber: unprocessed - 1,
    checkpointSequenceNumber: -1,
  }));

describe('Scaler', () => {
  const unprocessed = new Map<string, number>();
  let host: MemoryHost;
  let lines: string[];
  let readFault: Error | null;

  const scaler = (options: Partial<ScalerOptions> = {}): Scaler =>
    new Scaler({
      host,
      positions: {
        read: async ({ functionName }) => {
          if (readFault !== null) throw readFault;
          return backlog(unprocessed.get(functionName) ?? 0);
        },
        close: async () => undefined,
      },
      triggers: () => [trigger('first'), trigger('second')],
      threshold: 100,
      mode: 'automatic',
      range: { min: 1, max: 3 },
      pace: { voteIntervalMs: 10, stepMax: 4, scaleInHoldMs: 0 },
      log: (line) => lines.push(line),
      ...options,
    });

  beforeEach(async () => {
    host = new MemoryHost();
    lines = [];
    readFault = null;
    unprocessed.clear();
    await host.addWorker();
  });

  it('gives the host what the neediest function wants, within the range', async () => {
    const it = scaler();
    unprocessed.set('second', 1_000);
    await it.vote();
    expect(host.workers).toHaveLength(3);
    expect(it.state.triggers).toMatchObject([
      { functionName: 'first', target: 0 },
      { functionName: 'second', unprocessed: 1_000, desired: 10, target: 4, isHeld: false },
    ]);
    unprocessed.set('second', 0);
    unprocessed.set('first', 150);
    await it.vote();
    expect(host.workers).toHaveLength(2);
  });

  it('takes the newest workers away, and never the last', async () => {
    const it = scaler();
    unprocessed.set('first', 1_000);
    await it.vote();
    unprocessed.set('first', 0);
    await it.vote();
    expect(host.removed.sort()).toEqual([2, 3]);
    expect(host.workers).toEqual([{ id: 1 }]);
  });

  it('holds scale-in back after a scale-out', async () => {
    const it = scaler({ pace: { voteIntervalMs: 10, stepMax: 4, scaleInHoldMs: 60_000 } });
    unprocessed.set('first', 200);
    await it.vote();
    unprocessed.set('first', 0);
    await it.vote();
    expect(host.workers).toHaveLength(2);
    expect(it.state.triggers[0]).toMatchObject({ desired: 0, target: 2, isHeld: true });
  });

  it('does as it is told by hand, whatever the backlog, until it is told to vote again', async () => {
    const it = scaler();
    unprocessed.set('first', 1_000);
    await it.setManual(5);
    await it.vote();
    expect(host.workers).toHaveLength(5);
    expect(it.state).toMatchObject({ mode: 'manual', wanted: 5, workers: 5 });
    await it.setAutomatic({ min: 1, max: 2 });
    expect(host.workers).toHaveLength(2);
    await it.vote();
    expect(it.state).toMatchObject({ mode: 'automatic', workers: 2, range: { min: 1, max: 2 } });
  });

  it('says that it could not read, keeps the workers, and votes when it can again', async () => {
    const it = scaler();
    readFault = new Error('the hub is away');
    unprocessed.set('first', 1_000);
    await it.vote();
    expect(it.state).toMatchObject({ workers: 1, fault: 'the hub is away' });
    expect(lines).toContain('Scaler: no vote: the hub is away');
    readFault = null;
    await it.vote();
    expect(it.state).toMatchObject({ workers: 3, fault: null });
  });

  it('tries again when a worker does not start', async () => {
    const it = scaler();
    host.doesRefuse = true;
    unprocessed.set('first', 200);
    await it.vote();
    expect(it.state).toMatchObject({ workers: 1, wanted: 2, fault: 'the app does not start' });
    host.doesRefuse = false;
    await it.vote();
    expect(it.state).toMatchObject({ workers: 2, fault: null });
  });

  it('leaves a crashed worker to the host, and takes away one too many', async () => {
    const it = scaler();
    unprocessed.set('first', 200);
    await it.vote();
    host.workers.pop();
    await it.vote();
    expect(host.workers).toHaveLength(1);
    await host.addWorker();
    await host.addWorker();
    await it.vote();
    expect(host.workers).toHaveLength(2);
  });

  it('votes by itself once started, and not after it is closed', async () => {
    const it = scaler();
    unprocessed.set('first', 300);
    it.start();
    while (host.workers.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    await it.close();
    unprocessed.set('first', 0);
    await it.vote();
    expect(host.workers).toHaveLength(3);
  });
});
