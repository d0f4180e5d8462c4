import type { ObjectStore } from '../../model/ports';
import { isNewer } from '../../model/topology-plan';
import { readBuildRecords, type BuildStanding } from './build-records';
import { PlanStore, type PlanChange } from './plan-store';

/** Which plan of a topology counts, and how the builds stand with it. */
export interface TopologyStanding {
  readonly topology: string;
  readonly version: string;
  readonly number: number;
  /** Id of the build that brought it, why, and when. */
  readonly build: string;
  readonly change: PlanChange;
  readonly atMs: number;
  readonly isRemoved: boolean;
  /** The newest first, with what each said when it looked last; `reason`: why it does not commit. */
  readonly builds: readonly {
    readonly id: string;
    readonly standing: BuildStanding;
    readonly reason: string | null;
    readonly atMs: number;
  }[];
  /** What a newer build waits to have decided; null: nobody has to decide. */
  readonly waitsFor: string | null;
}

/** Of those topologies that somebody has run. Read from the store alone: it works while no worker runs. */
export async function readStandings(
  objects: ObjectStore,
  topologies: readonly string[],
): Promise<readonly TopologyStanding[]> {
  const standings: TopologyStanding[] = [];
  for (const topology of topologies) {
    const newest = await new PlanStore(objects).newest(topology);
    if (newest === null) continue;
    const records = await readBuildRecords(objects, topology);
    const { atMs, build, change, isRemoved, number, refusedBuilds, version } = newest;
    // What it said of a plan before this one may have been decided since.
    const waiting = records.find(
      (record) =>
        record.standing === 'undecided' &&
        record.number === number &&
        !refusedBuilds.includes(record.build.id) &&
        (isRemoved || isNewer(record.build, build)),
    );
    standings.push({
      ...{ topology, version, number, build: build.id, change, atMs, isRemoved },
      builds: records.map((record) => ({
        ...{ id: record.build.id, standing: record.standing },
        ...{ reason: record.reason, atMs: record.atMs },
      })),
      waitsFor: waiting?.reason ?? null,
    });
  }
  return standings;
}
