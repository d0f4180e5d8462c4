/** A lake table's columns. `integer` is 64-bit, `timestamp` epoch milliseconds, `date` 'YYYY-MM-DD'. */
export type ColumnType = 'string' | 'integer' | 'double' | 'boolean' | 'timestamp' | 'date';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
}

/**
 * A row in column order; null only where the column is nullable. An integer beyond ±(2^53 - 1) is a
 * bigint, or its decimal text, which is what a row in the log has: JSON keeps that whole.
 */
export type Cell = string | number | bigint | boolean | null;
export type Row = readonly Cell[];

/** When rows gathered in the log are written to the lake: at whichever limit comes first. */
export interface FlushLimits {
  readonly rowsMax: number;
  readonly bytesMax: number;
  readonly ageMaxMs: number;
}

export interface TablePlan {
  readonly name: string;
  readonly columns: readonly Column[];
  /** Columns that become Hive-style folders, in order. */
  readonly partitionBy: readonly string[];
  readonly format: 'delta' | 'ndjson' | 'ndjson-gzip';
  readonly flush: FlushLimits;
}
