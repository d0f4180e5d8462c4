import type { Clock, FaultPoint, ObjectStore, Randomness, Telemetry } from '../model/ports';
import type { Row, TablePlan } from '../model/table';
import { FlushingTable } from './flushing-table';

/** The rows of one commit of one task; cells in the order of `plan.columns`. */
export interface LakeBatch {
  readonly commit: number;
  /** The task's watermark in that commit; null: none yet. Absent: these rows are of no stream. */
  readonly watermarkMs?: number | null;
  readonly rows: readonly Row[];
}

export interface FlushRequest {
  /** Names the writer in the table's transaction log; its commit numbers only ever grow. */
  readonly task: string;
  /** Ascending by commit. */
  readonly batches: readonly LakeBatch[];
}

export interface FlushResult {
  /** The lake now holds the task's rows of all commits up to this one. */
  readonly flushedThrough: number;
  /** Rows, data files and their bytes that this call itself made visible. */
  readonly rowsWritten: number;
  readonly files: number;
  readonly bytes: number;
}

export interface LakeTable {
  /**
   * Writes the rows of the commits not yet in the table as files and makes them visible exactly
   * once. May be repeated, and raced by other processes with overlapping ranges of the same task.
   *
   * Rejects with STREAM_STORE_UNAVAILABLE or STREAM_TABLE_CONTENDED (repeat it) and with
   * STREAM_TABLE_INCOMPATIBLE or STREAM_LOG_CORRUPT (an operator is needed).
   */
  flush(request: FlushRequest): Promise<FlushResult>;
  /** Makes an empty table where there is none. Rejects as `flush` does. */
  create(): Promise<void>;
  /**
   * From the table's own transaction log: the last commit of this task whose rows are visible
   * (0: none). Answers from memory once the log was read, unless `refresh` is set.
   */
  flushedThrough(task: string, options?: { readonly refresh?: boolean }): Promise<number>;
  /** The same of every task whose name begins so. */
  flushedByTask(
    prefix: string,
    options?: { readonly refresh?: boolean },
  ): Promise<ReadonlyMap<string, number>>;
}

/**
 * In the place of a commit in a table's log: the task was ended by a reset. Nothing that it ever
 * committed may come into the table again, whoever still holds rows of it in memory.
 */
export const endedTaskVersion = Number.MAX_SAFE_INTEGER;

export interface LakeTableOptions {
  readonly objects: ObjectStore;
  readonly plan: TablePlan;
  /** Where the table lives in the store, without a slash at its end, e.g. `tables/flights_clean`. */
  readonly folder: string;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly telemetry: Telemetry;
  readonly faultPoint: FaultPoint;
  /** Table versions between two checkpoints, 10 to 100. Default 50. */
  readonly checkpointEvery?: number;
  /** NDJSON only: folders of the data files, e.g. `{date}/{time}`. See path-pattern.ts. */
  readonly pathPattern?: string;
}

/** Opens a table of the lake without touching the store; the table is created by its first flush. */
export function openLakeTable(options: LakeTableOptions): LakeTable {
  return new FlushingTable(options);
}
