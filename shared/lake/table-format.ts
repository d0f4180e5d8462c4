import type { TablePlan } from '../model/table';
import type { CheckpointCodec } from './checkpoint-codec';
import { deltaCheckpoint } from './delta-checkpoint';
import { manifestCheckpoint } from './manifest-checkpoint';

export interface TableFormat {
  /** Folder of the transaction log inside the table's. */
  readonly logFolder: string;
  /** `format.provider` of the table's metaData. */
  readonly provider: string;
  readonly checkpoints: CheckpointCodec;
}

/** Delta forbids data files other than Parquet: NDJSON tables have a log of their own kind. */
export const tableFormats: Readonly<Record<TablePlan['format'], TableFormat>> = {
  delta: { logFolder: '_delta_log', provider: 'parquet', checkpoints: deltaCheckpoint },
  ndjson: { logFolder: '_millrace_log', provider: 'ndjson', checkpoints: manifestCheckpoint },
  'ndjson-gzip': {
    logFolder: '_millrace_log',
    provider: 'ndjson-gzip',
    checkpoints: manifestCheckpoint,
  },
};
