import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { readHostSettings } from '../../local/functions-host/settings';
import {
  flexMemoryMb,
  premiumMemoryMb,
  type FunctionsPlan,
} from '../../local/scaler/simulation/cost';
import { bucketPeaks, curvesOf, plotText } from '../../local/scaler/simulation/plot';
import { plotSvg } from '../../local/scaler/simulation/plot-svg';
import {
  builtInProfile,
  builtInProfiles,
  parseProfile,
  type LoadProfile,
} from '../../local/scaler/simulation/profile';
import { simulate as run, type SimulationSeries } from '../../local/scaler/simulation/simulate';
import { summarize, type Workload } from '../../local/scaler/simulation/summary';
import { platformPace } from '../../local/scaler/target';
import type { App } from '../app';
import { WrongUse } from '../arguments';
import type { Output } from '../output';
import { describeSummary } from './simulation-text';

/** As the command line gives them. */
export interface SimulateFlags {
  readonly profile: string;
  readonly peak?: number;
  readonly partitions: number;
  readonly skew: number;
  readonly plan: FunctionsPlan;
  readonly maxInstances: number;
  readonly eventsPerSecondPerInstance: number;
  readonly maxEventBatchSize?: number;
  readonly targetUnprocessedEventThreshold?: number;
  readonly coldStartMs: number;
  readonly batchDurationMs: number;
  readonly instanceMemoryMb?: number;
  readonly alwaysReady: number;
  readonly eventBytes: number;
  readonly eventsPerMessage: number;
  readonly consumerGroups: number;
  readonly plot?: string;
}

const defaultPeak = 10_000;
const planLimits = {
  flex: { instancesMax: 1_000, memoryMb: flexMemoryMb, defaultMemoryMb: 2_048, instancesMin: 0 },
  premium: {
    instancesMax: 100,
    memoryMb: premiumMemoryMb,
    defaultMemoryMb: 3_584,
    instancesMin: 1,
  },
} as const;
const partitionsMax = 1_024;
/** Points of each curve in the JSON result. */
const seriesPoints = 288;

/** Replays a load against partitions and target-based scaling, and tells what it takes. */
export function simulate(app: App, flags: SimulateFlags, output: Output): void {
  const profile = profileOf(flags);
  const workload = workloadOf(app, flags, profile);
  const simulation = run(workload);
  const { functions, summary } = summarize(simulation, workload);
  const curves = curvesOf(simulation.series, functions.cumulativeUsd);
  if (flags.plot !== undefined) {
    const peak = Math.round(summary.events.peakPerSecond).toLocaleString('en-US');
    const title = `${profile.name}: up to ${peak} events/s, ${workload.partitions} partitions`;
    writeFileSync(flags.plot, plotSvg(title, curves));
    output.say(`Plot: ${flags.plot}`);
  }
  const settings = { ...workload, eventsPerSecond: undefined };
  output.result(
    { profile: profile.name, settings, summary, series: sampled(simulation.series) },
    `${plotText(curves)}\n\n${describeSummary(summary, workload)}`,
  );
}

function profileOf({ peak, profile }: SimulateFlags): LoadProfile {
  const found = builtInProfile(profile, peak ?? defaultPeak);
  if (found !== null) return found;
  if (peak !== undefined) {
    throw new WrongUse('--peak belongs to the built-in profiles; a file says its rates itself');
  }
  if (!existsSync(profile)) {
    throw new WrongUse(
      `--profile ${profile}: there is no such file, and no built-in profile of the name ` +
        `(${builtInProfiles.join(', ')})`,
    );
  }
  try {
    return parseProfile(profile, readFileSync(profile, 'utf8'));
  } catch (error) {
    throw new WrongUse(error instanceof Error ? error.message : String(error));
  }
}

function workloadOf(app: App, flags: SimulateFlags, profile: LoadProfile): Workload {
  const limits = planLimits[flags.plan];
  const hostJson = readHostSettings(app.directory).eventHubs;
  const maxEventBatchSize = flags.maxEventBatchSize ?? hostJson.maxEventBatchSize;
  const instanceMemoryMb = flags.instanceMemoryMb ?? limits.defaultMemoryMb;
  const faults: string[] = [];
  if (flags.partitions > partitionsMax) {
    faults.push(`--partitions: no tier of Event Hubs has more than ${partitionsMax} in a hub`);
  }
  if (flags.maxInstances > limits.instancesMax) {
    faults.push(`--max-instances: the plan ${flags.plan} has at most ${limits.instancesMax}`);
  }
  if (flags.alwaysReady > flags.maxInstances) {
    faults.push('--always-ready: must not be above --max-instances');
  }
  if (!limits.memoryMb.includes(instanceMemoryMb)) {
    faults.push(
      `--instance-memory-mb: the plan ${flags.plan} has instances of ${limits.memoryMb.join(', ')} MB`,
    );
  }
  if (faults.length > 0) throw new WrongUse(faults.join('\n'));
  const { alwaysReady, batchDurationMs, coldStartMs, maxInstances, partitions, plan } = flags;
  const { consumerGroups, eventBytes, eventsPerMessage, eventsPerSecondPerInstance, skew } = flags;
  // What is said of the batch holds for the threshold too, as on the platform.
  const threshold =
    flags.targetUnprocessedEventThreshold ??
    (flags.maxEventBatchSize === undefined
      ? hostJson.targetUnprocessedEventThreshold
      : maxEventBatchSize);
  return {
    eventsPerSecond: profile.eventsPerSecond,
    ...{ partitions, skew, eventsPerSecondPerInstance, eventsPerMessage, eventBytes },
    ...{ plan, instanceMemoryMb, maxInstances, alwaysReady, coldStartMs, batchDurationMs },
    ...{ maxEventBatchSize, targetUnprocessedEventThreshold: threshold, consumerGroups },
    minInstances: Math.max(limits.instancesMin, alwaysReady),
    pace: platformPace,
  };
}

/** Each curve's largest value in equal stretches of time. */
function sampled(series: SimulationSeries): Record<keyof SimulationSeries, number[]> {
  const of = (name: keyof SimulationSeries): number[] => bucketPeaks(series[name], seriesPoints);
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
}
