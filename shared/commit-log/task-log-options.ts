import type { TaskSummary } from '../model/commit';
import type { AppendStore, Clock, FaultPoint, ObjectStore, Telemetry } from '../model/ports';
import type { TaskAddress } from '../model/task-address';

export interface TaskLogLimits {
  /** A generation rolls when one of the first three is reached. */
  readonly blocksMax: number;
  readonly bytesMax: number;
  /** Since the generation's first commit or attempt. */
  readonly ageMaxMs: number;
  /** No record may be longer. */
  readonly blockBytesMax: number;
}

/** A task's state, handed on to the log that carries on with it. */
export interface Bequest {
  /** As the last commit left it; its cursor is null where the input is another one. */
  readonly summary: TaskSummary;
  readonly parts: readonly Uint8Array[];
}

export interface TaskLogOptions {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly path: TaskAddress;
  /** This process, for seals. */
  readonly writer: string;
  readonly limits: TaskLogLimits;
  readonly faultPoint: FaultPoint;
  readonly telemetry: Telemetry;
  /** What a log that does not exist yet begins with; null: with nothing. */
  readonly inherited: Bequest | null;
  /**
   * Awaited when the first blob of a log is there and still empty: by then others can see it. What
   * it rejects with keeps the log from beginning.
   */
  readonly beforeBegin?: () => Promise<void>;
}
