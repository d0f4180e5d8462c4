import { invariant } from '../model/errors';
import type { Clock, FaultPoint, ObjectStore, Telemetry } from '../model/ports';
import type { Row, TablePlan } from '../model/table';
import type { AddAction } from './actions';
import { encodeFile, fileExtensions } from './encode-file';
import type { LakeBatch } from './lake-table';
import { dataFileName, encodePath } from './names';
import { splitByPattern } from './path-pattern';
import type { PartitionRows } from './partitions';
import { splitByPartition } from './partitions';

/** Files of one flush that are held in memory and written at the same time. */
const filesInFlightMax = 4;
/** More folders than this in one flush mean small files; it works, and the operator is told. */
const partitionsPerFlushWarning = 200;

export interface FileWriter {
  readonly objects: ObjectStore;
  readonly plan: TablePlan;
  readonly folder: string;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly faultPoint: FaultPoint;
  /** Default: Hive folders of the plan's partition columns. */
  readonly folderOf: ((row: Row, task: string) => string) | undefined;
}

export interface WrittenFiles {
  readonly adds: readonly AddAction[];
  readonly rows: number;
  readonly bytes: number;
}

/** Writes the rows of some commits as files that nothing refers to yet. Repeating it changes nothing. */
export async function writeFiles(
  writer: FileWriter,
  task: string,
  batches: readonly LakeBatch[],
): Promise<WrittenFiles> {
  const { plan, folderOf } = writer;
  const partitions = folderOf
    ? splitByPattern(plan, folderOf, task, batches)
    : splitByPartition(plan, batches);
  if (partitions.length > partitionsPerFlushWarning) {
    writer.telemetry.emit('warn', 'table.partitions-many', {
      table: plan.name,
      task,
      partitions: partitions.length,
    });
  }
  const range = { first: batches[0]?.commit ?? 0, last: batches.at(-1)?.commit ?? 0 };
  const adds: AddAction[] = new Array<AddAction>(partitions.length);
  const next = partitions.entries();
  const work = async (): Promise<void> => {
    for (const [index, partition] of next) {
      adds[index] = await writeFile(writer, task, range, partition);
    }
  };
  await Promise.all(Array.from({ length: filesInFlightMax }, work));
  invariant(
    new Set(adds.map(({ path }) => path)).size === adds.length,
    'every file of a flush has a path of its own',
    { table: plan.name, task },
  );
  return {
    adds,
    rows: partitions.reduce((sum, { rows }) => sum + rows.length, 0),
    bytes: adds.reduce((sum, { size }) => sum + size, 0),
  };
}

async function writeFile(
  writer: FileWriter,
  task: string,
  range: { readonly first: number; readonly last: number },
  partition: PartitionRows,
): Promise<AddAction> {
  const { plan, folder, objects, clock, faultPoint } = writer;
  const { bytes, stats } = await encodeFile(plan, partition.rows);
  const name = dataFileName({
    task,
    firstCommit: range.first,
    lastCommit: range.last,
    partitionValues: partition.values,
    bytes,
    extension: fileExtensions[plan.format],
  });
  const path = `${partition.folder}${name}`;
  await faultPoint('flush.before-file');
  await putOnce(objects, `${folder}/${path}`, bytes);
  await faultPoint('flush.after-file');
  return {
    path: encodePath(path),
    partitionValues: partition.values,
    size: bytes.length,
    modificationTime: clock.nowMs(),
    dataChange: true,
    stats,
  };
}

/**
 * `exists` says that an earlier try or another process wrote this file. Before rows are promised to
 * be in it, that is looked at.
 */
async function putOnce(objects: ObjectStore, name: string, bytes: Uint8Array): Promise<void> {
  if ((await objects.putIfAbsent(name, bytes)) === 'created') return;
  const found = await objects.get(name);
  if (found === undefined || Buffer.compare(found, bytes) !== 0) await objects.put(name, bytes);
}
