import { functionsCost, type CostOptions, type FunctionsCost } from './cost';
import { tierNeeds, type TierNeed } from './event-hubs-capacity';
import type { Simulation, SimulationOptions, SimulationSeries } from './simulate';

export interface Workload extends SimulationOptions, CostOptions {
  readonly eventBytes: number;
  readonly consumerGroups: number;
}

/** What a simulation came to: what the command prints. */
export interface Summary {
  readonly events: {
    readonly arrived: number;
    readonly processed: number;
    /** Still waiting when the simulation gave up. */
    readonly unprocessed: number;
    readonly peakPerSecond: number;
  };
  readonly instances: {
    readonly peak: number;
    readonly mean: number;
    /** Times the number rose, and fell. */
    readonly rises: number;
    readonly falls: number;
  };
  readonly lagSeconds: { readonly p50: number; readonly p95: number; readonly max: number };
  readonly backlogPeak: number;
  /** The longest stretch of seconds that left events waiting. */
  readonly longestCatchUpSeconds: number;
  /** From the profile's end until nothing waited; null: that never came. */
  readonly drainedAfterSeconds: number | null;
  readonly hottestPartition: { readonly share: number; readonly peakBytesPerSecond: number };
  readonly eventHubs: readonly TierNeed[];
  readonly cost: {
    readonly hours: number;
    readonly computeUsd: number;
    readonly executionsUsd: number;
    readonly storageUsd: number;
    /** The cheapest tier that carries it; null: none does. */
    readonly eventHubsTier: TierNeed['tier'] | null;
    readonly eventHubsUsd: number | null;
    readonly totalUsd: number | null;
    readonly usdPerMillionEvents: number | null;
  };
}

export function summarize(
  simulation: Simulation,
  workload: Workload,
): { readonly summary: Summary; readonly functions: FunctionsCost } {
  const { profileSeconds, seconds, series, waits } = simulation;
  const arrived = sumOf(series.arrived);
  const unprocessed = series.backlog.at(-1) ?? 0;
  const peakPerSecond = maxOf(series.arrived);
  const hours = seconds / 3_600;
  const eventHubs = hubNeeds(simulation, workload, arrived);
  const functions = functionsCost(series, workload);
  const cheapest = eventHubs
    .filter(({ obstacle }) => obstacle === null)
    .sort((left, right) => left.usd - right.usd)[0];
  const { computeUsd, executionsUsd, storageUsd } = functions;
  const totalUsd =
    cheapest === undefined ? null : computeUsd + executionsUsd + storageUsd + cheapest.usd;
  const summary: Summary = {
    events: { arrived, processed: sumOf(series.processed), unprocessed, peakPerSecond },
    instances: {
      peak: maxOf(series.allocated),
      mean: seconds === 0 ? 0 : sumOf(series.allocated) / seconds,
      ...changesOf(series.allocated),
    },
    lagSeconds: waits,
    backlogPeak: maxOf(series.backlog),
    longestCatchUpSeconds: longestCatchUp(series),
    drainedAfterSeconds: unprocessed === 0 ? seconds - profileSeconds : null,
    hottestPartition: {
      share: simulation.largestWeight,
      peakBytesPerSecond: peakPerSecond * simulation.largestWeight * workload.eventBytes,
    },
    eventHubs,
    cost: {
      ...{ hours, computeUsd, executionsUsd, storageUsd },
      eventHubsTier: cheapest?.tier ?? null,
      eventHubsUsd: cheapest?.usd ?? null,
      totalUsd,
      usdPerMillionEvents: totalUsd === null || arrived === 0 ? null : (totalUsd / arrived) * 1e6,
    },
  };
  return { summary, functions };
}

function hubNeeds(
  { seconds, series }: Simulation,
  workload: Workload,
  arrived: number,
): readonly TierNeed[] {
  const { consumerGroups, eventBytes, eventsPerMessage, partitions } = workload;
  const peakIn = maxOf(series.arrived);
  const peakOut = maxOf(series.processed) * consumerGroups;
  return tierNeeds({
    peakBytesIn: peakIn * eventBytes,
    peakMessagesIn: peakIn / eventsPerMessage,
    peakBytesOut: peakOut * eventBytes,
    peakMessagesOut: peakOut / eventsPerMessage,
    messages: arrived / eventsPerMessage,
    messageBytes: eventBytes * eventsPerMessage,
    partitions,
    hours: seconds / 3_600,
  });
}

function longestCatchUp({ backlog }: SimulationSeries): number {
  let longest = 0;
  let current = 0;
  for (const waiting of backlog) {
    current = waiting > 0 ? current + 1 : 0;
    longest = Math.max(longest, current);
  }
  return longest;
}

function changesOf(counts: Float64Array): { readonly rises: number; readonly falls: number } {
  let rises = 0;
  let falls = 0;
  for (let second = 1; second < counts.length; second += 1) {
    const change = (counts[second] ?? 0) - (counts[second - 1] ?? 0);
    if (change > 0) rises += 1;
    if (change < 0) falls += 1;
  }
  return { rises, falls };
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function maxOf(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
