/**
 * Which build may commit to a topology. During a rolling deploy two builds run at once: the plan's number says
 * whose turn it is, and every log knows it (`plan` records). See docs/adr on versions and plans.
 */
import type { PlanNode } from './plan-document';

/** A build of the app. Two of one id are the same code. */
export interface BuildIdentity {
  /** Made of the content of all sources. */
  readonly id: string;
  /** Tells newer from older. */
  readonly builtAtMs: number;
}

/** Code that no build made, as in tests: it is older than every build. */
export const unbuilt: BuildIdentity = { id: 'unbuilt', builtAtMs: 0 };

/** Of two builds made in one millisecond the id decides, so that all judge alike. */
export function isNewer(build: BuildIdentity, than: BuildIdentity): boolean {
  if (build.id === than.id) return false;
  return build.builtAtMs === than.builtAtMs ? build.id > than.id : build.builtAtMs > than.builtAtMs;
}

/** The plan under which a process may commit to a topology. */
export interface AdoptedPlan {
  /** Of the topology: in the paths of its logs. */
  readonly version: string;
  /** 1, 2, 3 …: whoever has a lower one commits no more; 0: nobody keeps plans here. */
  readonly number: number;
  readonly hash: string;
  readonly buildId: string;
  /** What this build keeps, reads and writes. Absent: nobody keeps plans here. */
  readonly nodes?: readonly PlanNode[];
  /** Names of nodes whose open state somebody has decided to give up. */
  readonly givenUp?: readonly string[];
}

/** Asked for what this process may do; see shared/operations/decisions/plan-adoption.ts. */
export interface TopologyPlans {
  /**
   * Remembered: the store is asked at start and after `fenced`, never per batch.
   * @throws StreamError STREAM_DECISION_NEEDED, STREAM_BUILD_SUPERSEDED; STREAM_STORE_UNAVAILABLE
   */
  adopted(topology: string): Promise<AdoptedPlan>;
  /** The version that counts, whoever may commit to it. Remembered like `adopted`. */
  versionOf(topology: string): Promise<string>;
  /** A log knows another plan, or its version has ended: the store has to be asked again. */
  fenced(topology: string, found: FoundPlan): void;
}

/** What a log says of the plan under which it is written; null: its version has ended. */
export type FoundPlan = { readonly number: number; readonly hash: string } | null;
