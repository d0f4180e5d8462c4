import type { FilePartition } from './file-source';
import type { PartitionRange } from './hub-range';

/** Where files are: the container of tables, or that of Event Hubs Capture. */
type FileStore = 'lake' | 'capture';

/** Where a stage's events come from: a stretch of its hub, files, or what the phases before sent. */
export type ReadingFrom =
  | { readonly kind: 'hub'; readonly ranges: readonly PartitionRange[] }
  | {
      readonly kind: 'files';
      readonly store: FileStore;
      readonly partitions: readonly FilePartition[];
    }
  | { readonly kind: 'exchange'; readonly hub: string };

/** What a stage reads, and in which partitions. */
export interface Reading {
  readonly from: ReadingFrom;
  readonly partitions: readonly string[];
}

/** A piece is told of the files of its own partition only. */
export function ownPart(from: ReadingFrom, partition: string): ReadingFrom {
  return from.kind === 'files' ? { ...from, partitions: onlyOf(partition, from) } : from;
}

function onlyOf(
  partition: string,
  { partitions }: { readonly partitions: readonly FilePartition[] },
): FilePartition[] {
  return partitions.map((one) =>
    one.partition === partition ? one : { partition: one.partition, files: [] },
  );
}
