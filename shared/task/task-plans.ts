import type { Bequest } from '../commit-log/task-log-options';
import type { StagePlan } from '../model/program';
import type { TaskAddress } from '../model/task-address';
import { unbuilt, type TopologyPlans } from '../model/topology-plan';
import { firstVersion } from '../model/version-name';

/** Plans, and what versions begin with: what whoever opens tasks has to be told. */
export interface TaskPlans extends TopologyPlans {
  /** What a task begins with whose log has not begun: where the version before stopped. Null: with nothing. */
  bequest(task: TaskAddress, plan: StagePlan): Promise<Bequest | null>;
  /**
   * Asked when a log's blob is there and its header is not: whoever ends a version lists its logs after it has said
   * so. So it meets that blob, or the log never begins.
   * @throws StreamError STREAM_BUILD_SUPERSEDED, as a fence, where the version has ended
   */
  assertMayBegin(task: TaskAddress): Promise<void>;
}

/** Where one build works alone and nobody keeps plans: scratch stores of a backfill, tests of one stage. */
export const withoutPlans: TaskPlans = {
  adopted: async () => ({ version: firstVersion, number: 0, hash: '', buildId: unbuilt.id }),
  versionOf: async () => firstVersion,
  bequest: async () => null,
  assertMayBegin: async () => undefined,
  fenced: () => undefined,
};
