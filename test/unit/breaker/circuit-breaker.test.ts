// Goal: a sink that keeps failing is called by nobody until its time is over, then by one.
// Method: two workers' breakers on one memory store under a clock of the test.
import { MemoryAppendStore } from '../../../shared/adapters/memory-stores';
import { StreamError } from '../../../shared/model/errors';
import {
  CircuitBreaker,
  readBreakers,
  type BreakerLimits,
} from '../../../shared/breaker/circuit-breaker';

const limits: BreakerLimits = {
  failuresMax: 3,
  firstOpenMs: 1_000,
  lastOpenMs: 4_000,
  probeMs: 500,
  refreshMs: 100,
};

class Sink {
  nowMs = 10_000;
  isBroken = true;
  calls = 0;
  readonly events: string[] = [];
  readonly appends = new MemoryAppendStore();

  breaker(worker: string): CircuitBreaker {
    const world = {
      appends: this.appends,
      clock: { nowMs: () => this.nowMs },
      telemetry: { emit: (_level: string, event: string) => void this.events.push(event) },
      worker,
    };
    return new CircuitBreaker(world, 'table orders', limits);
  }

  readonly call = async (): Promise<string> => {
    this.calls += 1;
    if (this.isBroken) throw new StreamError('STREAM_STORE_UNAVAILABLE', 'the store is away');
    return 'done';
  };

  async tries(breaker: CircuitBreaker, times: number): Promise<void> {
    for (let index = 0; index < times; index += 1) await breaker.run(this.call).catch(() => null);
  }
}

describe('a circuit breaker', () => {
  it('opens for all workers after so many failures of one', async () => {
    const sink = new Sink();
    const [one, other] = [sink.breaker('one'), sink.breaker('other')];
    await sink.tries(one, 10);
    expect(sink.calls).toBe(3);
    await expect(other.run(sink.call)).rejects.toMatchObject({
      code: 'STREAM_SINK_OPEN',
      disposition: 'retry',
    });
    expect(sink.calls).toBe(3);
    expect(sink.events).toEqual(['sink.opened']);
    expect(await readBreakers(sink.appends)).toMatchObject([
      { name: 'table orders', phase: 'open', worker: 'one', openings: 1 },
    ]);
  });

  it('lets one worker probe when its time is over, and stays open longer when that fails', async () => {
    const sink = new Sink();
    const [one, other] = [sink.breaker('one'), sink.breaker('other')];
    await sink.tries(one, 3);
    sink.nowMs += 1_000;
    await Promise.all([sink.tries(one, 1), sink.tries(other, 1)]);
    expect(sink.calls).toBe(4);
    sink.nowMs += 1_999;
    await Promise.all([sink.tries(one, 5), sink.tries(other, 5)]);
    expect(sink.calls).toBe(4);
    sink.nowMs += 1;
    await Promise.all([sink.tries(one, 1), sink.tries(other, 1)]);
    expect(sink.calls).toBe(5);
  });

  it('closes for all when a probe succeeds', async () => {
    const sink = new Sink();
    const [one, other] = [sink.breaker('one'), sink.breaker('other')];
    await sink.tries(one, 3);
    sink.nowMs += 1_000;
    sink.isBroken = false;
    expect(await other.run(sink.call)).toBe('done');
    expect(await one.run(sink.call)).toBe('done');
    expect(await readBreakers(sink.appends)).toMatchObject([{ phase: 'closed' }]);
    // It begins to count anew.
    sink.isBroken = true;
    await sink.tries(one, 2);
    expect(await readBreakers(sink.appends)).toMatchObject([{ phase: 'closed' }]);
  });

  it('gives a probe up whose worker died', async () => {
    const sink = new Sink();
    const [one, other] = [sink.breaker('one'), sink.breaker('other')];
    await sink.tries(one, 3);
    sink.nowMs += 1_000;
    void one.run(() => new Promise(() => undefined));
    while ((await readBreakers(sink.appends))[0]?.phase !== 'half-open') {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect(other.run(sink.call)).rejects.toMatchObject({ code: 'STREAM_SINK_OPEN' });
    sink.nowMs += 500;
    sink.isBroken = false;
    expect(await other.run(sink.call)).toBe('done');
  });

  it('does not count what is not the sink’s fault', async () => {
    const sink = new Sink();
    const breaker = sink.breaker('one');
    for (let index = 0; index < 9; index += 1) {
      await breaker
        .run(() => Promise.reject(new StreamError('STREAM_TABLE_INCOMPATIBLE', 'other columns')))
        .catch(() => null);
    }
    expect(await readBreakers(sink.appends)).toEqual([]);
  });
});
