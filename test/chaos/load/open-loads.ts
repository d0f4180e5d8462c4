import type { Cluster } from '../../support/cluster';
import { topologies } from '../all-topologies';
import type { CommitWatch } from '../measure/commit-watch';
import type { ChaosOptions } from '../options';
import { flightsWorkload } from './flights-workload';
import { HubLoad } from './hub-load';
import { OrdersWorkload } from './orders-workload';
import type { Workload } from './workload';

export interface LoadedTopology {
  readonly workload: Workload;
  /** The stage that reads the hub which is loaded. */
  readonly sourceStage: string;
  readonly load: HubLoad;
}

export interface Loads {
  readonly all: readonly LoadedTopology[];
  readonly orders: LoadedTopology & { readonly workload: OrdersWorkload };
}

/** A load for every topology; a topology without one is an error. */
export function openLoads(cluster: Cluster, watch: CommitWatch, options: ChaosOptions): Loads {
  const { backlogMax, partitionCount, seed, untrueOraclesOf } = options;
  const withLoad = <Kind extends Workload>(workload: Kind) => {
    const { hub, source, topology } = workload;
    const stage = cluster.plan.stages.find(
      (one) => one.topology === topology && one.input.hub === hub,
    );
    if (stage === undefined) throw new Error(`no stage of ${topology} reads ${hub}`);
    const load = new HubLoad({
      ...{ partitionCount, backlogMax, hub, source },
      connectionString: cluster.emulator.connectionString,
      read: (partition) => watch.ledgerOf(topology, stage.name, partition).read,
    });
    return { workload, load, sourceStage: stage.name };
  };
  const orders = withLoad(
    new OrdersWorkload({ seed, partitionCount, isUntrue: untrueOraclesOf.includes('orders') }),
  );
  const flights = withLoad(
    flightsWorkload(partitionCount, untrueOraclesOf.includes('flights') ? 1 : 0),
  );
  const all = [flights, orders];
  for (const { name } of topologies) {
    if (all.some(({ workload }) => workload.topology === name)) continue;
    throw new Error(`topology ${name} has no workload: write one in test/chaos/load`);
  }
  return { all, orders };
}
