/**
 * How many instances the platform's target-based scaling wants for Event Hubs triggers: arithmetic
 * alone. The scaler of the local stack and the simulator use the same.
 */

/** Ends and checkpoint of one partition, for one consumer group. */
export interface PartitionPosition {
  readonly isEmpty: boolean;
  readonly beginningSequenceNumber: number;
  readonly lastSequenceNumber: number;
  /** null: nothing has been checkpointed yet. */
  readonly checkpointSequenceNumber: number | null;
}

/** How often the platform votes, how far one vote goes, and how long scale-in waits. */
export interface ScalingPace {
  readonly voteIntervalMs: number;
  readonly stepMax: number;
  readonly scaleInHoldMs: number;
}

export const platformPace: ScalingPace = {
  voteIntervalMs: 10_000,
  stepMax: 4,
  scaleInHoldMs: 180_000,
};

/** What is remembered of a trigger from one vote to the next. */
export interface TriggerMemory {
  readonly target: number;
  /** null: it has not scaled out yet. */
  readonly scaledOutAtMs: number | null;
}

export interface TriggerVote {
  readonly unprocessed: number;
  readonly desired: number;
  readonly target: number;
  /** The target is below, but scale-in is held back. */
  readonly isHeld: boolean;
  readonly memory: TriggerMemory;
}

export const noMemory: TriggerMemory = { target: 0, scaledOutAtMs: null };

/** Events of a partition after its checkpoint; all of them when there is none. Never negative. */
export function unprocessedEvents(partition: PartitionPosition): number {
  if (partition.isEmpty) return 0;
  const processedThrough =
    partition.checkpointSequenceNumber ?? partition.beginningSequenceNumber - 1;
  return Math.max(0, partition.lastSequenceNumber - processedThrough);
}

/** Instances for a backlog, before it is rounded to a count that shares the partitions evenly. */
export function desiredInstances(unprocessed: number, threshold: number): number {
  requireWhole('the threshold', threshold, 1);
  return Math.ceil(unprocessed / threshold);
}

/** 0, and every count at which no instance could be left out without another taking more partitions. */
export function validInstanceCounts(partitions: number): readonly number[] {
  requireWhole('the number of partitions', partitions, 1);
  const counts = new Set<number>([0]);
  for (let perInstance = partitions; perInstance >= 1; perInstance -= 1) {
    counts.add(Math.ceil(partitions / perInstance));
  }
  return Array.from(counts).sort((left, right) => left - right);
}

/** The smallest valid count that is not below what is desired; at most one instance per partition. */
export function targetInstances(desired: number, partitions: number): number {
  const counts = validInstanceCounts(partitions);
  return counts.find((count) => count >= desired) ?? partitions;
}

/** One vote of one trigger. Within the hold after its last scale-out the former target stays. */
export function voteOfTrigger(options: {
  readonly unprocessed: number;
  readonly threshold: number;
  readonly partitions: number;
  readonly memory: TriggerMemory;
  readonly atMs: number;
  readonly pace: ScalingPace;
}): TriggerVote {
  const { atMs, memory, pace, partitions, threshold, unprocessed } = options;
  const desired = desiredInstances(unprocessed, threshold);
  const wanted = targetInstances(desired, partitions);
  const isHeld =
    wanted < memory.target &&
    memory.scaledOutAtMs !== null &&
    atMs - memory.scaledOutAtMs < pace.scaleInHoldMs;
  const target = isHeld ? memory.target : wanted;
  const scaledOutAtMs = target > memory.target ? atMs : memory.scaledOutAtMs;
  return { unprocessed, desired, target, isHeld, memory: { target, scaledOutAtMs } };
}

/** Functions that share instances get what the neediest of them wants. */
export function combineTargets(targets: readonly number[]): number {
  return Math.max(0, ...targets);
}

/** The next number of instances on the way to a target: within its limits, one step at a time. */
export function nextInstanceCount(options: {
  readonly current: number;
  readonly target: number;
  readonly min: number;
  readonly max: number;
  readonly pace: ScalingPace;
}): number {
  const { current, max, min, pace, target } = options;
  const within = Math.min(max, Math.max(min, target));
  const step = Math.max(-pace.stepMax, Math.min(pace.stepMax, within - current));
  return current + step;
}

function requireWhole(what: string, value: number, minimum: number): void {
  if (Number.isSafeInteger(value) && value >= minimum) return;
  throw new RangeError(`${what} must be a whole number of at least ${minimum}, not ${value}`);
}
