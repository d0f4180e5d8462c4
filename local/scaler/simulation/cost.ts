import { prices } from './prices';
import type { SimulationSeries } from './simulate';

export type FunctionsPlan = 'flex' | 'premium';

export interface CostOptions {
  readonly plan: FunctionsPlan;
  readonly instanceMemoryMb: number;
  readonly alwaysReady: number;
}

export interface FunctionsCost {
  readonly computeUsd: number;
  readonly executionsUsd: number;
  /** Of each batch: the trigger's checkpoint, and the commit. */
  readonly storageUsd: number;
  /** Of all three, after each second. */
  readonly cumulativeUsd: Float64Array;
}

const writesPerBatch = 2;

/** Sizes of instances: the memory that is asked for, and what it brings. */
export const flexMemoryMb: readonly number[] = [512, 2048, 4096];
const premiumSizes: Readonly<
  Record<number, { readonly cores: number; readonly gigabytes: number }>
> = {
  3584: { cores: 1, gigabytes: 3.5 },
  7168: { cores: 2, gigabytes: 7 },
  14336: { cores: 4, gigabytes: 14 },
};
export const premiumMemoryMb: readonly number[] = Object.keys(premiumSizes).map(Number);

/** What the Functions plan and its storage cost, second by second. */
export function functionsCost(series: SimulationSeries, options: CostOptions): FunctionsCost {
  const seconds = series.arrived.length;
  const cumulativeUsd = new Float64Array(seconds);
  const perSecond = options.plan === 'flex' ? flexSecond(options) : premiumSecond(options);
  const executionUsd = options.plan === 'flex' ? prices.flexExecutions.usd / 1e6 : 0;
  const batchUsd = (writesPerBatch * prices.blobWrites.usd) / 10_000;
  let computeUsd = 0;
  let batches = 0;
  for (let second = 0; second < seconds; second += 1) {
    computeUsd += perSecond(series, second);
    batches += series.batches[second] ?? 0;
    cumulativeUsd[second] = computeUsd + batches * (executionUsd + batchUsd);
  }
  return {
    computeUsd,
    executionsUsd: batches * executionUsd,
    storageUsd: batches * batchUsd,
    cumulativeUsd,
  };
}

type SecondCost = (series: SimulationSeries, second: number) => number;

/** On demand a second costs when something runs in it; always ready always, and then less. */
function flexSecond({ alwaysReady, instanceMemoryMb }: CostOptions): SecondCost {
  const gigabytes = instanceMemoryMb / 1_024;
  const baseline = alwaysReady * gigabytes * prices.flexAlwaysReadyBaseline.usd;
  return (series, second) =>
    baseline +
    (series.busyAlwaysReady[second] ?? 0) * gigabytes * prices.flexAlwaysReadyExecution.usd +
    (series.busyOnDemand[second] ?? 0) * gigabytes * prices.flexOnDemand.usd;
}

/** Every allocated instance costs, busy or not. */
function premiumSecond({ instanceMemoryMb }: CostOptions): SecondCost {
  const size = premiumSizes[instanceMemoryMb];
  if (size === undefined) throw new RangeError(`no premium instance has ${instanceMemoryMb} MB`);
  const hourly = size.cores * prices.premiumCore.usd + size.gigabytes * prices.premiumMemory.usd;
  return (series, second) => ((series.allocated[second] ?? 0) * hourly) / 3_600;
}
