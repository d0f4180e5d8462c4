import type { AppendStore, Clock, FaultPoint, ObjectStore, Telemetry } from '../model/ports';
import type { LogPath } from './names';

export interface TaskLogLimits {
  /** A generation rolls when one of the first three is reached. */
  readonly blocksMax: number;
  readonly bytesMax: number;
  /** Since the generation's first commit or attempt. */
  readonly ageMaxMs: number;
  /** No record may be longer. */
  readonly blockBytesMax: number;
}

export interface TaskLogOptions {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly path: LogPath;
  /** This process, for seals. */
  readonly writer: string;
  readonly limits: TaskLogLimits;
  readonly faultPoint: FaultPoint;
  readonly telemetry: Telemetry;
  /** State that a log which does not exist yet begins with; null: empty state. */
  readonly initialSnapshot: Uint8Array | null;
  /**
   * Awaited when the first blob of a log is there and still empty: by then others can see it. What
   * it rejects with keeps the log from beginning.
   */
  readonly beforeBegin?: () => Promise<void>;
}
