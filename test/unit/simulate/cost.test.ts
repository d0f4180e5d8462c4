// Goal: units of Event Hubs and dollars follow the published limits and the one table of prices.
// Method: loads whose needs can be reckoned in the head.
import { functionsCost } from '../../../local/scaler/simulation/cost';
import { tierNeeds, type HubLoad } from '../../../local/scaler/simulation/event-hubs-capacity';
import { prices } from '../../../local/scaler/simulation/prices';
import { simulate, type SimulationSeries } from '../../../local/scaler/simulation/simulate';
import { summarize, type Workload } from '../../../local/scaler/simulation/summary';
import { platformPace } from '../../../local/scaler/target';

const load = (given: Partial<HubLoad>): HubLoad => ({
  peakBytesIn: 0,
  peakMessagesIn: 0,
  peakBytesOut: 0,
  peakMessagesOut: 0,
  messages: 0,
  messageBytes: 1_000,
  partitions: 32,
  hours: 1,
  ...given,
});

const unitsOf = (given: Partial<HubLoad>) => tierNeeds(load(given)).map(({ units }) => units);
const obstaclesOf = (given: Partial<HubLoad>) =>
  tierNeeds(load(given)).map(({ obstacle }) => obstacle);

describe('tierNeeds', () => {
  it.each([
    ['nothing', {}, [1, 1, 1]],
    ['bytes in', { peakBytesIn: 12_500_000 }, [13, 4, 1]],
    ['messages in', { peakMessagesIn: 30_000 }, [30, 1, 1]],
    ['bytes out', { peakBytesOut: 30_000_000 }, [15, 4, 1]],
    ['messages out', { peakMessagesOut: 8_193 }, [3, 1, 1]],
    ['exactly one unit', { peakBytesIn: 1_000_000, peakMessagesIn: 1_000 }, [1, 1, 1]],
    // 1 M events of 1 KB, of 100 B, and 100 B packed by 100.
    ['1 GB/s', { peakBytesIn: 1e9, peakMessagesIn: 1e6 }, [1_000, 200, 10]],
    ['1 M small messages/s', { peakBytesIn: 1e8, peakMessagesIn: 1e6 }, [1_000, 20, 1]],
    ['1 M small events/s, packed', { peakBytesIn: 1e8, peakMessagesIn: 1e4 }, [100, 20, 1]],
  ])('%s', (_name, given, expected) => {
    expect(unitsOf(given)).toEqual(expected);
  });

  it('says why a tier cannot carry a load', () => {
    expect(obstaclesOf({ peakBytesIn: 41_000_000 })).toEqual(['41 TU are over 40', null, null]);
    expect(obstaclesOf({ partitions: 200 })).toEqual([
      '200 partitions are over 32',
      '200 partitions are over 100',
      null,
    ]);
    expect(obstaclesOf({ messageBytes: 2_000_000 })[2]).toMatch(/over 1048576/);
    expect(obstaclesOf({ peakBytesIn: 3e9 })[2]).toBe('30 CU are over 20');
  });

  it('bills units by the hour, and messages by 64 KB at the standard tier', () => {
    const [standard, premium, dedicated] = tierNeeds(
      load({ peakMessagesIn: 2_000, hours: 10, messages: 3e6, messageBytes: 100_000 }),
    );
    expect(standard?.usd).toBeCloseTo(
      2 * 10 * prices.standardThroughputUnit.usd + 6 * prices.standardIngress.usd,
    );
    expect(premium?.usd).toBeCloseTo(10 * prices.premiumProcessingUnit.usd);
    expect(dedicated?.usd).toBeCloseTo(10 * prices.dedicatedCapacityUnit.usd);
  });
});

describe('functionsCost', () => {
  const hour = (given: Partial<Record<keyof SimulationSeries, number>>): SimulationSeries => {
    const of = (name: keyof SimulationSeries) => new Float64Array(3_600).fill(given[name] ?? 0);
    return {
      arrived: of('arrived'),
      processed: of('processed'),
      backlog: of('backlog'),
      oldestSeconds: of('oldestSeconds'),
      allocated: of('allocated'),
      batches: of('batches'),
      busyAlwaysReady: of('busyAlwaysReady'),
      busyOnDemand: of('busyOnDemand'),
    };
  };

  it('bills Flex on demand for what is busy, and every batch', () => {
    const cost = functionsCost(hour({ allocated: 9, busyOnDemand: 5, batches: 10 }), {
      plan: 'flex',
      instanceMemoryMb: 2_048,
      alwaysReady: 0,
    });
    expect(cost.computeUsd).toBeCloseTo(5 * 3_600 * 2 * 0.000026);
    expect(cost.executionsUsd).toBeCloseTo(0.036 * 0.4);
    expect(cost.storageUsd).toBeCloseTo((2 * 36_000 * 0.05) / 10_000);
    const { computeUsd, executionsUsd, storageUsd } = cost;
    expect(cost.cumulativeUsd[3_599]).toBeCloseTo(computeUsd + executionsUsd + storageUsd);
  });

  it('bills an always-ready instance that does nothing: $21 a month at 2 GB', () => {
    const cost = functionsCost(hour({ allocated: 1 }), {
      plan: 'flex',
      instanceMemoryMb: 2_048,
      alwaysReady: 1,
    });
    expect(cost.computeUsd * 730).toBeCloseTo(21.02, 1);
  });

  it('bills premium instances busy or not, and no executions', () => {
    const cost = functionsCost(hour({ allocated: 2, batches: 10 }), {
      plan: 'premium',
      instanceMemoryMb: 3_584,
      alwaysReady: 1,
    });
    expect(cost.computeUsd).toBeCloseTo(2 * (0.173 + 3.5 * 0.0123));
    expect(cost.executionsUsd).toBe(0);
  });

  it('refuses a size that the plan does not have', () => {
    const options = { plan: 'premium', instanceMemoryMb: 2_048, alwaysReady: 1 } as const;
    expect(() => functionsCost(hour({}), options)).toThrow('no premium instance has 2048 MB');
  });
});

describe('prices', () => {
  it.each(Object.entries(prices))(
    '%s is positive and has a unit, a date and a source',
    (_, price) => {
      expect(price.usd).toBeGreaterThan(0);
      expect(price.per).not.toBe('');
      expect(price.asOf).toMatch(/^20\d\d(-\d\d)?$/);
      expect(price.source).not.toBe('');
    },
  );
});

describe('summarize', () => {
  const workload: Workload = {
    eventsPerSecond: Float64Array.from([30, 0, 0, 0, 5]),
    ...{ partitions: 1, skew: 0, eventsPerSecondPerInstance: 10, eventsPerMessage: 1 },
    ...{ minInstances: 1, maxInstances: 1, alwaysReady: 0, maxEventBatchSize: 10 },
    ...{ targetUnprocessedEventThreshold: 100, coldStartMs: 0, batchDurationMs: 100 },
    ...{ plan: 'flex', instanceMemoryMb: 2_048, eventBytes: 1_000, consumerGroups: 1 },
    pace: platformPace,
  };

  it('says what it came to', () => {
    const { summary } = summarize(simulate(workload), workload);
    expect(summary).toMatchObject({
      events: { arrived: 35, processed: 35, unprocessed: 0, peakPerSecond: 30 },
      instances: { peak: 1, mean: 1, rises: 0, falls: 0 },
      backlogPeak: 20,
      longestCatchUpSeconds: 2,
      drainedAfterSeconds: 0,
      hottestPartition: { share: 1, peakBytesPerSecond: 30_000 },
      cost: { eventHubsTier: 'standard' },
    });
    const { computeUsd, eventHubsUsd, executionsUsd, storageUsd, totalUsd } = summary.cost;
    expect(totalUsd).toBeCloseTo(computeUsd + executionsUsd + storageUsd + (eventHubsUsd ?? 0), 12);
  });

  it('has no total where no tier carries the load', () => {
    const huge = { ...workload, eventBytes: 2_000_000 };
    expect(summarize(simulate(huge), huge).summary.cost).toMatchObject({
      eventHubsTier: null,
      totalUsd: null,
    });
  });

  it('says what stays', () => {
    const stuck = { ...workload, minInstances: 0, maxInstances: 0 };
    const { summary } = summarize(simulate(stuck), stuck);
    expect(summary.events).toMatchObject({ processed: 0, unprocessed: 35 });
    expect(summary.drainedAfterSeconds).toBeNull();
  });
});
