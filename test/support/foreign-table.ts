/** Tables as other tools write them: log entries by hand, checkpoints of every kind. */
import type { SchemaElement } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import type { Action } from '../../shared/lake/actions';
import { deltaCheckpoint } from '../../shared/lake/delta-checkpoint';
import type { MemoryObjects } from './lake-memory';

export const foreignFolder = 'tables/foreign';
const log = `${foreignFolder}/_delta_log`;

export interface ForeignField {
  readonly name: string;
  readonly type: unknown;
  readonly nullable?: boolean;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export const protocolOf = (
  features: readonly string[] = [],
  versions: { readonly reader?: number; readonly writer?: number } = {},
): Action => ({
  protocol: {
    minReaderVersion: versions.reader ?? (features.length > 0 ? 3 : 1),
    minWriterVersion: versions.writer ?? (features.length > 0 ? 7 : 2),
    ...(features.length > 0 && { readerFeatures: features, writerFeatures: features }),
  },
});

export function metaDataOf(
  fields: readonly ForeignField[] = [{ name: 'id', type: 'long' }],
  more: {
    readonly partitionColumns?: readonly string[];
    readonly configuration?: Readonly<Record<string, string>>;
  } = {},
): Action {
  const written = fields.map((field) => ({ nullable: true, metadata: {}, ...field }));
  return {
    metaData: {
      id: 'foreign',
      format: { provider: 'parquet', options: {} },
      schemaString: JSON.stringify({ type: 'struct', fields: written }),
      partitionColumns: more.partitionColumns ?? [],
      configuration: more.configuration ?? {},
      createdTime: 1,
    },
  };
}

export const addOf = (
  path: string,
  more: Partial<NonNullable<Action['add']>> = {},
): Action & { readonly add: object } => ({
  add: {
    ...{ path, partitionValues: {}, size: 1, modificationTime: 1, dataChange: true },
    stats: '{"numRecords":1}',
    ...more,
  },
});

export const removeOf = (
  path: string,
  more: Partial<NonNullable<Action['remove']>> = {},
): Action => ({ remove: { path, deletionTimestamp: 1, dataChange: true, ...more } });

export function entryName(version: number): string {
  return `${log}/${String(version).padStart(20, '0')}.json`;
}

export function checkpointStem(version: number): string {
  return `${log}/${String(version).padStart(20, '0')}.checkpoint`;
}

export function putLines(objects: MemoryObjects, name: string, lines: readonly object[]): void {
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  objects.objects.set(name, Buffer.from(text));
}

/** Version `first` and those after it, one list of actions each. */
export function putVersions(
  objects: MemoryObjects,
  first: number,
  ...versions: readonly (readonly Action[])[]
): void {
  versions.forEach((actions, index) => {
    putLines(objects, entryName(first + index), actions);
  });
}

/** One Parquet file, or `parts` of them. */
export function putClassicCheckpoint(
  objects: MemoryObjects,
  version: number,
  actions: readonly Action[],
  parts = 1,
): string[] {
  const names = Array.from({ length: parts }, (_, part) =>
    parts === 1
      ? `${checkpointStem(version)}.parquet`
      : `${checkpointStem(version)}.${tenDigits(part + 1)}.${tenDigits(parts)}.parquet`,
  );
  names.forEach((name, part) => {
    const own = actions.filter((_, place) => place % parts === part);
    objects.objects.set(name, deltaCheckpoint.encode(own));
  });
  return names;
}

function tenDigits(part: number): string {
  return String(part).padStart(10, '0');
}

const checkpointId = '80a083e8-7026-4e79-81be-64bd76c43a11';

/** "V2 Spec": a top file of JSON or Parquet that names sidecars of Parquet, which hold the files. */
export function putV2Checkpoint(
  objects: MemoryObjects,
  version: number,
  actions: readonly Action[],
  kind: 'json' | 'parquet' | 'classic name',
): { readonly top: string; readonly sidecars: readonly string[] } {
  const ofFiles = actions.filter(({ add, remove }) => add ?? remove);
  const others = actions.filter(({ add, remove }) => !add && !remove);
  const half = Math.ceil(ofFiles.length / 2);
  const sidecars = [ofFiles.slice(0, half), ofFiles.slice(half)].map((part, place) => {
    const path = `016ae953-37a9-438e-8683-9a9a4a79a39${place}.parquet`;
    const bytes = deltaCheckpoint.encode(part);
    objects.objects.set(`${log}/_sidecars/${path}`, bytes);
    return { path, sizeInBytes: bytes.length, modificationTime: 1 };
  });
  const top =
    kind === 'classic name'
      ? `${checkpointStem(version)}.parquet`
      : `${checkpointStem(version)}.${checkpointId}.${kind}`;
  if (kind === 'json') {
    putLines(objects, top, [
      { checkpointMetadata: { version } },
      ...others,
      ...sidecars.map((sidecar) => ({ sidecar })),
    ]);
  } else {
    objects.objects.set(top, encodeTop(version, others, sidecars));
  }
  return { top, sidecars: sidecars.map(({ path }) => `${log}/_sidecars/${path}`) };
}

/** The top file as Spark lays it out, without the columns that are all null. */
function encodeTop(
  version: number,
  others: readonly Action[],
  sidecars: readonly { readonly path: string; readonly sizeInBytes: number }[],
): Uint8Array {
  const text = (name: string): SchemaElement => ({
    ...{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
  });
  const long = (name: string): SchemaElement => ({
    ...{ name, type: 'INT64', repetition_type: 'OPTIONAL' },
  });
  const int = (name: string): SchemaElement => ({
    ...{ name, type: 'INT32', repetition_type: 'OPTIONAL' },
  });
  const group = (name: string, num_children: number): SchemaElement => ({
    ...{ name, num_children, repetition_type: 'OPTIONAL' },
  });
  const list = (name: string): SchemaElement[] => [
    { ...group(name, 1), converted_type: 'LIST' },
    { name: 'list', num_children: 1, repetition_type: 'REPEATED' },
    text('element'),
  ];
  const schema: SchemaElement[] = [
    { name: 'spark_schema', num_children: 5, repetition_type: 'REQUIRED' },
    ...[group('checkpointMetadata', 1), long('version')],
    ...[group('protocol', 4), int('minReaderVersion'), int('minWriterVersion')],
    ...[...list('readerFeatures'), ...list('writerFeatures')],
    ...[group('metaData', 3), text('id'), text('schemaString'), ...list('partitionColumns')],
    ...[group('txn', 2), text('appId'), long('version')],
    ...[group('sidecar', 2), text('path'), long('sizeInBytes')],
  ];
  const rows: Record<string, unknown>[] = [
    { checkpointMetadata: { version: BigInt(version) } },
    ...others.map(({ metaData, protocol, txn }) => ({
      protocol,
      metaData: metaData && {
        ...{ id: metaData.id, schemaString: metaData.schemaString },
        partitionColumns: metaData.partitionColumns,
      },
      txn: txn && { appId: txn.appId, version: BigInt(txn.version) },
    })),
    ...sidecars.map(({ path, sizeInBytes }) => ({
      sidecar: { path, sizeInBytes: BigInt(sizeInBytes) },
    })),
  ];
  const columnData = ['checkpointMetadata', 'protocol', 'metaData', 'txn', 'sidecar'].map(
    (name) => ({ name, data: rows.map((row) => row[name] ?? null) }),
  );
  return new Uint8Array(parquetWriteBuffer({ schema, columnData }));
}
