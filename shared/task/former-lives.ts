import type { KnownIncarnation } from '../commit-log/incarnations';
import { listLogs } from '../commit-log/log-reader';
import type { Bequest } from '../commit-log/task-log-options';
import { StreamError } from '../model/errors';
import type { HubDescription } from '../model/ports';
import { letGoAfter } from './held-tasks';
import { findInheritance } from './incarnations';
import { Task } from './task';
import type { TaskOptions } from './task-hold';

/** Ends the newest of the earlier lives and takes its state: nobody appends to it from then on. */
export async function bequeathed(
  options: Omit<TaskOptions, 'inherited'>,
  earlier: readonly KnownIncarnation[],
): Promise<Bequest | null> {
  const { incarnation } = options.address;
  return letGoAfter(await openFormer(options, earlier), (former) => former.bequeath(incarnation));
}

async function openFormer(
  options: Omit<TaskOptions, 'inherited'>,
  earlier: readonly KnownIncarnation[],
): Promise<Task | null> {
  const newest = earlier.at(-1);
  if (newest === undefined) return null;
  const { hasBegun, incarnation } = newest;
  const address = { ...options.address, incarnation };
  const inherited = hasBegun
    ? null
    : await bequeathed({ ...options, address }, earlier.slice(0, -1));
  return Task.open({ ...options, address, inherited });
}

/**
 * A source hub that was created again with fewer partitions leaves logs that nobody takes over:
 * their rows have to get to the lake, and the next stage must not wait for their time.
 */
export async function endFormerPartitions(
  options: Omit<TaskOptions, 'inherited'>,
  hub: HubDescription,
): Promise<void> {
  const { address: own, services, stage } = options;
  if (stage.plan.input.kind !== 'source') return;
  const logs = await listLogs(services.appends, stage.plan.topology);
  const former = logs
    .filter((path) => path.stage === own.stage && path.version === own.version)
    .map(({ partition }) => partition)
    .filter((partition) => !hub.partitionIds.includes(partition));
  for (const partition of new Set(former)) {
    const { address, earlier } = await findInheritance(
      services.appends,
      { ...own, partition },
      hub,
    );
    try {
      const former = await openFormer({ ...options, address }, earlier);
      await letGoAfter(former, (one) => one.end());
    } catch (error) {
      if (!(error instanceof StreamError) || error.disposition !== 'halt') throw error;
      // An operator has to see to that log; the new hub is not to wait for it.
      services.telemetry.emit('error', 'task.former-not-ended', {
        ...address,
        error: error.message,
      });
    }
  }
}
