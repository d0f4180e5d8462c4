import type { ObjectStore } from '../model/ports';
import { paddedVersion } from './names';

/** One checkpoint that is complete by its names: one file, or all parts of one in several. */
export interface CheckpointFiles {
  readonly version: number;
  readonly names: readonly string[];
}

/** What the names in a log's folder say. `_last_checkpoint` is not asked: it may be late or wrong. */
export interface LogListing {
  /** Versions that have a log entry of their own. */
  readonly versions: ReadonlySet<number>;
  /** The newest version that an entry or a checkpoint names; -1: none. */
  readonly newest: number;
  /** Complete ones, the newest first. */
  readonly checkpoints: readonly CheckpointFiles[];
  /** Parts of checkpoints that are not all there. */
  readonly incomplete: readonly string[];
  readonly hasHint: boolean;
}

const entryName = /^(\d{20})\.json$/;
/** One file; of kind V2 (Delta's "V2 Spec") with a unique id in its name. */
const wholeCheckpointName = /^(\d{20})\.checkpoint(?:\.[0-9A-Fa-f-]{36})?\.(?:parquet|json)$/;
const partName = /^(\d{20})\.checkpoint\.(\d{10})\.(\d{10})\.parquet$/;

/** Lists the log's own folder: entries and checkpoints of every kind that Delta names. */
export async function listLog(objects: ObjectStore, logFolder: string): Promise<LogListing> {
  const found = await objects.list(`${logFolder}/`);
  const names = found.map(({ name }) => name.slice(logFolder.length + 1));
  const versions = new Set<number>();
  const checkpoints: CheckpointFiles[] = [];
  const parts = new Map<string, { version: number; count: number; names: string[] }>();
  let newest = -1;
  for (const name of names) {
    const version = Number(/^\d{20}/.exec(name)?.[0] ?? NaN);
    const isEntry = entryName.test(name);
    const part = partName.exec(name);
    if (isEntry) versions.add(version);
    else if (wholeCheckpointName.test(name)) checkpoints.push({ version, names: [name] });
    else if (part) {
      const [, , , count = ''] = part;
      const key = `${version} ${count}`;
      let group = parts.get(key);
      if (group === undefined)
        parts.set(key, (group = { version, count: Number(count), names: [] }));
      group.names.push(name);
    } else continue;
    newest = Math.max(newest, version);
  }
  const incomplete: string[] = [];
  for (const { count, names: partNames, version } of parts.values()) {
    if (partNames.length === count) checkpoints.push({ version, names: partNames });
    else incomplete.push(...partNames);
  }
  return {
    ...{ versions, newest, incomplete },
    checkpoints: checkpoints.sort((left, right) => right.version - left.version),
    hasHint: names.includes('_last_checkpoint'),
  };
}

/** Versions under one prefix of names: listing them is one call, however long the log is. */
const blockDigits = 4;
/** Holes wider than this at the end of a block are not looked for. */
const nearEnd = 100;

/** The newest version that a listing of the names just after a version finds; -1: none. */
export async function newestAfter(
  objects: ObjectStore,
  logFolder: string,
  version: number,
): Promise<number> {
  const next = paddedVersion(version + 1).slice(0, -blockDigits);
  const later = paddedVersion(version + nearEnd).slice(0, -blockDigits);
  let newest = -1;
  for (const block of new Set([next, later])) {
    for (const { name } of await objects.list(`${logFolder}/${block}`)) {
      const digits = entryName.exec(name.slice(logFolder.length + 1))?.[1];
      if (digits !== undefined) newest = Math.max(newest, Number(digits));
    }
  }
  return newest;
}
