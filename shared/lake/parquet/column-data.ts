import type { ColumnType } from '../../model/table';

/** Values of one column of a file, laid out as Parquet stores them. */
export interface ColumnData {
  /** A byte per row: 1 where there is a value. Undefined: every row has one. */
  readonly present: Uint8Array | undefined;
  readonly nullCount: number;
  /** PLAIN-encoded bytes of the values from one (of those present) to another. */
  readonly plain: (fromValue: number, toValue: number) => Uint8Array;
  /** Set where few distinct values repeat: `plain` then gives the dictionary. */
  readonly dictionary:
    { readonly count: number; readonly indexes: Uint32Array<ArrayBuffer> } | undefined;
  /** Least and greatest value; undefined where there is none or where they would mislead. */
  readonly bounds: Bounds | undefined;
}

export interface Bounds {
  readonly min: Bound;
  readonly max: Bound;
}

export type Bound = string | number | bigint | boolean;

/** Parquet's physical types of ours. */
export const physicalTypes = {
  string: 'BYTE_ARRAY',
  integer: 'INT64',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  timestamp: 'INT64',
  date: 'INT32',
} as const satisfies Record<ColumnType, string>;

/** Counts of distinct values above which a dictionary no longer pays. */
export const dictionaryEntriesMax = 32_768;
/** Values looked at before a dictionary can be given up. */
export const dictionaryTrialValues = 1_024;
