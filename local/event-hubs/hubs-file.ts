import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { readHub } from './config';
import { DamagedData } from './errors';
import type { HubFacts } from './hub';
import { writeAll } from './log/segment';

/** What hubs.json holds; the version before it was a bare array over single-file logs. */
const formatVersion = 2;

/** The facts of the hubs in a data folder; none when the folder is new. */
export function readHubsFile(directory: string): readonly HubFacts[] {
  const file = join(directory, 'hubs.json');
  if (!existsSync(file)) return [];
  const stored = parse(file);
  if (stored.format === formatVersion && Array.isArray(stored.hubs)) {
    return readHubs(file, stored.hubs);
  }
  throw new DamagedData(
    `${file} is of format ${JSON.stringify(stored.format ?? 1)}, this emulator reads ${formatVersion}: use the version that wrote it, or delete ${directory} to begin anew`,
  );
}

/** The largest time that a date can have. */
const timeMsMax = 8_640_000_000_000_000;

/** Nothing is created for a hub whose facts this emulator cannot have written. */
function readHubs(file: string, stored: readonly unknown[]): HubFacts[] {
  const faults: string[] = [];
  const names = new Set<string>();
  const hubs = stored.map((entry, index) => {
    const facts = (entry ?? {}) as Partial<Record<keyof HubFacts, unknown>>;
    const groups = facts.consumerGroups;
    const { name, ...rest } = readHub(
      {
        Name: facts.name,
        PartitionCount: typeof facts.partitionCount === 'number' ? facts.partitionCount : null,
        ConsumerGroups: Array.isArray(groups) ? groups.map((Name: unknown) => ({ Name })) : false,
      },
      `hubs[${index}]`,
      faults,
    );
    const createdAtMs = Number(facts.createdAtMs);
    if (typeof facts.createdAtMs !== 'number' || !isTime(createdAtMs)) {
      faults.push(`hubs[${index}].createdAtMs: must be a time in milliseconds`);
    }
    if (names.has(name.toLowerCase())) faults.push(`hubs[${index}].Name: two hubs have it`);
    names.add(name.toLowerCase());
    return { name, ...rest, createdAtMs };
  });
  if (faults.length === 0) return hubs;
  throw new DamagedData(
    `${file} is damaged (${faults.slice(0, 5).join('; ')}): restore it, or delete the data folder to begin anew`,
  );
}

const isTime = (timeMs: number): boolean =>
  Number.isSafeInteger(timeMs) && timeMs >= 0 && timeMs <= timeMsMax;

function parse(file: string): { readonly format?: unknown; readonly hubs?: unknown } {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) ?? {}) as { format?: unknown; hubs?: unknown };
  } catch (error) {
    throw new DamagedData(
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
