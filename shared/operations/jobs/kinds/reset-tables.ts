import type { AddAction } from '../../../lake/actions';
import { endedTaskVersion, type LakeTable } from '../../../lake/lake-table';
import { assertChangeable } from '../../../lake/protocol';
import { replaceFiles } from '../../../lake/replace-files';
import { tableFormats } from '../../../lake/table-format';
import { readTable, type TableContents } from '../../../lake/table-reader';
import { StreamError } from '../../../model/errors';
import type { Clock, ObjectStore, Telemetry } from '../../../model/ports';
import type { TablePlan } from '../../../model/table';
import { epochOfTaskId } from '../../../task/task-identity';
import { tableFolder } from '../../../lake/names';

/** The operation by which a reset takes all files out of a table. */
export const resetOperation = 'RESET TABLE';
/** The operation by which a reset says that it will. */
const announceOperation = 'ANNOUNCE RESET';

/** Each of them is lost to somebody's commit that succeeded: a table that is written to all the time. */
const roundsMax = 200;

/** A table, and whose rows are taken out of it. */
export interface TableToEmpty {
  readonly plan: TablePlan;
  readonly lakeTable: LakeTable;
  /** Whose tasks' names begin so; also those that only the table knows of. */
  readonly taskPrefix: string;
}

/** Names one of the resets of a topology in its tables' logs: a later one has a greater number. */
export interface ResetMark {
  readonly topology: string;
  readonly number: number;
}

interface LakeWorld {
  readonly lake: ObjectStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

const appIdOf = ({ topology }: ResetMark): string => `millrace:reset/${topology}`;
const announcedAt = ({ number }: ResetMark): number => 2 * number - 1;
const emptiedAt = ({ number }: ResetMark): number => 2 * number;

/**
 * Says in a table's log that it will be emptied: who cannot say it will not be able to empty it. A
 * table that is not there yet is made. Repeatable.
 *
 * @returns the latest birth of a task that the table knows of; 0: it knows none
 * @throws StreamError as writing and reading do
 */
export async function announceReset(
  world: LakeWorld,
  table: TableToEmpty,
  mark: ResetMark,
): Promise<number> {
  const read = await changeTable(world, table, mark, announcedAt(mark), (before) => {
    const { metaData, protocol } = before;
    const folder = tableFolder(table.plan.name);
    assertChangeable({ folder, metaData, protocol, removesRows: true });
    return { operation: announceOperation, removes: [], ended: [] };
  });
  return Math.max(0, ...tasksOf(table, read).map(epochOfTaskId));
}

/**
 * Takes every file out of a table and tells it, in the same version, that tasks are over: no row of
 * theirs may come into it again. Done once for each reset, whoever repeats it: rows that come after
 * that are those of the tasks that have begun anew.
 *
 * @param ended names of tasks; those that the table knows of are ended with them
 * @returns files that this call took out
 * @throws StreamError STREAM_TABLE_CONTENDED where others never cease to write; and as reading does
 */
export async function emptyTable(
  world: LakeWorld,
  table: TableToEmpty,
  { ended, mark }: { readonly ended: readonly string[]; readonly mark: ResetMark },
): Promise<number> {
  let files = 0;
  await changeTable(world, table, mark, emptiedAt(mark), (read) => {
    files = read.files.length;
    return {
      operation: resetOperation,
      removes: read.files.map(({ add }) => add),
      ended: Array.from(new Set([...tasksOf(table, read), ...ended])),
    };
  });
  return files;
}

/** What one version of a table is to say. */
interface Change {
  readonly operation: string;
  readonly removes: readonly AddAction[];
  readonly ended: readonly string[];
}

/** Commits a change together with its mark, unless the mark is there: then somebody has done it. */
async function changeTable(
  world: LakeWorld,
  { lakeTable, plan }: TableToEmpty,
  mark: ResetMark,
  markVersion: number,
  changeOf: (read: TableContents) => Change,
): Promise<TableContents> {
  const { clock, lake: objects, telemetry } = world;
  const place = { objects, folder: tableFolder(plan.name), plan, clock, telemetry };
  for (let round = 0; round < roundsMax; round += 1) {
    const read = await readWhole(world, plan);
    if ((read.flushedThrough.get(appIdOf(mark)) ?? 0) >= markVersion) return read;
    if (read.version < 0) {
      // Who holds rows in memory would make the table later: it has to be there to refuse them.
      await lakeTable.create();
      continue;
    }
    const { ended, operation, removes } = changeOf(read);
    const nowMs = clock.nowMs();
    const transactions = [
      ...ended.map((appId) => ({ appId, version: endedTaskVersion, lastUpdated: nowMs })),
      { appId: appIdOf(mark), version: markVersion, lastUpdated: nowMs },
    ];
    const outcome = await replaceFiles(place, {
      ...{ token: `${appIdOf(mark)}/${markVersion}/${read.version}`, operation },
      ...{ readVersion: read.version, isDataChange: removes.length > 0, adds: [], removes },
      ...{ isExclusive: true, transactions },
    });
    if (outcome.kind === 'replaced') return read;
  }
  throw new StreamError(
    'STREAM_TABLE_CONTENDED',
    `table ${plan.name} was written to ${roundsMax} times while it was emptied: stop who writes to it`,
    { details: { table: plan.name } },
  );
}

/** The newest version. What is taken for no table must be none: else its rows would come back. */
async function readWhole(world: LakeWorld, plan: TablePlan): Promise<TableContents> {
  const folder = tableFolder(plan.name);
  const read = await readTable({ objects: world.lake, folder, format: plan.format });
  if (read.version >= 0) return read;
  const logFolder = `${folder}/${tableFormats[plan.format].logFolder}/`;
  const [first] = await world.lake.list(logFolder);
  if (first === undefined) return read;
  throw new StreamError(
    'STREAM_LOG_CORRUPT',
    `the log of table ${plan.name} has ${first.name} and cannot be read from its beginning: restore it, or delete the whole folder ${folder}`,
    { details: { table: plan.name, name: first.name } },
  );
}

function tasksOf({ taskPrefix }: TableToEmpty, { flushedThrough }: TableContents): string[] {
  return Array.from(flushedThrough.keys()).filter((task) => task.startsWith(taskPrefix));
}
