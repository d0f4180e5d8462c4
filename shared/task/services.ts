import type {
  AppendStore,
  Clock,
  FaultPoint,
  HostCheckpoints,
  HubReader,
  HubSender,
  ObjectStore,
  Randomness,
  Telemetry,
} from '../model/ports';
import type { Program, ProgramOutputs, StagePlan } from '../model/program';
import type { TablePlan } from '../model/table';
import type { TaskAddress } from '../model/task-address';
import type { LakeTable } from '../lake/lake-table';
import type { StateBudget } from '../state/state-budget';
import type { TaskStores } from '../state/task-stores';

/** Names of the points of the commit order where tests kill the process; commit-loop.ts, task-hold.ts and delivery.ts come by them. */
export const stageFaultPoints = [
  'stage.before-plan',
  'stage.after-plan',
  'stage.before-attempt',
  'stage.after-attempt',
  'stage.before-process',
  'stage.after-process',
  'stage.after-commit',
  'stage.before-send',
  'stage.mid-send',
  'stage.after-send',
  'stage.before-flush',
  'stage.after-flush',
] as const;

export interface StageLimits {
  /** Messages of one read that fills a gap, and of one commit. */
  readonly gapReadMessagesMax: number;
  /** Pauses between tries at a store or hub that is not to be had: doubled from first to last. */
  readonly retryFirstDelayMs: number;
  readonly retryLastDelayMs: number;
  /** Losing the race for the log's tail this often in one batch gives up until the next. */
  readonly commitConflictsMax: number;
  /** An event is taken for a killing one when its last attempt has shown no life for so long. */
  readonly quarantineAfterMs: number;
  /** Results (closed windows) of one commit: the rest fires in the next ones. */
  readonly firedResultsMax: number;
  /** A generation of a log is deleted when it is this old and nothing in it is owed any more. */
  readonly logRetentionMs: number;
  /** Input waits this long without a commit before `tend` reads it from the hub itself. */
  readonly stallAfterMs: number;
  /** How often idle partitions are claimed: what an idle partition adds to the delay of results, at most. */
  readonly claimEveryMs: number;
  /**
   * A source partition that is further ahead of the slowest one, in event time, leaves its input unread until a
   * survey has seen it nearer.
   */
  readonly maxDriftMs: number;
  readonly log: {
    readonly blocksMax: number;
    readonly bytesMax: number;
    readonly ageMaxMs: number;
    readonly blockBytesMax: number;
  };
}

export const defaultStageLimits: StageLimits = {
  gapReadMessagesMax: 1000,
  retryFirstDelayMs: 100,
  retryLastDelayMs: 5_000,
  commitConflictsMax: 64,
  quarantineAfterMs: 3_000,
  firedResultsMax: 5_000,
  logRetentionMs: 7 * 24 * 60 * 60 * 1000,
  stallAfterMs: 15_000,
  claimEveryMs: 5_000,
  maxDriftMs: 60 * 60 * 1000,
  log: {
    // 50,000 is the service's limit for an append blob; the rest is room to roll in.
    blocksMax: 40_000,
    // What a cold start reads, at most.
    bytesMax: 64 * 1024 * 1024,
    ageMaxMs: 24 * 60 * 60 * 1000,
    blockBytesMax: 4 * 1024 * 1024,
  },
};

/** The world as one stage sees it. */
export interface StageServices {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly hub: HubReader;
  /** Null where the host's storage is not known: in the command and in jobs. */
  readonly checkpoints: HostCheckpoints | null;
  readonly sender: HubSender;
  readonly lakeTable: (plan: TablePlan) => LakeTable;
  readonly clock: Clock;
  readonly sleep: (milliseconds: number) => Promise<void>;
  readonly randomness: Randomness;
  readonly telemetry: Telemetry;
  readonly faultPoint: FaultPoint;
  /** This process, for the log's records. */
  readonly writer: string;
  readonly limits: StageLimits;
  /** The memory that this process's tasks share. */
  readonly stateBudget: StateBudget;
}

export interface CompiledStage {
  readonly plan: StagePlan;
  readonly bind: (state: TaskStores, outputs: ProgramOutputs, task: TaskAddress) => Program;
}
