import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import type { ColumnChunk, SchemaElement } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { StreamError } from '../model/errors';
import type { Action } from './actions';
import { corruptEntry } from './actions';
import type { CheckpointCodec } from './checkpoint-codec';
import { decompressors } from './parquet/decompressors';
import { validateAction } from './validate-actions';

type Repetition = 'REQUIRED' | 'OPTIONAL';

const text = (name: string, repetition_type: Repetition = 'OPTIONAL'): SchemaElement => ({
  name,
  type: 'BYTE_ARRAY',
  converted_type: 'UTF8',
  logical_type: { type: 'STRING' },
  repetition_type,
});
const long = (name: string): SchemaElement => ({
  name,
  type: 'INT64',
  repetition_type: 'OPTIONAL',
});
const int = (name: string): SchemaElement => ({
  name,
  type: 'INT32',
  repetition_type: 'OPTIONAL',
});
const flag = (name: string): SchemaElement => ({
  name,
  type: 'BOOLEAN',
  repetition_type: 'OPTIONAL',
});
type Field = SchemaElement | readonly SchemaElement[];
/** A group and the fields in it. */
const struct = (name: string, children: readonly Field[]): SchemaElement[] => [
  { name, num_children: children.length, repetition_type: 'OPTIONAL' },
  ...children.flat(),
];
const textMap = (name: string): SchemaElement[] => [
  {
    name,
    num_children: 1,
    converted_type: 'MAP',
    logical_type: { type: 'MAP' },
    repetition_type: 'OPTIONAL',
  },
  { name: 'key_value', num_children: 2, repetition_type: 'REPEATED' },
  text('key', 'REQUIRED'),
  text('value'),
];
const textList = (name: string): SchemaElement[] => [
  {
    name,
    num_children: 1,
    converted_type: 'LIST',
    logical_type: { type: 'LIST' },
    repetition_type: 'OPTIONAL',
  },
  { name: 'list', num_children: 1, repetition_type: 'REPEATED' },
  text('element'),
];

/**
 * "Checkpoint schema" of the Delta protocol: every field that a table without optional features can
 * have, other tools' notes too, but not the optional parsed statistics.
 */
const actionFields = {
  txn: [text('appId'), long('version'), long('lastUpdated')],
  add: [
    text('path'),
    textMap('partitionValues'),
    long('size'),
    long('modificationTime'),
    flag('dataChange'),
    text('stats'),
    textMap('tags'),
  ],
  remove: [
    text('path'),
    long('deletionTimestamp'),
    flag('dataChange'),
    flag('extendedFileMetadata'),
    textMap('partitionValues'),
    long('size'),
    text('stats'),
    textMap('tags'),
  ],
  metaData: [
    text('id'),
    text('name'),
    text('description'),
    struct('format', [text('provider'), textMap('options')]),
    text('schemaString'),
    textList('partitionColumns'),
    textMap('configuration'),
    long('createdTime'),
  ],
  protocol: [int('minReaderVersion'), int('minWriterVersion')],
} as const satisfies Record<string, readonly Field[]>;

const actionNames = Object.keys(actionFields) as (keyof typeof actionFields)[];
const schema: SchemaElement[] = [
  { name: 'spark_schema', num_children: actionNames.length, repetition_type: 'REQUIRED' },
  ...actionNames.flatMap((name) => struct(name, actionFields[name])),
];
/** What a cold start of a writer reads; `sidecar` is of checkpoints that other tools wrote. */
const summaryNames: readonly string[] = ['txn', 'metaData', 'protocol', 'sidecar'];
const readNames = [...summaryNames, 'add', 'remove'];
const keptFields: ReadonlySet<string> = new Set(
  actionNames.flatMap((action) =>
    actionFields[action].map((field) => `${action}.${[field].flat()[0]?.name}`),
  ),
);
const longNames = new Set([
  'version',
  'lastUpdated',
  'size',
  'modificationTime',
  'deletionTimestamp',
  'createdTime',
]);

export const deltaCheckpoint: CheckpointCodec = {
  extension: '.checkpoint.parquet',

  encode(actions) {
    for (const action of actions) assertAllKept(action);
    const columnData = actionNames.map((name) => ({
      name,
      data: actions.map((action) => (action[name] ? withBigints(action[name]) : null)),
    }));
    return new Uint8Array(parquetWriteBuffer({ columnData, schema, statistics: false }));
  },

  async decode(name, bytes, want) {
    let rows: Record<string, unknown>[];
    try {
      // A copy: the library wants a whole buffer.
      const file = bytes.slice().buffer;
      const metadata = parquetMetadata(file);
      const there = new Set(metadata.row_groups[0]?.columns.map(topName));
      const columns = (want === 'all' ? readNames : summaryNames).filter((one) => there.has(one));
      rows = await parquetReadObjects({ file, metadata, columns, compressors: decompressors });
    } catch (cause) {
      throw corruptEntry(name, 'the checkpoint is not whole Parquet', cause);
    }
    return rows
      .map(toAction)
      .filter((action) => Object.keys(action).length > 0)
      .map((action) => validateAction(action, (what) => corruptEntry(name, what)));
  },
};

function topName({ meta_data }: ColumnChunk): string | undefined {
  return meta_data?.path_in_schema[0];
}

/**
 * A checkpoint stands for the log before it, so that what it leaves out is lost. The log is kept, and
 * a table without the checkpoint is only slower to open.
 */
function assertAllKept(action: Action): void {
  for (const name of actionNames) {
    for (const [field, value] of Object.entries(action[name] ?? {}) as [string, unknown][]) {
      if (keptFields.has(`${name}.${field}`) || value === null || value === undefined) continue;
      throw new StreamError(
        'STREAM_TABLE_INCOMPATIBLE',
        `no checkpoint is written: the table's log has a field that a checkpoint of ours cannot keep, ${name}.${field}; have the tool that writes it write the checkpoints too`,
        { details: { field: `${name}.${field}` } },
      );
    }
  }
}

function withBigints(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      longNames.has(name) && typeof value === 'number' ? BigInt(value) : (value as unknown),
    ]),
  );
}

function toAction(row: Record<string, unknown>): Action {
  const action: Record<string, unknown> = {};
  for (const name of readNames) {
    const fields = row[name];
    if (fields === null || fields === undefined) continue;
    action[name] = withoutParsed(plainFields(fields as Record<string, unknown>));
  }
  return action;
}

/**
 * Statistics and partition values may also be there as columns of their own types ("parsed"); the
 * texts say the same. Where there is no text, the number of rows is what we read of them.
 */
function withoutParsed(fields: Record<string, unknown>): Record<string, unknown> {
  const kept = Object.entries(fields).filter(([name]) => !name.endsWith('_parsed'));
  const action = Object.fromEntries(kept);
  const numRecords = (fields['stats_parsed'] as { numRecords?: unknown } | undefined)?.numRecords;
  if (action['stats'] === undefined && numRecords !== undefined) {
    action['stats'] = JSON.stringify({ numRecords });
  }
  return action;
}

/** Without what is null, as a line of the log leaves it out; the values of a map may be null. */
function plainFields(fields: Record<string, unknown>): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined) plain[name] = plainValue(value);
  }
  return plain;
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plainValue(one)]));
}
