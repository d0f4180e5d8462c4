// Goal: no event is made or lost, no instance does more than it can, and scaling is the platform's.
// Method: small loads reckoned by hand, then properties over any load and settings.
import fc from 'fast-check';
import {
  simulate,
  type Simulation,
  type SimulationOptions,
} from '../../../local/scaler/simulation/simulate';
import { platformPace } from '../../../local/scaler/target';

const defaults: Omit<SimulationOptions, 'eventsPerSecond'> = {
  partitions: 4,
  skew: 0,
  eventsPerSecondPerInstance: 10,
  eventsPerMessage: 1,
  minInstances: 1,
  maxInstances: 4,
  alwaysReady: 0,
  maxEventBatchSize: 10,
  targetUnprocessedEventThreshold: 100,
  coldStartMs: 0,
  batchDurationMs: 100,
  pace: platformPace,
};

const run = (load: readonly number[], options: Partial<SimulationOptions> = {}): Simulation =>
  simulate({ ...defaults, ...options, eventsPerSecond: Float64Array.from(load) });

const steady = (rate: number, seconds: number): number[] => Array<number>(seconds).fill(rate);

const fixed = (instances: number): Partial<SimulationOptions> => ({
  minInstances: instances,
  maxInstances: instances,
});

describe('simulate', () => {
  it('processes in the order of arrival, and waits until all is done', () => {
    const { profileSeconds, seconds, series, waits } = run([30, 0], {
      partitions: 1,
      ...fixed(1),
    });
    expect(Array.from(series.processed)).toEqual([10, 10, 10]);
    expect(Array.from(series.backlog)).toEqual([20, 10, 0]);
    expect(Array.from(series.oldestSeconds)).toEqual([1, 2, 0]);
    expect([profileSeconds, seconds]).toEqual([2, 3]);
    expect(waits).toEqual({ p50: 1, p95: 2, max: 2 });
  });

  it('gives what one partition does not need to the others', () => {
    // Shares 2/3 and 1/3 of 12: 8 and 4. Of 10, the second takes its 4, the first 6.
    const { largestWeight, series } = run([12], { partitions: 2, skew: 1, ...fixed(1) });
    expect(largestWeight).toBeCloseTo(2 / 3);
    expect(series.processed[0]).toBeCloseTo(10);
    expect(series.backlog[0]).toBeCloseTo(2);
  });

  it('lets a hot partition have one instance and no more', () => {
    // Of 110 events 60 come in the first partition; it gets an instance's 10 a second.
    const { seconds } = run([110], { partitions: 3, skew: 1, ...fixed(3) });
    expect(seconds).toBe(6);
  });

  it('scales from nothing with the first vote that sees an event, after its cold start', () => {
    const { series } = run(steady(5, 30), { minInstances: 0, coldStartMs: 3_000 });
    expect(Array.from(series.allocated.subarray(0, 12))).toEqual([...steady(0, 10), 1, 1]);
    // Its fourth second works off what waited.
    expect(series.processed[12]).toBe(0);
    expect(series.processed[13]).toBe(10);
  });

  it('goes at most 4 instances at a vote, to a limit', () => {
    const { series } = run(steady(2_000, 60), { partitions: 32, maxInstances: 10 });
    expect([5, 10, 20, 30, 40].map((second) => series.allocated[second])).toEqual([
      1, 5, 9, 10, 10,
    ]);
  });

  it('holds scale-in for 180 s after the last scale-out', () => {
    // Ten seconds of 35 leave 250 events: four instances are wanted and all is done soon.
    const { series } = run([...steady(35, 10), ...steady(1, 400)], { maxInstances: 4 });
    expect(series.allocated[10]).toBe(4);
    expect(series.backlog[60]).toBe(0);
    expect(series.allocated[189]).toBe(4);
    expect(series.allocated[190]).toBe(1);
  });

  it('counts messages, not events, when it scales', () => {
    const unpacked = run(steady(35, 12));
    const packed = run(steady(35, 12), { eventsPerMessage: 100 });
    expect(unpacked.series.allocated[10]).toBe(4);
    expect(packed.series.allocated[10]).toBe(1);
  });

  it('fills batches when it is behind, and begins one for each message when it is not', () => {
    const behind = run([1_000], { partitions: 1, ...fixed(1), batchDurationMs: 1_000 });
    expect(behind.series.batches[0]).toBe(1);
    const sparse = run([4], { ...fixed(4) });
    expect(sparse.series.batches[0]).toBe(4);
    const often = run([400], { partitions: 1, ...fixed(1), eventsPerSecondPerInstance: 400 });
    expect(often.series.batches[0]).toBe(40);
  });

  it('counts busy seconds of always-ready instances by themselves', () => {
    const { series } = run([8], { ...fixed(4), alwaysReady: 1 });
    expect(series.busyAlwaysReady[0]).toBe(1);
    expect(series.busyOnDemand[0]).toBe(3);
  });

  it('gives up on what cannot be done in a day', () => {
    const { seconds, series } = run([10_000], { partitions: 1, maxInstances: 0, minInstances: 0 });
    expect(seconds).toBe(1 + 86_400);
    expect(series.backlog.at(-1)).toBe(10_000);
  });
});

/** The same without cunning: a queue per partition, events taken from its front. */
function plainly(
  options: Omit<SimulationOptions, 'eventsPerSecond'>,
  series: Simulation['series'],
): { readonly backlog: readonly number[]; readonly longestWait: number } {
  const weights = Array.from({ length: options.partitions }, (_, k) => (k + 1) ** -options.skew);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const queues = weights.map(() => [] as { readonly second: number; events: number }[]);
  const sizeOf = (queue: (typeof queues)[number]): number =>
    queue.reduce((total, { events }) => total + events, 0);
  let longestWait = 0;
  const backlog = Array.from(series.arrived, (arrived, second) => {
    queues.forEach((queue, k) =>
      queue.push({ second, events: (arrived * (weights[k] ?? 0)) / sum }),
    );
    const instances = Math.min(series.allocated[second] ?? 0, queues.length);
    for (let instance = 0; instance < instances; instance += 1) {
      const mine = queues.filter((_, k) => k % instances === instance);
      mine.sort((left, right) => sizeOf(left) - sizeOf(right));
      let capacity = options.eventsPerSecondPerInstance;
      mine.forEach((queue, index) => {
        let share = Math.min(sizeOf(queue), capacity / (mine.length - index));
        capacity -= share;
        for (let [front] = queue; front !== undefined && share > 1e-7; [front] = queue) {
          const taken = Math.min(front.events, share);
          if (taken > 1e-7) longestWait = Math.max(longestWait, second - front.second);
          front.events -= taken;
          share -= taken;
          if (front.events <= 1e-7) queue.shift();
        }
      });
    }
    return queues.reduce((total, queue) => total + sizeOf(queue), 0);
  });
  return { backlog, longestWait };
}

describe('for any load', () => {
  const loads = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 1, max: 60 })),
    { minLength: 1, maxLength: 8 },
  );
  const settings = fc.record({
    partitions: fc.integer({ min: 1, max: 64 }),
    skew: fc.constantFrom(0, 0, 0.3, 1),
    eventsPerSecondPerInstance: fc.integer({ min: 200, max: 3_000 }),
    eventsPerMessage: fc.constantFrom(1, 10),
    minInstances: fc.integer({ min: 0, max: 3 }),
    maxInstances: fc.integer({ min: 3, max: 40 }),
    maxEventBatchSize: fc.integer({ min: 1, max: 1_000 }),
    targetUnprocessedEventThreshold: fc.integer({ min: 1, max: 5_000 }),
    coldStartMs: fc.integer({ min: 0, max: 15_000 }),
  });
  const expand = (steps: readonly (readonly [number, number])[]): number[] =>
    steps.flatMap(([rate, seconds]) => steady(rate, seconds));
  const tolerance = 1e-6;

  it('what came is processed or waits, at every second', () => {
    fc.assert(
      fc.property(loads, settings, (steps, options) => {
        const load = expand(steps);
        const { seconds, series } = run(load, options);
        let arrived = 0;
        let processed = 0;
        for (let second = 0; second < seconds; second += 1) {
          arrived += series.arrived[second] ?? 0;
          processed += series.processed[second] ?? 0;
          const waiting = series.backlog[second] ?? 0;
          expect(Math.abs(arrived - processed - waiting)).toBeLessThan(tolerance * (1 + arrived));
          expect(waiting > 0).toBe((series.oldestSeconds[second] ?? 0) > 0);
        }
        expect(arrived).toBe(load.reduce((sum, rate) => sum + rate, 0));
      }),
      { numRuns: 60 },
    );
  });

  it('instances stay within their limits, go by steps, and do no more than they can', () => {
    fc.assert(
      fc.property(loads, settings, (steps, options) => {
        const { seconds, series } = run(expand(steps), options);
        for (let second = 0; second < seconds; second += 1) {
          const allocated = series.allocated[second] ?? 0;
          expect(allocated).toBeGreaterThanOrEqual(options.minInstances);
          expect(allocated).toBeLessThanOrEqual(options.maxInstances);
          const before = series.allocated[second - 1] ?? allocated;
          expect(Math.abs(allocated - before)).toBeLessThanOrEqual(4);
          if (second % 10 !== 0) expect(allocated).toBe(before);
          const most = Math.min(allocated, options.partitions) * options.eventsPerSecondPerInstance;
          expect(series.processed[second]).toBeLessThanOrEqual(most * (1 + tolerance) + tolerance);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('faster instances never leave more waiting', () => {
    fc.assert(
      fc.property(loads, settings, fc.integer({ min: 1, max: 8 }), (steps, options, instances) => {
        const load = expand(steps);
        const slow = run(load, { ...options, ...fixed(instances) });
        const rate = 2 * options.eventsPerSecondPerInstance;
        const fast = run(load, {
          ...options,
          ...fixed(instances),
          eventsPerSecondPerInstance: rate,
        });
        fast.series.backlog.forEach((waiting, second) => {
          expect(waiting).toBeLessThanOrEqual((slow.series.backlog[second] ?? 0) + tolerance);
        });
        expect(fast.waits.max).toBeLessThanOrEqual(slow.waits.max);
      }),
      { numRuns: 40 },
    );
  });

  it('comes to what a plain simulation of single partitions comes to', () => {
    fc.assert(
      fc.property(loads, settings, (steps, given) => {
        const options = { ...given, coldStartMs: 0 };
        const { seconds, series, waits } = run(expand(steps), options);
        const plain = plainly({ ...defaults, ...options }, series);
        for (let second = 0; second < seconds; second += 1) {
          expect(plain.backlog[second]).toBeCloseTo(series.backlog[second] ?? Number.NaN, 3);
        }
        expect(plain.longestWait).toBe(waits.max);
      }),
      { numRuns: 40 },
    );
  });

  it('packing and a threshold as much smaller give the same instances', () => {
    fc.assert(
      fc.property(loads, settings, fc.integer({ min: 2, max: 50 }), (steps, options, packed) => {
        const load = expand(steps);
        const { targetUnprocessedEventThreshold: threshold } = options;
        const one = run(load, {
          ...options,
          eventsPerMessage: 1,
          targetUnprocessedEventThreshold: threshold * packed,
        });
        const many = run(load, { ...options, eventsPerMessage: packed });
        expect(Array.from(many.series.allocated)).toEqual(Array.from(one.series.allocated));
      }),
      { numRuns: 40 },
    );
  });
});
