import { Type, type Static } from 'typebox';
import type { Clock, ObjectStore, Telemetry } from '../../../model/ports';
import type { Column, Row, TablePlan } from '../../../model/table';
import { StreamError } from '../../../model/errors';
import type { AddAction, MetaDataAction } from '../../../lake/actions';
import { encodeFile, fileExtensions } from '../../../lake/encode-file';
import { dataFileName, decodePath, encodePath } from '../../../lake/names';
import { readFileRows } from '../../../lake/read-file';
import { replaceFiles } from '../../../lake/replace-files';
import { assertWritable, columnsOfTable } from '../../../lake/schema';
import { readTable, type TableFile } from '../../../lake/table-reader';
import type { JobKind, PieceContext } from '../job-kind';

const compactOptions = Type.Object({
  table: Type.String(),
  /** Files that are smaller are taken together, up to about this size. */
  targetBytes: Type.Integer({ minimum: 1 }),
});

export type CompactOptions = Static<typeof compactOptions>;

interface CompactWork {
  readonly table: string;
  /** Of one partition folder. */
  readonly files: readonly AddAction[];
  /** The table's own: it may have some that this build no longer knows. Absent in older plans. */
  readonly columns?: readonly Column[];
}

interface CompactResult {
  readonly removes: readonly AddAction[];
  readonly adds: readonly AddAction[];
  readonly rows: number;
}

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

export function tableFolder(name: string): string {
  return `tables/${name}`;
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
 * stay where they are for readers that opened them.
 */
export function compactKind(world: LakeWorld): JobKind {
  return {
    name: 'compact',
    options: compactOptions,

    async plan(given) {
      const { table, targetBytes } = given as CompactOptions;
      const plan = tableOf(world.tables, table);
      const { files, metaData, version } = await readTable({
        ...{ objects: world.lake, folder: tableFolder(table), format: plan.format },
      });
      const columns = metaData === undefined ? plan.columns : writtenColumns(metaData, table);
      const groups = groupSmall(files, targetBytes);
      const summary: CompactPlanSummary = {
        ...{ table, readVersion: version, filesBefore: files.length },
      };
      const pieces = groups.map((group) => ({
        phase: 0,
        work: { table, columns, files: group.map(({ add }) => add) } satisfies CompactWork,
      }));
      return { pieces, summary };
    },

    async run(given, context) {
      const { files, table, ...work } = given as CompactWork;
      const known = tableOf(world.tables, table);
      const plan = { ...known, columns: work.columns ?? known.columns };
      const rows = await rowsOf(world.lake, plan, files, context);
      const [first] = files;
      if (first === undefined) return { removes: [], adds: [], rows: 0 } satisfies CompactResult;
      const encoded = await encodeFile(plan, rows);
      const path = decodePath(first.path);
      const name = dataFileName({
        ...{ task: `compact/${context.jobId}`, firstCommit: 0, lastCommit: rows.length },
        ...{ bytes: encoded.bytes, extension: fileExtensions[plan.format] },
        partitionValues: first.partitionValues,
      });
      const whole = `${path.slice(0, path.lastIndexOf('/') + 1)}${name}`;
      await world.lake.putIfAbsent(`${tableFolder(table)}/${whole}`, encoded.bytes);
      const add: AddAction = {
        path: encodePath(whole),
        partitionValues: first.partitionValues,
        size: encoded.bytes.length,
        modificationTime: world.clock.nowMs(),
        dataChange: false,
        stats: encoded.stats,
      };
      return { removes: files, adds: [add], rows: rows.length } satisfies CompactResult;
    },

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
      const common = {
        table,
        filesBefore,
        filesRewritten: removes.length,
        filesWritten: adds.length,
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

async function rowsOf(
  lake: ObjectStore,
  plan: TablePlan,
  files: readonly AddAction[],
  context: PieceContext,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [index, add] of files.entries()) {
    await context.beat(index, files.length);
    const name = `${tableFolder(plan.name)}/${decodePath(add.path)}`;
    const bytes = await lake.get(name);
    if (bytes === undefined) {
      throw new StreamError(
        'STREAM_LOG_CORRUPT',
        `${name} is in the table's log and not in the store: restore it from a soft-deleted version`,
      );
    }
    const found = await readFileRows(plan, { bytes, partitionValues: add.partitionValues });
    for (const row of found) rows.push(row);
  }
  return rows;
}

function writtenColumns(metaData: MetaDataAction, table: string): readonly Column[] {
  assertWritable(metaData, table);
  return columnsOfTable(metaData);
}

/** Files of one folder that are below the target, packed in their order up to the target. */
function groupSmall(files: readonly TableFile[], targetBytes: number): TableFile[][] {
  const groups: TableFile[][] = [];
  const open = new Map<string, { files: TableFile[]; bytes: number }>();
  for (const file of files) {
    if (file.bytes >= targetBytes) continue;
    const folder = file.name.slice(0, file.name.lastIndexOf('/'));
    let group = open.get(folder);
    if (group === undefined || group.bytes + file.bytes > targetBytes) {
      group = { files: [], bytes: 0 };
      open.set(folder, group);
      groups.push(group.files);
    }
    group.files.push(file);
    group.bytes += file.bytes;
  }
  return groups.filter((group) => group.length > 1);
}
