import { createHash } from 'node:crypto';
import { Type, type Static } from 'typebox';
import type { Clock, ObjectStore, Telemetry } from '../../../model/ports';
import type { Column, Row, TablePlan } from '../../../model/table';
import { StreamError } from '../../../model/errors';
import type { AddAction, MetaDataAction } from '../../../lake/actions';
import { encodeFile, fileExtensions } from '../../../lake/encode-file';
import { tableFolder, dataFileName, decodePath, encodePath } from '../../../lake/names';
import { unreadableFile } from '../../../lake/parquet/read-parquet';
import { assertChangeable } from '../../../lake/protocol';
import { assertDistinctNames, readCells } from '../../../lake/read-file';
import { replaceFiles } from '../../../lake/replace-files';
import { assertWritable, columnsOfTable } from '../../../lake/schema';
import { readTable, tableFile, type TableFile } from '../../../lake/table-reader';
import type { JobKind, PieceContext } from '../job-kind';

const compactOptions = Type.Object({
  table: Type.String(),
  /** Files that are smaller are taken together, up to about this size. */
  targetBytes: Type.Integer({ minimum: 1 }),
});

export type CompactOptions = Static<typeof compactOptions>;

interface CompactWork {
  readonly table: string;
  /** Of the same partition values. */
  readonly files: readonly AddAction[];
  /** The table's own: it may have some that this build no longer knows. Absent in older plans. */
  readonly columns?: readonly Column[];
}

interface CompactResult {
  readonly removes: readonly AddAction[];
  readonly adds: readonly AddAction[];
  readonly rows: number;
  /** Files whose values this writer could not write as they are: they stay. */
  readonly leftAlone: readonly FileLeftAlone[];
}

interface FileLeftAlone {
  readonly path: string;
  readonly why: string;
}

/** In a report: all of them are counted. */
const leftAloneShownMax = 20;

interface CompactPlanSummary {
  readonly table: string;
  readonly readVersion: number;
  readonly filesBefore: number;
}

export interface LakeWorld {
  readonly lake: ObjectStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly tables: readonly TablePlan[];
}

export function tableOf(tables: readonly TablePlan[], name: string): TablePlan {
  const plan = tables.find((table) => table.name === name);
  if (plan !== undefined) return plan;
  const known = tables.map((table) => table.name).join(', ');
  throw new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    `no table is called "${name}"; there is: ${known}`,
  );
}

/**
 * Rewrites the small files of a table into larger ones and puts these in their place in one commit
 * of the table's log. Readers see the old files or the new ones, never both or neither; old files
 * stay where they are for readers that opened them. A file with a value that would not be the same
 * afterwards (others wrote it) is left alone and named.
 */
export function compactKind(world: LakeWorld): JobKind {
  return {
    name: 'compact',
    options: compactOptions,

    async plan(given) {
      const { table, targetBytes } = given as CompactOptions;
      const plan = tableOf(world.tables, table);
      const folder = tableFolder(table);
      const { files, metaData, protocol, version } = await readTable({
        ...{ objects: world.lake, folder, format: plan.format, telemetry: world.telemetry },
      });
      assertChangeable({ folder, metaData, protocol, removesRows: false });
      const columns = metaData === undefined ? plan.columns : writtenColumns(metaData, table);
      const groups = groupSmall(files, metaData?.partitionColumns ?? [], targetBytes);
      const summary: CompactPlanSummary = {
        ...{ table, readVersion: version, filesBefore: files.length },
      };
      const pieces = groups.map((group) => ({
        phase: 0,
        work: { table, columns, files: group.map(({ add }) => add) } satisfies CompactWork,
      }));
      return { pieces, summary };
    },

    run: (given, context) => rewrite(world, given as CompactWork, context),

    split(given) {
      const work = given as CompactWork;
      if (work.files.length < 4) return null;
      const half = Math.ceil(work.files.length / 2);
      return [
        { ...work, files: work.files.slice(0, half) },
        { ...work, files: work.files.slice(half) },
      ];
    },

    async report(_options, { planSummary, results }, { jobId }) {
      const { filesBefore, readVersion, table } = planSummary as CompactPlanSummary;
      const done = results as readonly CompactResult[];
      const removes = done.flatMap((result) => result.removes);
      const adds = done.flatMap((result) => result.adds);
      const leftAlone = done.flatMap((result) => result.leftAlone);
      const common = {
        table,
        filesBefore,
        filesRewritten: removes.length,
        filesWritten: adds.length,
        filesLeftAlone: leftAlone.length,
        ...(leftAlone.length > 0 && { leftAlone: leftAlone.slice(0, leftAloneShownMax) }),
      };
      if (removes.length === 0) {
        return { summary: { ...common, outcome: 'nothing to do' }, isRight: true };
      }
      const plan = tableOf(world.tables, table);
      const outcome = await replaceFiles(
        {
          ...{ objects: world.lake, plan, folder: tableFolder(table) },
          ...{ clock: world.clock, telemetry: world.telemetry },
        },
        {
          ...{ token: `compact-${jobId}`, operation: 'OPTIMIZE', readVersion },
          ...{ removes, adds, isDataChange: false },
        },
      );
      const rows = done.reduce((sum, result) => sum + result.rows, 0);
      if (outcome.kind === 'replaced') {
        return { summary: { ...common, rows, version: outcome.version }, isRight: true };
      }
      const why = `${outcome.by} meanwhile: nothing was changed, run it again`;
      return { summary: { ...common, outcome: why }, isRight: false };
    },
  };
}

async function rewrite(
  world: LakeWorld,
  { columns, files, table }: CompactWork,
  context: PieceContext,
): Promise<CompactResult> {
  const known = tableOf(world.tables, table);
  const plan = { ...known, columns: columns ?? known.columns };
  const { leftAlone, removes, rows } = await rowsOf(world.lake, plan, files, context);
  const [first] = removes;
  if (first === undefined || removes.length < 2) {
    return { removes: [], adds: [], rows: 0, leftAlone };
  }
  const encoded = await encodeFile(plan, rows);
  const path = decodePath(first.path);
  const { partitionValues } = first;
  const name = dataFileName({
    // The same rows may stand in other files, too: what is replaced is this file's own.
    task: `compact/${context.jobId}/${digestOf(removes)}`,
    ...{ firstCommit: 0, lastCommit: rows.length, partitionValues },
    ...{ bytes: encoded.bytes, extension: fileExtensions[plan.format] },
  });
  const whole = `${path.slice(0, path.lastIndexOf('/') + 1)}${name}`;
  await world.lake.putIfAbsent(`${tableFolder(table)}/${whole}`, encoded.bytes);
  const add: AddAction = {
    path: encodePath(whole),
    ...{ partitionValues, size: encoded.bytes.length, dataChange: false, stats: encoded.stats },
    modificationTime: world.clock.nowMs(),
  };
  return { removes, adds: [add], rows: rows.length, leftAlone };
}

const digestDigits = 16;

function digestOf(files: readonly AddAction[]): string {
  const paths = JSON.stringify(files.map(({ path }) => path));
  return createHash('sha256').update(paths).digest('hex').slice(0, digestDigits);
}

interface RowsOfFiles {
  readonly removes: readonly AddAction[];
  readonly rows: readonly Row[];
  readonly leftAlone: readonly FileLeftAlone[];
}

async function rowsOf(
  lake: ObjectStore,
  plan: TablePlan,
  files: readonly AddAction[],
  context: PieceContext,
): Promise<RowsOfFiles> {
  const removes: AddAction[] = [];
  const rows: Row[] = [];
  const leftAlone: FileLeftAlone[] = [];
  for (const [index, add] of files.entries()) {
    await context.beat(index, files.length);
    const { name, rows: expected } = tableFile(tableFolder(plan.name), add);
    const bytes = await lake.get(name);
    if (bytes === undefined) {
      throw new StreamError(
        'STREAM_LOG_CORRUPT',
        `${name} is in the table's log and not in the store: restore it from a soft-deleted version`,
      );
    }
    const { partitionValues, path } = add;
    const found = await readCells(plan, { name, bytes, partitionValues });
    if (found.kind === 'unkept') {
      leftAlone.push({ path, why: found.why });
      continue;
    }
    if (expected !== null && found.rows.length !== expected) {
      const why = `it holds ${found.rows.length} rows, the table's log says ${expected}`;
      throw unreadableFile(name, new Error(why));
    }
    removes.push(add);
    for (const row of found.rows) rows.push(row);
  }
  return { removes, rows, leftAlone };
}

function writtenColumns(metaData: MetaDataAction, table: string): readonly Column[] {
  assertWritable(metaData, table);
  const columns = columnsOfTable(metaData);
  assertDistinctNames(columns);
  return columns;
}

/**
 * Files of the same partition values that are below the target, packed in their order up to it. The
 * log says what belongs together: a folder may hold files of several values.
 */
function groupSmall(
  files: readonly TableFile[],
  partitionColumns: readonly string[],
  targetBytes: number,
): TableFile[][] {
  const groups: TableFile[][] = [];
  const open = new Map<string, { files: TableFile[]; bytes: number }>();
  for (const file of files) {
    if (file.bytes >= targetBytes) continue;
    const values = partitionColumns.map((name) => file.partitionValues[name] ?? null);
    const key = JSON.stringify(values);
    let group = open.get(key);
    if (group === undefined || group.bytes + file.bytes > targetBytes) {
      group = { files: [], bytes: 0 };
      open.set(key, group);
      groups.push(group.files);
    }
    group.files.push(file);
    group.bytes += file.bytes;
  }
  return groups.filter((group) => group.length > 1);
}
