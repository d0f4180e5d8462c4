/** How long a worker keeps a partition after it was last heard of. */
export const leaseMs = 5_000;

export interface ChaosOptions {
  readonly forMs: number;
  readonly seed: number;
  readonly workers: number;
  readonly partitionCount: number;
  readonly backlogMax: number;
  /** Without an event that comes further for so long, the run is stuck and wrong. */
  readonly patienceMs: number;
  /** From one fault to the next, on average. */
  readonly gapMs: number;
  readonly kinds: readonly string[] | null;
  /** The oracles of these topologies are told of an event that was never sent: the run must fail. */
  readonly untrueOraclesOf: readonly string[];
}
