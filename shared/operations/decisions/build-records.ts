import { buildFolder } from '../../model/control-names';
import type { ObjectStore } from '../../model/ports';
import type { BuildIdentity } from '../../model/topology-plan';
import type { OwnPlan } from './plan-store';

/** How a build stands with a topology, as it saw it last. */
export type BuildStanding =
  /** It commits. */
  | 'current'
  /** Another build goes on; this one returns its batches. */
  | 'superseded'
  /** Somebody has to decide first; until then its tasks stand still. */
  | 'undecided';

/**
 * What a build says of itself when it starts: `control/<topology>/builds/<id>.json`. For people, and for a
 * rollback, which has to know the builds that there were. No batch reads it.
 */
export interface BuildRecord extends OwnPlan {
  readonly format: 1;
  readonly build: BuildIdentity;
  readonly standing: BuildStanding;
  /** Of the plan that it found. */
  readonly number: number;
  readonly version: string;
  readonly atMs: number;
  readonly writer: string;
  /** Why it does not commit; null: it does. */
  readonly reason: string | null;
}

/** Builds whose records are kept: more of them nobody rolls back to. */
const recordsKept = 50;

/** Written at least once; the oldest of very many go. */
export async function putBuildRecord(objects: ObjectStore, record: BuildRecord): Promise<void> {
  const name = `${buildFolder(record.topology)}${record.build.id}.json`;
  await objects.put(name, Buffer.from(JSON.stringify(record)));
  const records = await readBuildRecords(objects, record.topology);
  for (const { build } of records.slice(recordsKept)) {
    await objects.delete(`${buildFolder(record.topology)}${build.id}.json`);
  }
}

/** Every build that there was, the newest first; a record that cannot be read is left out. */
export async function readBuildRecords(
  objects: Pick<ObjectStore, 'list' | 'get'>,
  topology: string,
): Promise<readonly BuildRecord[]> {
  const records: BuildRecord[] = [];
  for (const { name } of await objects.list(buildFolder(topology))) {
    const bytes = await objects.get(name);
    const record = bytes === undefined ? null : parsed(bytes);
    if (record?.format === 1) records.push(record as BuildRecord);
  }
  return records.sort((left, right) => right.build.builtAtMs - left.build.builtAtMs);
}

function parsed(bytes: Uint8Array): Partial<BuildRecord> | null {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<BuildRecord> | null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
