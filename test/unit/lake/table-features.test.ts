// Goal: a table that asks for more than is implemented here is refused by name, never read wrongly
// or written past its rules; and what a log may not say is an error with the blob's name.
import type { Action } from '../../../shared/lake/actions';
import { replaceFiles } from '../../../shared/lake/replace-files';
import { readTable, replaceOperation, type TableContents } from '../../../shared/lake/table-reader';
import {
  addOf,
  entryName,
  foreignFolder,
  metaDataOf,
  protocolOf,
  putV2Checkpoint,
  putVersions,
  removeOf,
} from '../../support/foreign-table';
import { MemoryObjects, flightsPlan, openTestTable } from '../../support/lake-memory';
import { batchOf } from '../../support/lake-rows';

const task = 'flights/clean/0/1';
const readFrom = (objects: MemoryObjects): Promise<TableContents> =>
  readTable({ objects, folder: foreignFolder, format: 'delta' });

function read(...versions: readonly (readonly Action[])[]): Promise<TableContents> {
  const objects = new MemoryObjects();
  putVersions(objects, 0, ...versions);
  return readFrom(objects);
}

const widened = {
  name: 'id',
  type: 'long',
  metadata: { 'delta.typeChanges': [{ toType: 'long', fromType: 'integer' }] },
};
const mapped = { configuration: { 'delta.columnMapping.mode': 'name' } };
const vector = { storageType: 'u', pathOrInlineDv: 'vBn[lx{q8@P<9BNH/isA', offset: 1 };

describe('readers refuse what they do not implement', () => {
  test.each<[string, RegExp, readonly Action[]]>([
    ['deletion vectors', /deletionVectors \(deleted rows/, [protocolOf(['deletionVectors'])]],
    ['type widening', /typeWidening/, [protocolOf(['typeWidening'])]],
    ['timestamps without a zone', /timestampNtz/, [protocolOf(['timestampNtz'])]],
    ['variants', /variantType/, [protocolOf(['variantType'])]],
    ['a feature of the future', /catalogManaged/, [protocolOf(['v2Checkpoint', 'catalogManaged'])]],
    ['a protocol of the future', /reader version 4/, [protocolOf([], { reader: 4, writer: 7 })]],
    ['columns mapped by name', /columnMapping \(renamed/, [metaDataOf(undefined, mapped)]],
    ['types that were widened', /typeWidening/, [metaDataOf([widened])]],
    [
      'a file with deleted rows under a protocol that does not list them',
      /deletionVectors/,
      [addOf('a.parquet', { deletionVector: vector })],
    ],
  ])('%s', async (_what, message, actions) => {
    const reading = read([protocolOf(), metaDataOf()], [addOf('b.parquet')], actions);
    await expect(reading).rejects.toMatchObject({ code: 'STREAM_TABLE_INCOMPATIBLE' });
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(foreignFolder);
  });

  test('a feature that only a checkpoint knows of', async () => {
    const objects = new MemoryObjects();
    putVersions(objects, 2, [addOf('b.parquet')]);
    const features = ['v2Checkpoint', 'deletionVectors'];
    putV2Checkpoint(objects, 1, [protocolOf(features), metaDataOf()], 'parquet');
    await expect(readFrom(objects)).rejects.toThrow(/: deletionVectors \(/);
  });

  test.each<[string, readonly Action[]]>([
    ['checkpoints of kind V2', [protocolOf(['v2Checkpoint', 'vacuumProtocolCheck'])]],
    ['column mapping that is not in force', [protocolOf(['columnMapping'])]],
    ['a protocol that allows for column mapping', [protocolOf([], { reader: 2, writer: 5 })]],
    [
      'features of writers alone',
      [
        {
          protocol: {
            ...{ minReaderVersion: 1, minWriterVersion: 7, readerFeatures: null },
            writerFeatures: ['rowTracking', 'domainMetadata', 'changeDataFeed'],
          },
        },
      ],
    ],
  ])('and read tables with %s', async (_what, actions) => {
    const table = await read([protocolOf(), metaDataOf()], actions, [addOf('b.parquet')]);
    expect(table.files).toHaveLength(1);
  });
});

describe('our writer refuses what it does not implement', () => {
  const withSetting = (setting: string, value = 'true'): Action =>
    metaDataOf(
      flightsPlan.columns.map(({ name, nullable, type }) => ({
        ...{ name, nullable },
        type: type === 'integer' ? 'long' : type,
      })),
      { configuration: { [setting]: value } },
    );

  test.each<[string, RegExp, Action]>([
    ['row tracking', /rowTracking/, protocolOf(['rowTracking'], { reader: 1 })],
    ['a writer version', /writer version 4/, protocolOf([], { writer: 4 })],
    ['checkpoints of kind V2', /v2Checkpoint/, protocolOf(['v2Checkpoint'])],
    ['a change data feed', /changeDataFeed/, withSetting('delta.enableChangeDataFeed')],
    ['in-commit timestamps', /inCommitTimestamp/, withSetting('delta.enableInCommitTimestamps')],
    ['constraints', /delta\.constraints\.ok/, withSetting('delta.constraints.ok', 'number > 0')],
    ['column mapping', /columnMapping/, withSetting('delta.columnMapping.mode', 'id')],
    ['V2 by policy', /v2Checkpoint/, withSetting('delta.checkpointPolicy', 'v2')],
    [
      'identity columns',
      /identityColumns/,
      metaDataOf([{ name: 'id', type: 'long', metadata: { 'delta.identity.start': 1 } }]),
    ],
  ])('%s', async (_what, message, action) => {
    const objects = new MemoryObjects();
    const table = openTestTable(objects);
    await table.flush({ task, batches: [batchOf(task, 1)] });
    const name = `tables/flights/_delta_log/${'2'.padStart(20, '0')}.json`;
    objects.objects.set(name, Buffer.from(`${JSON.stringify(action)}\n`));
    for (const writer of [table, openTestTable(objects)]) {
      const flush = writer.flush({ task, batches: [batchOf(task, 2)] });
      await expect(flush).rejects.toMatchObject({ code: 'STREAM_TABLE_INCOMPATIBLE' });
      await expect(flush).rejects.toThrow(message);
    }
    expect(objects.names('_delta_log/')).toHaveLength(3);
  });
});

describe('taking files out of a table', () => {
  const plan = { ...flightsPlan, name: 'foreign' };
  async function replace(
    objects: MemoryObjects,
    more: { readonly isDataChange: boolean; readonly readVersion?: number },
  ): ReturnType<typeof replaceFiles> {
    const { files, version } = await readFrom(objects);
    return replaceFiles(
      {
        ...{ objects, plan, folder: foreignFolder, clock: { nowMs: () => 1 } },
        telemetry: { emit: () => undefined },
      },
      {
        ...{ token: 'token', operation: replaceOperation, readVersion: version, adds: [] },
        removes: files.map(({ add }) => add),
        ...more,
      },
    );
  }

  test('an append-only table lets files be rewritten, and no row be taken out', async () => {
    const objects = new MemoryObjects();
    const appendOnly = metaDataOf(undefined, { configuration: { 'delta.appendOnly': 'true' } });
    putVersions(objects, 0, [protocolOf(), appendOnly], [addOf('a.parquet')]);
    const deletion = replace(objects, { isDataChange: true });
    await expect(deletion).rejects.toMatchObject({ code: 'STREAM_TABLE_INCOMPATIBLE' });
    await expect(deletion).rejects.toThrow('append-only');
    expect(await replace(objects, { isDataChange: false })).toMatchObject({ kind: 'replaced' });
  });

  test('features that a table got meanwhile are honoured', async () => {
    const objects = new MemoryObjects();
    putVersions(objects, 0, [protocolOf(), metaDataOf()], [addOf('a.parquet')]);
    const [writerOnly] = [protocolOf(['rowTracking'], { reader: 1 })];
    putVersions(objects, 2, [writerOnly]);
    const deletion = replace(objects, { isDataChange: true, readVersion: 1 });
    await expect(deletion).rejects.toThrow('rowTracking');
  });

  test.each<[string, Action, RegExp]>([
    ['a file that others took out', removeOf('a.parquet'), /version 2 changed a\.parquet/],
    ['columns that others added', metaDataOf(), /version 2 changed the schema/],
  ])('%s: nothing is done', async (_what, action, by) => {
    const objects = new MemoryObjects();
    putVersions(objects, 0, [protocolOf(), metaDataOf()], [addOf('a.parquet')]);
    const { files } = await readFrom(objects);
    putVersions(objects, 2, [action]);
    const outcome = await replaceFiles(
      {
        ...{ objects, plan, folder: foreignFolder, clock: { nowMs: () => 1 } },
        telemetry: { emit: () => undefined },
      },
      {
        ...{ token: 'token', operation: 'OPTIMIZE', readVersion: 1, adds: [] },
        ...{ removes: files.map(({ add }) => add), isDataChange: false },
      },
    );
    expect(outcome).toMatchObject({ kind: 'superseded', by: expect.stringMatching(by) });
    expect(objects.names('_delta_log/')).toHaveLength(3);
  });

  test('a hole is not filled by it', async () => {
    const objects = new MemoryObjects();
    putVersions(objects, 0, [protocolOf(), metaDataOf()], [addOf('a.parquet')]);
    const { files } = await readFrom(objects);
    putVersions(objects, 2, [addOf('b.parquet')], [addOf('c.parquet')]);
    objects.objects.delete(entryName(2));
    const replacing = replaceFiles(
      {
        ...{ objects, plan, folder: foreignFolder, clock: { nowMs: () => 1 } },
        telemetry: { emit: () => undefined },
      },
      {
        ...{ token: 'token', operation: 'OPTIMIZE', readVersion: 1, adds: [] },
        ...{ removes: files.map(({ add }) => add), isDataChange: false },
      },
    );
    await expect(replacing).rejects.toThrow('version 2');
    expect(objects.names(entryName(2))).toEqual([]);
  });

  test('that all was replaced is known, also when that version is behind a checkpoint', async () => {
    const objects = new MemoryObjects();
    const table = openTestTable(objects, { checkpointEvery: 4, folder: foreignFolder });
    await table.flush({ task, batches: [batchOf(task, 1)] });
    expect(await replace(objects, { isDataChange: true })).toMatchObject({ version: 2 });
    for (const commit of [2, 3, 4]) await table.flush({ task, batches: [batchOf(task, commit)] });
    for (const version of [0, 1, 2, 3]) objects.objects.delete(entryName(version));
    const { flushedThrough, replacedAt } = await readFrom(objects);
    expect(replacedAt).toBe(2);
    expect(Array.from(flushedThrough.keys())).toEqual([task]);
  });
});

describe('paths that leave the folder of the table', () => {
  test.each([
    ['upwards', '../../secrets/a.parquet'],
    ['upwards, encoded', '%2e%2e/%2E%2E/secrets/a.parquet'],
    ['upwards from within', 'day=1/../../other/a.parquet'],
    ['upwards with a backslash', '..%5C..%5Csecrets%5Ca.parquet'],
    ['from the root', '/tables/other/a.parquet'],
    ['from the root, encoded', '%2Ftables/other/a.parquet'],
    ['to another account', 'abfss://lake@other.dfs.core.windows.net/t/a.parquet'],
    ['to a file of the machine', 'file:///etc/passwd'],
    ['with a null character', 'a%00.parquet'],
  ])('%s', async (_what, path) => {
    const reading = read([protocolOf(), metaDataOf()], [addOf(path)]);
    await expect(reading).rejects.toMatchObject({ code: 'STREAM_TABLE_INCOMPATIBLE' });
    await expect(reading).rejects.toThrow(foreignFolder);
  });

  test('an absolute path is said to be that of a shallow clone', async () => {
    const path = 's3://bucket/source/part-0.parquet';
    await expect(read([protocolOf(), metaDataOf()], [addOf(path)])).rejects.toThrow(
      /absolute, as those of a shallow clone/,
    );
  });

  test.each([
    ['a%2520b/c%3Dd.parquet', 'a%20b/c=d.parquet'],
    ['%252e%252e/a.parquet', '%2e%2e/a.parquet'],
    ['k=a:b/..c/d...parquet', 'k=a:b/..c/d...parquet'],
    ['k=%E4%BD%A0/x.parquet', 'k=你/x.parquet'],
  ])('percent signs are decoded once: %s', async (path, name) => {
    const { files } = await read([protocolOf(), metaDataOf()], [addOf(path)]);
    expect(files[0]?.name).toBe(`${foreignFolder}/${name}`);
  });
});

describe('a damaged log entry is an error that names it', () => {
  const head = [protocolOf(), metaDataOf()];
  const line = (action: unknown): string => `${JSON.stringify(action)}\n`;
  const withSchema = (schemaString: unknown): string =>
    line({ metaData: { ...metaDataOf().metaData, schemaString } });
  test.each<[string, string]>([
    ['a line that was cut short', line(addOf('a.parquet')).slice(0, 30)],
    ['a list', '[]\n'],
    ['bytes that are not UTF-8', '\u0000bytes'],
    ['nothing', ''],
    ['a schema that is not JSON', withSchema('{"type":"struct","fields":[')],
    ['a schema without fields', withSchema('{"type":"struct"}')],
    ['a schema of fields without names', withSchema('{"fields":[{"type":"long"}]}')],
    ['no schema', withSchema(undefined)],
    [
      'partition columns that are no list',
      line({ metaData: { ...metaDataOf().metaData, partitionColumns: 'a' } }),
    ],
    ['a file without a path', line({ add: { ...addOf('x').add, path: undefined } })],
    ['a path that cannot be decoded', line(addOf('a%zz.parquet'))],
    [
      'partition values that are numbers',
      line({ add: { ...addOf('x').add, partitionValues: { k: 1 } } }),
    ],
    ['an action that is text', line({ remove: 'a.parquet' })],
    ['versions that are texts', line({ protocol: { minReaderVersion: '1', minWriterVersion: 2 } })],
    ['a transaction without a version', line({ txn: { appId: 'a' } })],
  ])('%s', async (_what, text) => {
    const objects = new MemoryObjects();
    putVersions(objects, 0, head, [addOf('a.parquet')]);
    const bytes = text.startsWith('\u0000') ? Buffer.from([0xff, 0xfe, 0x0a]) : Buffer.from(text);
    objects.objects.set(entryName(2), bytes);
    const reading = readFrom(objects);
    await expect(reading).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
    await expect(reading).rejects.toThrow(entryName(2));
  });

  test('actions of kinds that readers need not know pass', async () => {
    const objects = new MemoryObjects();
    putVersions(objects, 0, head, [addOf('a.parquet')]);
    const text =
      line({ domainMetadata: { domain: 'd' } }) + line({ add: null, cdc: { path: 'x' } });
    objects.objects.set(entryName(2), Buffer.from(text));
    expect(await readFrom(objects)).toMatchObject({ version: 2, rows: 1 });
  });

  test('statistics that say nothing leave the rows unknown', async () => {
    const { files, rows } = await read(head, [
      addOf('a.parquet', { stats: null }),
      addOf('b.parquet', { stats: 'not JSON' }),
      addOf('c.parquet', { stats: '{"numRecords":7}' }),
    ]);
    expect(files.map((file) => file.rows)).toEqual([null, null, 7]);
    expect(rows).toBe(7);
  });
});
