import type { ObjectStore } from '../../../shared/model/ports';
import type { Plan } from '../../../shared/planner';
import type { LedgerCounts } from '../../../shared/model/commit';
import type { TableComparison } from '../../../cli/oracle/flights-oracle';
import type { ChunkSource, HubLoad } from './hub-load';

/** What must have become of the events of a topology's source, by count. */
export type ExpectedEnds = Pick<LedgerCounts, 'read' | 'emitted' | 'filtered' | 'deadLettered'> & {
  /** Over all stages. */
  readonly late: number;
};

interface Finished {
  /** Of the storage account. */
  readonly connectionString: string;
  readonly lake: ObjectStore;
  readonly plan: Plan;
  readonly load: HubLoad;
  /** Copies of tables' files may be put here. */
  readonly workDirectory: string;
}

/** The events of a topology, and what its tables must hold after them. */
export interface Workload {
  readonly topology: string;
  readonly hub: string;
  readonly source: ChunkSource;
  /** By a computation that shares no code with the engine. */
  compare(finished: Finished): Promise<readonly TableComparison[]>;
  ends(finished: Finished): Promise<ExpectedEnds>;
}
