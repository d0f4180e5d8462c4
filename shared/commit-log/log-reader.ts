import type { LogRecord } from '../model/commit';
import type { AppendStore } from '../model/ports';
import { corruptLog } from './corruption';
import { Generation } from './generation';
import { listGenerations } from './generation-list';
import { logPrefix, parseGenerationName, topologyPrefix } from './names';
import type { TaskAddress } from '../model/task-address';

/** A place in a log to read on from. Plain data: it may be stored. */
export interface LogPosition {
  readonly generation: number;
  /** Bytes of that generation that were read. */
  readonly position: number;
}

export interface LogStretch {
  readonly records: readonly LogRecord[];
  readonly next: LogPosition;
  /**
   * True when the log no longer holds what follows the position asked for (or, from the beginning,
   * the log's first generation): the first record is a header, and its snapshot stands for the rest.
   */
  readonly isBroken: boolean;
}

/** Every log of a topology: all stages, incarnations and partitions, in the order of their names. */
export async function listLogs(appends: AppendStore, topology: string): Promise<TaskAddress[]> {
  const paths = new Map<string, TaskAddress>();
  for (const name of await appends.list(topologyPrefix(topology))) {
    const path = parseGenerationName(name)?.path;
    if (path !== undefined) paths.set(logPrefix(path), path);
  }
  return Array.from(paths.values());
}

/**
 * Reads a log without taking part in it, from a remembered position (null: from the oldest
 * generation that is kept) to its present end. Others may append, roll and retire meanwhile.
 * @throws StreamError as TaskLog does
 */
export async function readLog(
  appends: AppendStore,
  path: TaskAddress,
  from: LogPosition | null,
  /** The log's generations, oldest first, where the caller has just listed them. */
  listed?: readonly number[],
): Promise<LogStretch> {
  let next = from ?? { generation: 0, position: 0 };
  let isBroken = false;
  const records: LogRecord[] = [];
  let before: Generation | null = null;
  for (const number of listed ?? (await listGenerations(appends, path))) {
    if (number < next.generation) continue;
    const generation = new Generation(path, number);
    if (number === next.generation) generation.position = next.position;
    const bytes = await appends.readFrom(generation.name, generation.position);
    // Deleted meanwhile, or made by a roll that got no further: a later one, if any, goes on.
    if (bytes === undefined || (bytes.byteLength === 0 && generation.position === 0)) continue;
    isBroken ||= number !== next.generation;
    const read = generation.takeIn(bytes);
    assertFollows(before, generation);
    before = generation;
    for (const record of read) records.push(record);
    next =
      generation.end === 'sealed'
        ? { generation: number + 1, position: 0 }
        : { generation: number, position: generation.position };
  }
  return { records, next, isBroken };
}

/** A header says after which commit its generation begins: that is the last of the one before. */
export function assertFollows(before: Generation | null, generation: Generation): void {
  const { afterCommit } = generation;
  if (afterCommit === null || before?.number !== generation.number - 1) return;
  if (!before.isCommitKnown || afterCommit === before.lastCommit) return;
  throw corruptLog(
    { blob: before.name, position: before.position },
    `it ends with commit ${before.lastCommit}, the next generation begins after commit ${afterCommit}: records are missing`,
  );
}
