import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { HubFacts } from './hub';
import { writeAll } from './log/segment';

/** What hubs.json holds; the version before it was a bare array over single-file logs. */
const formatVersion = 2;

/** The facts of the hubs in a data folder; none when the folder is new. */
export function readHubsFile(directory: string): readonly HubFacts[] {
  const file = join(directory, 'hubs.json');
  if (!existsSync(file)) return [];
  const stored = parse(file);
  if (stored.format === formatVersion && Array.isArray(stored.hubs)) return stored.hubs;
  throw new Error(
    `${file} is of format ${String(stored.format ?? 1)}, this emulator reads ${formatVersion}: use the version that wrote it, or delete ${directory} to begin anew`,
  );
}

function parse(file: string): { readonly format?: unknown; readonly hubs?: HubFacts[] } {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { format?: unknown; hubs?: HubFacts[] };
  } catch (error) {
    throw new Error(
      `${file} cannot be read (${(error as Error).message}): restore it, or delete the data folder to begin anew`,
    );
  }
}

/** Replaces the file in one step, on the disk before it counts. */
export function writeHubsFile(directory: string, hubs: readonly HubFacts[]): void {
  const file = join(directory, 'hubs.json');
  const draft = openSync(`${file}.new`, 'w');
  try {
    // A disk that is nearly full takes a part, and refuses only what comes after.
    writeAll(draft, Buffer.from(JSON.stringify({ format: formatVersion, hubs }, null, 2)), 0);
    fsyncSync(draft);
  } finally {
    closeSync(draft);
  }
  renameSync(`${file}.new`, file);
}
