import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Folders that this process holds. */
const held = new Set<string>();

/** Another emulator is at work in the folder. */
export class FolderInUse extends Error {}

/**
 * Keeps a second emulator out of a data folder. The lock names the process that holds it, by id and
 * start time: one that was killed holds nothing, even when its id is given out again.
 * @returns what gives the folder free.
 */
export function lockFolder(directory: string): () => void {
  const file = join(directory, 'emulator.lock');
  if (held.has(file)) throw new FolderInUse(inUse(directory, process.pid));
  while (!tryCreate(file)) {
    const text = readText(file);
    const owner = text === null ? null : ownerIn(text);
    if (owner !== null && owner.pid !== process.pid && isRunning(owner)) {
      throw new FolderInUse(inUse(directory, owner.pid));
    }
    if (text !== null) removeStale(file, text);
  }
  held.add(file);
  return () => {
    if (held.delete(file)) rmSync(file, { force: true });
  };
}

const inUse = (directory: string, pid: number): string =>
  `${directory} is in use by another emulator (process ${pid}): end that one, or choose another folder with --data`;

interface Owner {
  readonly pid: number;
  /** As the system counts it; null where it does not tell. */
  readonly startedAt: string | null;
}

/** Null when the text names nobody: a lock is made whole, so that only a power cut leaves it so. */
function ownerIn(text: string): Owner | null {
  try {
    return JSON.parse(text) as Owner | null;
  } catch {
    return null;
  }
}

/** Creates the lock whole, or not at all when there is one. */
function tryCreate(file: string): boolean {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify({ pid: process.pid, startedAt: startOf(process.pid) }));
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Takes away a lock that nobody holds, unless somebody took it away and locked in the meantime. */
function removeStale(file: string, text: string): void {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readText(aside) !== text) linkSync(aside, file);
  rmSync(aside);
}

/** Null when there is no such file. */
function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function isRunning({ pid, startedAt }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const found = startOf(pid);
  return found === null || startedAt === null || found === startedAt;
}

/** When a process started, from Linux's /proc/<pid>/stat; null elsewhere. */
function startOf(pid: number): string | null {
  const stat = readText(`/proc/${pid}/stat`);
  // The name in parentheses may hold spaces; the start time is the 20th field behind it.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}
