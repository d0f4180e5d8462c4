import { parquetReadObjects } from 'hyparquet';
import type { SchemaElement } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { StreamError } from '../model/errors';
import type { Action } from './actions';
import type { CheckpointCodec } from './checkpoint-codec';

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
const struct = (name: string, num_children: number): SchemaElement => ({
  name,
  num_children,
  repetition_type: 'OPTIONAL',
});
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

/** "Checkpoint schema" of the Delta protocol, without the optional parsed statistics. */
const schema: SchemaElement[] = [
  { name: 'spark_schema', num_children: 5, repetition_type: 'REQUIRED' },
  struct('txn', 3),
  text('appId'),
  long('version'),
  long('lastUpdated'),
  struct('add', 6),
  text('path'),
  ...textMap('partitionValues'),
  long('size'),
  long('modificationTime'),
  flag('dataChange'),
  text('stats'),
  struct('remove', 3),
  text('path'),
  long('deletionTimestamp'),
  flag('dataChange'),
  struct('metaData', 7),
  text('id'),
  text('name'),
  struct('format', 2),
  text('provider'),
  ...textMap('options'),
  text('schemaString'),
  ...textList('partitionColumns'),
  ...textMap('configuration'),
  long('createdTime'),
  struct('protocol', 2),
  int('minReaderVersion'),
  int('minWriterVersion'),
];

const actionNames = ['txn', 'add', 'remove', 'metaData', 'protocol'] as const;
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
    const columnData = actionNames.map((name) => ({
      name,
      data: actions.map((action) => (action[name] ? withBigints(action[name]) : null)),
    }));
    return new Uint8Array(parquetWriteBuffer({ columnData, schema, statistics: false }));
  },

  async decode(name, bytes, want) {
    const columns = actionNames.filter(
      (column) => want === 'all' || (column !== 'add' && column !== 'remove'),
    );
    try {
      const file = bytes.slice().buffer;
      const rows = await parquetReadObjects({ file, columns });
      return rows.map(toAction).filter((action) => Object.keys(action).length > 0);
    } catch (cause) {
      throw new StreamError(
        'STREAM_LOG_CORRUPT',
        `the table checkpoint ${name} cannot be read as Parquet; delete it and _last_checkpoint: the log before it is kept`,
        { cause, details: { name } },
      );
    }
  },
};

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
  for (const name of actionNames) {
    const fields = row[name];
    if (fields === null || fields === undefined) continue;
    action[name] = withNumbers(fields as Record<string, unknown>);
  }
  return action;
}

function withNumbers(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value]),
  );
}
