import { StreamError } from '../model/errors';
import type { StagePlan } from '../model/program';
import type { TaskStores } from '../state/task-stores';

const storeName = '$hub-partitions';

interface Counted {
  readonly plan: StagePlan;
  readonly keyed: TaskStores;
}

/** Partitions that the input hub had when the task's state was made; undefined: nobody has noted it. */
export function countKnown({ keyed, plan }: Counted): number | undefined {
  return keyed.store<number>(storeName).get(plan.input.hub);
}

/** Notes the count with the next commit of a stage whose keys lie where the source's partitions put them. */
export function noteCount(counted: Counted, partitionCount: number): void {
  if (counted.plan.isKeyedBySource !== true || countKnown(counted) !== undefined) return;
  counted.keyed.store<number>(storeName).put(counted.plan.input.hub, partitionCount);
}

/**
 * With another count the senders' keys go to other partitions than those whose tasks hold their state: one
 * key's state would be split in two, and nobody would see it.
 *
 * @param known the count that a log of the stage holds
 * @throws StreamError STREAM_STATE_MISMATCH
 */
export function assertSameCount(
  plan: StagePlan,
  { found, known }: { readonly found: number; readonly known: number | undefined },
): void {
  if (plan.isKeyedBySource !== true || known === undefined || known === found) return;
  const { hub } = plan.input;
  throw new StreamError(
    'STREAM_STATE_MISMATCH',
    `the hub ${hub} had ${known} partitions and now has ${found}: stage ${plan.topology}/${plan.name} keeps the ` +
      'state of a key in the partition that its sender chose, and senders choose another one now. Nothing was ' +
      `read since. Create the hub again with ${known} partitions, or take isPartitionedBySource out of the keyBy ` +
      `and begin a new version of ${plan.topology} (millrace plan shows the commands)`,
    { details: { topology: plan.topology, stage: plan.name, hub, known, found } },
  );
}
