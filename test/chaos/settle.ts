import { openStore } from '../../cli/store';
import { tableFolder } from '../../shared/lake/names';
import { readTable } from '../../shared/lake/table-reader';
import { isFlushed } from '../../shared/ledger/ledger-reader';
import type { Cluster } from '../support/cluster';
import { Outcome } from '../support/outcome';
import { pause } from './faults/fault';
import type { LoadedTopology } from './load/open-loads';
import type { CommitWatch, WatchedTask } from './measure/commit-watch';

export const drainedWatermarkMs = Number.MAX_SAFE_INTEGER;
const lookIntervalMs = 500;

export interface Settling {
  readonly cluster: Cluster;
  readonly watch: CommitWatch;
  readonly loaded: readonly LoadedTopology[];
  /** The run was stopped: there is nothing to wait for. */
  readonly isOver: () => boolean;
}

/** Resolves when every event has met its end, every window is closed and every row is in its table. */
export async function settle({ cluster, isOver, loaded, watch }: Settling): Promise<void> {
  const until = async (isSo: () => boolean | Promise<boolean>): Promise<void> => {
    while (!isOver() && !(await isSo())) await pause(lookIntervalMs);
  };
  await Promise.all(loaded.map(({ load }) => load.finish()));
  await until(() =>
    loaded.every(({ load, sourceStage, workload: { topology } }) => {
      return watch.ledgerOf(topology, sourceStage).read >= load.sent;
    }),
  );
  const outcome = new Outcome(cluster.storageConnectionString, cluster.plan);
  for (const { workload } of loaded) await outcome.drain(workload.topology);
  await until(() => areDrained(cluster, watch));
  await until(() => areFlushed(cluster, watch));
}

function areDrained({ plan }: Cluster, watch: CommitWatch): boolean {
  return plan.stages.every(({ input, name, topology }) => {
    const newest = newestOf(watch.tasksOf(topology, name));
    return (
      newest.length === watch.hubEnds.partitionsOf(input.hub) &&
      newest.every(({ watermarkMs }) => watermarkMs === drainedWatermarkMs)
    );
  });
}

/** A recreated hub leaves the logs of its former incarnations behind. */
function newestOf(tasks: readonly WatchedTask[]): WatchedTask[] {
  return tasks.filter(
    ({ path: { incarnation, partition } }) =>
      !tasks.some(({ path }) => path.partition === partition && path.incarnation > incarnation),
  );
}

async function areFlushed(
  { plan, storageConnectionString }: Cluster,
  watch: CommitWatch,
): Promise<boolean> {
  const { lake: objects } = openStore(storageConnectionString);
  const tasks = Array.from(watch.tasks.values());
  for (const { format, name } of plan.tables) {
    const { flushedThrough } = await readTable({ objects, folder: tableFolder(name), format });
    if (!isFlushed(tasks, name, flushedThrough)) return false;
  }
  return true;
}
