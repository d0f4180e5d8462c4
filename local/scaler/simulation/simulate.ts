import { nextInstanceCount, noMemory, voteOfTrigger, type ScalingPace } from '../target';
import { Instances } from './instances';
import { Partitions } from './partitions';
import { Waits } from './waits';

export interface SimulationOptions {
  readonly eventsPerSecond: Float64Array;
  readonly partitions: number;
  /** 0: partitions are alike; s: partition k gets a share like 1 / k^s. */
  readonly skew: number;
  /** What one instance processes when its batches are full. */
  readonly eventsPerSecondPerInstance: number;
  readonly eventsPerMessage: number;
  readonly minInstances: number;
  readonly maxInstances: number;
  /** Of the instances, those that are billed as always ready. */
  readonly alwaysReady: number;
  /** Messages. */
  readonly maxEventBatchSize: number;
  /** Messages per instance that scaling aims at. */
  readonly targetUnprocessedEventThreshold: number;
  /** From the vote to the first batch, partitions taken over included. */
  readonly coldStartMs: number;
  /** From an event's arrival to its checkpoint when nothing waits. */
  readonly batchDurationMs: number;
  readonly pace: ScalingPace;
}

/** One number for each second, the profile's and those it took to catch up after it. */
export interface SimulationSeries {
  readonly arrived: Float64Array;
  readonly processed: Float64Array;
  readonly backlog: Float64Array;
  readonly oldestSeconds: Float64Array;
  readonly allocated: Float64Array;
  readonly batches: Float64Array;
  readonly busyAlwaysReady: Float64Array;
  readonly busyOnDemand: Float64Array;
}

export interface Simulation {
  readonly seconds: number;
  readonly profileSeconds: number;
  readonly series: SimulationSeries;
  readonly waits: { readonly p50: number; readonly p95: number; readonly max: number };
  readonly largestWeight: number;
}

/** After the profile's end the backlog has this long to go away. */
const catchUpSecondsMax = 86_400;

/** Replays a load against partitions, instances and target-based scaling, second by second. */
export function simulate(options: SimulationOptions): Simulation {
  const { batchDurationMs, eventsPerMessage, maxInstances, minInstances, pace } = options;
  const secondsMax = options.eventsPerSecond.length + catchUpSecondsMax;
  const waits = new Waits(secondsMax);
  const partitions = new Partitions({ ...options, waits, secondsMax });
  const instances = new Instances({ ...options, running: minInstances });
  const voteSeconds = Math.max(1, Math.round(pace.voteIntervalMs / 1_000));
  const profileSeconds = options.eventsPerSecond.length;
  const recorder = new Recorder(secondsMax);
  let memory = noMemory;
  let second = 0;
  let backlog = 0;
  let lastArrivals = 0;
  for (; second < secondsMax; second += 1) {
    if (second >= profileSeconds && backlog === 0) break;
    if (second > 0 && second % voteSeconds === 0) {
      // What is in a batch has no checkpoint yet: the scaler sees it as unprocessed.
      const inBatches = (lastArrivals * batchDurationMs) / 1_000;
      const vote = voteOfTrigger({
        unprocessed: Math.ceil((backlog + inBatches) / eventsPerMessage),
        threshold: options.targetUnprocessedEventThreshold,
        partitions: options.partitions,
        memory,
        atMs: second * 1_000,
        pace,
      });
      memory = vote.memory;
      const next = nextInstanceCount({
        current: instances.allocated,
        target: vote.target,
        min: minInstances,
        max: maxInstances,
        pace,
      });
      instances.resize(next, second);
    }
    lastArrivals = options.eventsPerSecond[second] ?? 0;
    const outcome = partitions.step(lastArrivals, instances.running(second));
    backlog = outcome.backlog;
    recorder.record(second, { ...outcome, arrived: lastArrivals, allocated: instances.allocated });
  }
  return {
    seconds: second,
    profileSeconds,
    series: recorder.series(second),
    waits: { p50: waits.percentile(0.5), p95: waits.percentile(0.95), max: waits.max },
    largestWeight: partitions.largestWeight,
  };
}

type Recorded = {
  readonly [Name in Exclude<keyof SimulationSeries, 'oldestSeconds'> | 'oldest']: number;
};

class Recorder {
  readonly #series: SimulationSeries;

  constructor(seconds: number) {
    const empty = (): Float64Array => new Float64Array(seconds);
    this.#series = {
      arrived: empty(),
      processed: empty(),
      backlog: empty(),
      oldestSeconds: empty(),
      allocated: empty(),
      batches: empty(),
      busyAlwaysReady: empty(),
      busyOnDemand: empty(),
    };
  }

  record(second: number, values: Recorded): void {
    this.#series.arrived[second] = values.arrived;
    this.#series.processed[second] = values.processed;
    this.#series.backlog[second] = values.backlog;
    this.#series.oldestSeconds[second] = values.oldest;
    this.#series.allocated[second] = values.allocated;
    this.#series.batches[second] = values.batches;
    this.#series.busyAlwaysReady[second] = values.busyAlwaysReady;
    this.#series.busyOnDemand[second] = values.busyOnDemand;
  }

  series(seconds: number): SimulationSeries {
    const first = (values: Float64Array): Float64Array => values.subarray(0, seconds);
    return {
      arrived: first(this.#series.arrived),
      processed: first(this.#series.processed),
      backlog: first(this.#series.backlog),
      oldestSeconds: first(this.#series.oldestSeconds),
      allocated: first(this.#series.allocated),
      batches: first(this.#series.batches),
      busyAlwaysReady: first(this.#series.busyAlwaysReady),
      busyOnDemand: first(this.#series.busyOnDemand),
    };
  }
}
