import type { Waits } from './waits';

/** What one second did. */
export interface SecondOutcome {
  readonly processed: number;
  readonly backlog: number;
  /** Seconds that the oldest waiting event will have waited at least; 0: none waits. */
  readonly oldest: number;
  readonly batches: number;
  /** Instance-seconds with work: of always-ready instances, and of the others. */
  readonly busyAlwaysReady: number;
  readonly busyOnDemand: number;
}

export interface PartitionsOptions {
  readonly partitions: number;
  /** 0: all alike; s: partition k gets a share like 1 / k^s. */
  readonly skew: number;
  readonly eventsPerSecondPerInstance: number;
  readonly eventsPerMessage: number;
  /** Messages. */
  readonly maxEventBatchSize: number;
  readonly batchDurationMs: number;
  readonly alwaysReady: number;
  readonly waits: Waits;
  /** How often `step` is called at most. */
  readonly secondsMax: number;
}

/** Part of an event: what rounding leaves is not a backlog. */
const negligible = 1e-9;

/** Places in the tally of a second. */
const tallied = {
  processed: 0,
  backlog: 1,
  oldest: 2,
  batches: 3,
  busyAlwaysReady: 4,
  busyOnDemand: 5,
} as const;

/**
 * The partitions of a hub and the instances that share them, second by second. Partition p belongs
 * to instance p mod n. An instance gives each of its partitions the same; what one does not need
 * goes to the others. A partition is first in, first out: how far it is, is a point on the sum of
 * all arrivals, the same scale for all, so that nothing drifts and what is caught up costs nothing.
 *
 * Partitions of one instance that are alike and equally far stay so until instances change: each
 * such group is a lane, and one partition, the lane's first, is reckoned for all.
 */
export class Partitions {
  readonly #alwaysReady: number;
  readonly #isUniform: boolean;
  readonly #rate: number;
  readonly #eventsPerMessage: number;
  readonly #eventsPerBatch: number;
  readonly #batchesPerSecondMax: number;
  readonly #waits: Waits;
  readonly #weights: Float64Array;
  /** Sum of arrivals through each second. */
  readonly #arrived: Float64Array;
  readonly #isBehind: Uint8Array;
  /** Of partitions that are behind: the point on the sum, and the second it lies in. */
  readonly #done: Float64Array;
  readonly #head: Int32Array;
  /** What waits in each partition; below 0: it was served this second. */
  readonly #waiting: Float64Array;
  readonly #tally = new Float64Array(Object.keys(tallied).length);
  #second = 0;
  #instances = -1;
  /** Of each instance: its share of all events, its partitions, its lanes, those behind. */
  #shares = new Float64Array(0);
  #counts = new Int32Array(0);
  #lanes: number[][] = [];
  #behind = new Int32Array(0);
  /** Of each partition: the first of its lane; of that one: how many the lane has. */
  readonly #laneOf: Int32Array;
  readonly #laneSize: Int32Array;

  constructor(options: PartitionsOptions) {
    const { partitions, skew } = options;
    this.#alwaysReady = options.alwaysReady;
    this.#isUniform = skew === 0;
    this.#rate = options.eventsPerSecondPerInstance;
    this.#eventsPerMessage = options.eventsPerMessage;
    this.#eventsPerBatch = options.eventsPerMessage * options.maxEventBatchSize;
    this.#batchesPerSecondMax = 1_000 / options.batchDurationMs;
    this.#waits = options.waits;
    const raw = Float64Array.from({ length: partitions }, (_, index) => (index + 1) ** -skew);
    const sum = raw.reduce((total, weight) => total + weight, 0);
    this.#weights = raw.map((weight) => weight / sum);
    this.#arrived = new Float64Array(options.secondsMax);
    this.#isBehind = new Uint8Array(partitions);
    this.#done = new Float64Array(partitions);
    this.#head = new Int32Array(partitions);
    this.#waiting = new Float64Array(partitions);
    this.#laneOf = Int32Array.from({ length: partitions }, (_, partition) => partition);
    this.#laneSize = new Int32Array(partitions).fill(1);
  }

  /** The share of all events that the fullest partition gets. */
  get largestWeight(): number {
    return this.#weights[0] ?? 0;
  }

  /** The next second: so many events come, so many instances work. */
  step(arrivals: number, instances: number): SecondOutcome {
    const second = this.#second;
    this.#second += 1;
    this.#arrived[second] = (this.#arrived[second - 1] ?? 0) + arrivals;
    this.#share(Math.min(instances, this.#weights.length));
    this.#tally.fill(0);
    if (this.#instances === 0) {
      for (let partition = 0; partition < this.#weights.length; partition += 1) {
        this.#wait(partition, second);
        this.#leave(partition, second);
      }
    }
    for (let instance = 0; instance < this.#instances; instance += 1) {
      const coming = arrivals * (this.#shares[instance] ?? 0);
      const isIdle = this.#behind[instance] === 0 && coming <= this.#rate;
      const worked = isIdle ? this.#keepUp(instance, arrivals) : this.#catchUp(instance, second);
      this.#busy(instance, worked);
    }
    return this.#outcome();
  }

  #outcome(): SecondOutcome {
    const of = (name: keyof typeof tallied): number => this.#tally[tallied[name]] ?? 0;
    return {
      processed: of('processed'),
      backlog: of('backlog'),
      oldest: of('oldest'),
      batches: of('batches'),
      busyAlwaysReady: of('busyAlwaysReady'),
      busyOnDemand: of('busyOnDemand'),
    };
  }

  #count(place: number, amount: number): void {
    this.#tally[place] = (this.#tally[place] ?? 0) + amount;
  }

  #share(instances: number): void {
    if (instances === this.#instances) return;
    this.#partLanes();
    this.#instances = instances;
    this.#shares = new Float64Array(instances);
    this.#counts = new Int32Array(instances);
    this.#behind = new Int32Array(instances);
    this.#lanes = Array.from({ length: instances }, () => []);
    for (let partition = 0; partition < this.#weights.length && instances > 0; partition += 1) {
      const instance = partition % instances;
      this.#shares[instance] = (this.#shares[instance] ?? 0) + (this.#weights[partition] ?? 0);
      this.#counts[instance] = (this.#counts[instance] ?? 0) + 1;
      this.#behind[instance] = (this.#behind[instance] ?? 0) + (this.#isBehind[partition] ?? 0);
      this.#join(this.#lanes[instance] ?? [], partition);
    }
  }

  #partLanes(): void {
    this.#laneOf.forEach((first, partition) => {
      this.#isBehind[partition] = this.#isBehind[first] ?? 0;
      this.#done[partition] = this.#done[first] ?? 0;
      this.#head[partition] = this.#head[first] ?? 0;
      this.#laneOf[partition] = partition;
      this.#laneSize[partition] = 1;
    });
  }

  #join(lanes: number[], partition: number): void {
    const isAlike = (first: number): boolean =>
      this.#isBehind[first] === this.#isBehind[partition] &&
      (this.#isBehind[partition] === 0 || this.#done[first] === this.#done[partition]);
    const lane = this.#isUniform ? lanes.find(isAlike) : undefined;
    if (lane === undefined) lanes.push(partition);
    else {
      this.#laneOf[partition] = lane;
      this.#laneSize[lane] = (this.#laneSize[lane] ?? 0) + 1;
    }
  }

  /** Nothing waits at this instance, and nothing has to. */
  #keepUp(instance: number, arrivals: number): number {
    const processed = arrivals * (this.#shares[instance] ?? 0);
    if (processed === 0) return 0;
    this.#waits.add(0, processed);
    this.#count(tallied.processed, processed);
    for (const partition of this.#lanes[instance] ?? []) {
      const each = this.#batches(arrivals * (this.#weights[partition] ?? 0), true);
      this.#count(tallied.batches, each * (this.#laneSize[partition] ?? 0));
    }
    return processed;
  }

  /** Divides what an instance can do among its partitions. */
  #catchUp(instance: number, second: number): number {
    const lanes = this.#lanes[instance] ?? [];
    let sum = 0;
    let least = Number.POSITIVE_INFINITY;
    for (const partition of lanes) {
      const waiting = this.#wait(partition, second);
      sum += waiting * (this.#laneSize[partition] ?? 0);
      if (waiting < least) least = waiting;
    }
    let left = this.#counts[instance] ?? 0;
    let remaining = Math.min(this.#rate, sum);
    while (left > 0) {
      const each = sum <= this.#rate ? Number.POSITIVE_INFINITY : remaining / left;
      if (least > each) break;
      least = Number.POSITIVE_INFINITY;
      for (const partition of lanes) {
        const waiting = this.#waiting[partition] ?? 0;
        if (waiting >= 0 && waiting <= each) {
          this.#take(partition, waiting, second);
          remaining -= waiting * (this.#laneSize[partition] ?? 0);
          left -= this.#laneSize[partition] ?? 0;
        } else if (waiting >= 0 && waiting < least) least = waiting;
      }
    }
    const each = left === 0 ? 0 : Math.max(0, remaining) / left;
    let behind = 0;
    for (const partition of lanes) {
      if ((this.#waiting[partition] ?? 0) >= 0) this.#take(partition, each, second);
      behind += this.#isBehind[partition] ?? 0;
      if (this.#isBehind[partition] === 1) this.#leave(partition, second);
    }
    this.#behind[instance] = behind;
    return Math.min(this.#rate, sum);
  }

  /** What waits in a partition, this second's events included. */
  #wait(partition: number, second: number): number {
    if (this.#isBehind[partition] === 0) {
      this.#isBehind[partition] = 1;
      this.#done[partition] = this.#arrived[second - 1] ?? 0;
      this.#head[partition] = second;
    }
    const ahead = (this.#arrived[second] ?? 0) - (this.#done[partition] ?? 0);
    const waiting = ahead * (this.#weights[partition] ?? 0);
    this.#waiting[partition] = waiting;
    return waiting;
  }

  /** Takes the oldest events of a lane's partitions; each waited since the second it came in. */
  #take(partition: number, events: number, second: number): void {
    const weight = this.#weights[partition] ?? 1;
    const size = this.#laneSize[partition] ?? 1;
    const waiting = this.#waiting[partition] ?? 0;
    const arrived = this.#arrived[second] ?? 0;
    let done = this.#done[partition] ?? 0;
    const isEnough = events >= waiting - negligible;
    const next = isEnough ? arrived : Math.min(arrived, done + events / weight);
    const isAll = next === arrived;
    let head = this.#head[partition] ?? 0;
    while (done < next && head <= second) {
      const end = this.#arrived[head] ?? next;
      const upTo = end < next ? end : next;
      if (upTo > done) this.#waits.add(second - head, (upTo - done) * weight * size);
      done = upTo;
      if (end <= next) head += 1;
    }
    this.#done[partition] = next;
    this.#head[partition] = head;
    this.#waiting[partition] = -1;
    this.#isBehind[partition] = isAll ? 0 : 1;
    const processed = isAll ? waiting : events;
    this.#count(tallied.processed, processed * size);
    this.#count(tallied.batches, this.#batches(processed, isAll) * size);
  }

  /** Counts what stays in a lane's partitions. */
  #leave(partition: number, second: number): void {
    const ahead = (this.#arrived[second] ?? 0) - (this.#done[partition] ?? 0);
    if (ahead <= 0) return;
    const size = this.#laneSize[partition] ?? 1;
    this.#count(tallied.backlog, ahead * (this.#weights[partition] ?? 0) * size);
    const oldest = second + 1 - (this.#head[partition] ?? 0);
    if (oldest > (this.#tally[tallied.oldest] ?? 0)) this.#tally[tallied.oldest] = oldest;
  }

  /** A partition that is behind fills its batches; else one begins whenever there is a message. */
  #batches(events: number, isCaughtUp: boolean): number {
    const full = events / this.#eventsPerBatch;
    if (!isCaughtUp) return full;
    return Math.max(full, Math.min(events / this.#eventsPerMessage, this.#batchesPerSecondMax));
  }

  /** An instance is billed for a second at least when something runs on it. */
  #busy(instance: number, events: number): void {
    const seconds = Math.min(1, events / this.#eventsPerMessage);
    const isAlwaysReady = instance < this.#alwaysReady;
    this.#count(isAlwaysReady ? tallied.busyAlwaysReady : tallied.busyOnDemand, seconds);
  }
}
