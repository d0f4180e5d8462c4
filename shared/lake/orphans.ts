import type { ObjectStore, Telemetry } from '../model/ports';
import type { AddAction } from './actions';
import type { LogLocation } from './log-reader';
import { readVersion } from './log-reader';
import { decodePath } from './names';

/**
 * Deletes files that were written for a commit that another process forestalled. The
 * task must have got past their first commit: then they can never be referred to any more, since
 * whoever tried would first read that. But the other
 * process may have written the very same files, so the versions since are looked through. Nobody
 * reads orphans through the log: where one cannot be deleted it costs space only.
 */
export async function deleteOrphans(options: {
  readonly objects: ObjectStore;
  readonly telemetry: Telemetry;
  readonly folder: string;
  readonly location: LogLocation;
  readonly adds: readonly AddAction[];
  /** The other process's commit is after this version and not after that. */
  readonly afterVersion: number;
  readonly lastVersion: number;
}): Promise<void> {
  const { objects, telemetry, folder, location, adds, afterVersion, lastVersion } = options;
  try {
    const referenced = new Set<string>();
    for (let version = afterVersion + 1; version <= lastVersion; version += 1) {
      const actions = await readVersion(location, version);
      // Cleaned away by another tool meanwhile: what it referred to is not known, so all is kept.
      if (actions === undefined) return;
      for (const { add } of actions) if (add) referenced.add(add.path);
    }
    for (const { path } of adds) {
      if (!referenced.has(path)) await objects.delete(`${folder}/${decodePath(path)}`);
    }
  } catch (error) {
    telemetry.emit('warn', 'table.orphans-kept', { folder, error: String(error) });
  }
}
