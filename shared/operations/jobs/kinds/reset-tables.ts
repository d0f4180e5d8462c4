import { endedTaskVersion, type LakeTable } from '../../../lake/lake-table';
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

/** Each of them is lost to somebody's commit that succeeded: a table that is written to all the time. */
const roundsMax = 50;

/** A table, and the tasks that are over: no row of theirs may come into it again. */
export interface TableToEmpty {
  readonly plan: TablePlan;
  readonly lakeTable: LakeTable;
  /** Whose tasks' names begin so; also those that only the table knows of. */
  readonly taskPrefix: string;
  /** Names of tasks; null: they are not over yet. */
  readonly ended: readonly string[] | null;
}

export interface EmptiedTable {
  /** Files that were taken out. */
  readonly files: number;
  /** The latest birth of a task that the table knows of; 0: it knows none. */
  readonly epochMax: number;
}

interface LakeWorld {
  readonly lake: ObjectStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * Takes every file out of a table, until a read of its newest version shows none. What others put in
 * or compacted meanwhile is taken out in the next round. Repeatable.
 *
 * @param token begins the names of its commits in the table's log
 * @throws StreamError STREAM_TABLE_CONTENDED where others never cease to write; and as reading does
 */
export async function emptyTable(
  world: LakeWorld,
  table: TableToEmpty,
  token: string,
): Promise<EmptiedTable> {
  const { clock, lake: objects, telemetry } = world;
  const { plan } = table;
  const place = { objects, folder: tableFolder(plan.name) };
  let files = 0;
  for (let round = 0; round < roundsMax; round += 1) {
    const read = await readWhole(world, plan);
    const ends = endsMissing(table, read);
    if (read.version < 0 && ends.length > 0) {
      // Who holds rows in memory would make the table later: it has to be there to refuse them.
      await table.lakeTable.create();
      continue;
    }
    if (read.version < 0 || (read.files.length === 0 && ends.length === 0)) {
      const own = tasksOf(table, read);
      return { files, epochMax: Math.max(0, ...own.map(epochOfTaskId)) };
    }
    const nowMs = clock.nowMs();
    const outcome = await replaceFiles(
      { ...place, plan, clock, telemetry },
      {
        ...{ token: `${token}-${plan.name}-${read.version}`, operation: resetOperation },
        ...{ readVersion: read.version, isDataChange: true, adds: [] },
        removes: read.files.map(({ add }) => add),
        transactions: ends.map((appId) => ({
          ...{ appId, version: endedTaskVersion, lastUpdated: nowMs },
        })),
      },
    );
    if (outcome.kind === 'replaced') files += read.files.length;
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

function endsMissing(table: TableToEmpty, read: TableContents): string[] {
  const { ended } = table;
  if (ended === null) return [];
  return Array.from(new Set([...tasksOf(table, read), ...ended])).filter(
    (task) => read.flushedThrough.get(task) !== endedTaskVersion,
  );
}

function tasksOf({ taskPrefix }: TableToEmpty, { flushedThrough }: TableContents): string[] {
  return Array.from(flushedThrough.keys()).filter((task) => task.startsWith(taskPrefix));
}

/** @throws StreamError STREAM_TABLE_CONTENDED where a table holds a row, or may come to hold one again */
export async function assertEmpty(
  world: LakeWorld,
  tables: readonly TableToEmpty[],
): Promise<void> {
  for (const table of tables) {
    const { name } = table.plan;
    const read = await readWhole(world, table.plan);
    if (read.files.length === 0 && endsMissing(table, read).length === 0) continue;
    throw new StreamError(
      'STREAM_TABLE_CONTENDED',
      `version ${read.version} of table ${name} holds ${read.files.length} files that somebody added after it was emptied`,
      { details: { table: name, version: read.version, files: read.files.length } },
    );
  }
}
