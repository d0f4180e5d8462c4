// Goal: a table is read from where Delta says that its log starts, whatever was cleaned, lost or
// written by other tools; and a hole in it stops readers and writers alike.
import type { Action } from '../../../shared/lake/actions';
import { TableStateBuilder } from '../../../shared/lake/checkpoint-codec';
import { readTable, type TableContents } from '../../../shared/lake/table-reader';
import {
  addOf,
  checkpointStem,
  entryName,
  foreignFolder,
  metaDataOf,
  protocolOf,
  putClassicCheckpoint,
  putLines,
  putV2Checkpoint,
  putVersions,
  removeOf,
} from '../../support/foreign-table';
import { MemoryObjects, flightsPlan, openTestTable } from '../../support/lake-memory';
import { batchOf, batchesOf, idsOf, readIds } from '../../support/lake-rows';

const task = 'flights/clean/0/1';
const read = (objects: MemoryObjects, version?: number): Promise<TableContents> =>
  readTable({
    ...{ objects, folder: foreignFolder, format: 'delta' as const },
    ...(version !== undefined && { version }),
  });
const pathsOf = ({ files }: TableContents): string[] => files.map(({ add }) => add.path).sort();

const history: readonly (readonly Action[])[] = [
  [protocolOf(), metaDataOf()],
  [addOf('a.parquet'), { txn: { appId: task, version: 1 } }],
  [addOf('b.parquet'), addOf('c.parquet'), { txn: { appId: task, version: 2 } }],
  [removeOf('b.parquet')],
  [addOf('d.parquet'), { txn: { appId: task, version: 4 } }],
];

function stateAt(version: number): Action[] {
  const state = new TableStateBuilder();
  history.slice(0, version + 1).forEach((actions, index) => {
    state.apply(index, actions);
  });
  return state.toActions(0);
}

function written(): MemoryObjects {
  const objects = new MemoryObjects();
  putVersions(objects, 0, ...history);
  return objects;
}

function deleteVersions(objects: MemoryObjects, ...versions: readonly number[]): void {
  for (const version of versions) objects.objects.delete(entryName(version));
}

describe('a log whose old versions were cleaned away behind a checkpoint', () => {
  test.each<[string, (objects: MemoryObjects) => unknown]>([
    ['of one file', (objects) => putClassicCheckpoint(objects, 3, stateAt(3))],
    ['in parts', (objects) => putClassicCheckpoint(objects, 3, stateAt(3), 3)],
    ['of kind V2 in JSON', (objects) => putV2Checkpoint(objects, 3, stateAt(3), 'json')],
    ['of kind V2 in Parquet', (objects) => putV2Checkpoint(objects, 3, stateAt(3), 'parquet')],
    [
      'of kind V2 under a classic name',
      (objects) => putV2Checkpoint(objects, 3, stateAt(3), 'classic name'),
    ],
  ])('%s', async (_kind, put) => {
    const objects = written();
    put(objects);
    deleteVersions(objects, 0, 1, 2, 3);
    const table = await read(objects);
    expect(table).toMatchObject({ version: 4, rows: 3 });
    expect(pathsOf(table)).toEqual(['a.parquet', 'c.parquet', 'd.parquet']);
    expect(table.flushedThrough.get(task)).toBe(4);
  });

  test.each([
    ['missing', undefined],
    ['of an older one', '{"version":1}'],
    ['of one that never was', '{"version":400}'],
    ['rubbish', 'not JSON'],
  ])('_last_checkpoint is %s', async (_what, hint) => {
    const objects = written();
    putClassicCheckpoint(objects, 1, stateAt(1));
    putClassicCheckpoint(objects, 3, stateAt(3), 2);
    deleteVersions(objects, 0, 1, 2, 3);
    const name = `${foreignFolder}/_delta_log/_last_checkpoint`;
    if (hint !== undefined) objects.objects.set(name, Buffer.from(hint));
    expect(pathsOf(await read(objects))).toEqual(['a.parquet', 'c.parquet', 'd.parquet']);
  });

  test('a version that is gone for good is asked for in vain', async () => {
    const objects = written();
    putClassicCheckpoint(objects, 3, stateAt(3));
    deleteVersions(objects, 0, 1, 2);
    expect(pathsOf(await read(objects, 3))).toEqual(['a.parquet', 'c.parquet']);
    await expect(read(objects, 1)).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
  });

  test('an older checkpoint stands in for one that is damaged, and so does the whole log', async () => {
    const objects = written();
    const [newer = ''] = putClassicCheckpoint(objects, 3, stateAt(3));
    objects.objects.set(newer, Buffer.from('PAR1 no more'));
    expect(pathsOf(await read(objects))).toEqual(['a.parquet', 'c.parquet', 'd.parquet']);
    putClassicCheckpoint(objects, 2, stateAt(2));
    deleteVersions(objects, 0, 1, 2);
    expect(pathsOf(await read(objects))).toEqual(['a.parquet', 'c.parquet', 'd.parquet']);
  });

  test.each<[string, (objects: MemoryObjects) => string]>([
    [
      'is damaged',
      (objects) => {
        const [name = ''] = putClassicCheckpoint(objects, 3, stateAt(3));
        objects.objects.set(name, Buffer.from('PAR1 no more'));
        return name;
      },
    ],
    [
      'lacks a part',
      (objects) => {
        const names = putClassicCheckpoint(objects, 3, stateAt(3), 3);
        objects.objects.delete(names[2] ?? '');
        return names[0]?.slice(foreignFolder.length + '/_delta_log/'.length) ?? '';
      },
    ],
    [
      'lacks a sidecar',
      (objects) => {
        const { sidecars } = putV2Checkpoint(objects, 3, stateAt(3), 'json');
        objects.objects.delete(sidecars[1] ?? '');
        return sidecars[1] ?? '';
      },
    ],
    [
      'has a sidecar that was cut short',
      (objects) => {
        const { sidecars } = putV2Checkpoint(objects, 3, stateAt(3), 'parquet');
        const name = sidecars[0] ?? '';
        objects.objects.set(name, (objects.objects.get(name) ?? Buffer.from('')).subarray(1));
        return name;
      },
    ],
    [
      'has no protocol',
      (objects) =>
        putClassicCheckpoint(
          objects,
          3,
          stateAt(3).filter(({ protocol }) => !protocol),
        )[0] ?? '',
    ],
  ])('the only checkpoint %s: readers stop with its name', async (_what, damage) => {
    const objects = written();
    const name = damage(objects);
    deleteVersions(objects, 0, 1, 2, 3);
    const reading = read(objects);
    await expect(reading).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
    await expect(reading).rejects.toThrow(name);
  });

  test('a sidecar outside the log is not read', async () => {
    const objects = written();
    const { top } = putV2Checkpoint(objects, 3, stateAt(3), 'json');
    const text = objects.text(top).replaceAll('"path":"', '"path":"../../other/');
    objects.objects.set(top, Buffer.from(text));
    deleteVersions(objects, 0, 1, 2, 3);
    await expect(read(objects)).rejects.toMatchObject({ code: 'STREAM_TABLE_INCOMPATIBLE' });
  });

  test('a checkpoint never brings removed files back', async () => {
    const objects = new MemoryObjects();
    const table = openTestTable(objects, { checkpointEvery: 4 });
    await table.flush({ task, batches: [batchOf(task, 1)] });
    await table.flush({ task, batches: [batchOf(task, 2)] });
    const [first] = (await readTable({ objects, folder: 'tables/flights', format: 'delta' })).files;
    if (first === undefined) throw new Error('no file');
    const name = `tables/flights/_delta_log/${'3'.padStart(20, '0')}.json`;
    putLines(objects, name, [removeOf(first.add.path)]);
    await table.flush({ task, batches: [batchOf(task, 3)] });
    expect(objects.names('4.checkpoint.parquet')).toHaveLength(1);
    for (let old = 0; old <= 3; old += 1) {
      objects.objects.delete(`tables/flights/_delta_log/${String(old).padStart(20, '0')}.json`);
    }
    expect(await readIds(objects)).toEqual(idsOf(batchesOf(task, 2, 3)));
  });
});

describe('a log with a hole', () => {
  test('readers stop and name the missing version', async () => {
    const objects = written();
    deleteVersions(objects, 2);
    const reading = read(objects);
    await expect(reading).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
    await expect(reading).rejects.toThrow(`version 2 (${entryName(2)}) is missing`);
  });

  test('also where the versions above it are behind a checkpoint that is newer', async () => {
    const objects = written();
    putClassicCheckpoint(objects, 4, stateAt(4), 2);
    objects.objects.delete(`${checkpointStem(4)}.0000000001.0000000002.parquet`);
    deleteVersions(objects, 2, 4);
    await expect(read(objects)).rejects.toThrow('version 2');
  });

  test.each([
    ['one that starts', 0],
    ['one that wrote below the hole long ago', 60_000],
  ])('no writer fills it: %s', async (_which, idleMs) => {
    const objects = new MemoryObjects();
    let nowMs = 1_000_000;
    const clock = { nowMs: () => nowMs };
    const idle = openTestTable(objects, { clock });
    await idle.flush({ task, batches: batchesOf(task, 1, 2) });
    const other = openTestTable(objects);
    for (let commit = 3; commit <= 5; commit += 1) {
      await other.flush({ task, batches: [batchOf(task, commit)] });
    }
    const hole = `tables/flights/_delta_log/${'2'.padStart(20, '0')}.json`;
    objects.objects.delete(hole);
    nowMs += idleMs;
    const writer = idleMs === 0 ? openTestTable(objects) : idle;
    const flush = writer.flush({ task, batches: batchesOf(task, 3, 6) });
    await expect(flush).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
    await expect(flush).rejects.toThrow(hole);
    expect(objects.names(hole)).toEqual([]);
  });

  test('a log of which only the hint is left is not begun anew', async () => {
    const objects = new MemoryObjects();
    objects.objects.set('tables/flights/_delta_log/_last_checkpoint', Buffer.from('{"version":9}'));
    const flush = openTestTable(objects).flush({ task, batches: [batchOf(task, 1)] });
    await expect(flush).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
  });

  test('a version that is cleaned away while it is read is no hole', async () => {
    const objects = written();
    const list = objects.list.bind(objects);
    let listings = 0;
    objects.list = async (prefix) => {
      const found = await list(prefix);
      listings += 1;
      if (listings === 1) {
        putClassicCheckpoint(objects, 4, stateAt(4));
        deleteVersions(objects, 0, 1, 2, 3, 4);
      }
      return found;
    };
    expect(pathsOf(await read(objects))).toEqual(['a.parquet', 'c.parquet', 'd.parquet']);
  });

  test('a listing that came too early for a version does not make a hole of it', async () => {
    const objects = written();
    const list = objects.list.bind(objects);
    objects.list = async (prefix) =>
      (await list(prefix)).filter(({ name }) => name !== entryName(3));
    expect(pathsOf(await read(objects))).toEqual(['a.parquet', 'c.parquet', 'd.parquet']);
  });
});

describe('of all actions about a file the last one counts', () => {
  test('a path that was removed and added again is there, once', async () => {
    const objects = written();
    putVersions(objects, 5, [addOf('b.parquet')], [addOf('b.parquet'), addOf('a.parquet')]);
    const table = await read(objects);
    expect(pathsOf(table)).toEqual(['a.parquet', 'b.parquet', 'c.parquet', 'd.parquet']);
    expect(table.rows).toBe(4);
  });

  test('a path that another tool encodes differently is the same path', async () => {
    const objects = written();
    putVersions(objects, 5, [addOf('x%2By%20z.parquet')], [removeOf('x+y%20z.parquet')]);
    expect(pathsOf(await read(objects))).toEqual(['a.parquet', 'c.parquet', 'd.parquet']);
  });

  test('a file whose deletion vector was taken off it again is there', async () => {
    const objects = written();
    const deletionVector = {
      storageType: 'u',
      pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^',
      offset: 4,
    };
    putVersions(
      objects,
      5,
      [removeOf('a.parquet'), addOf('a.parquet', { deletionVector })],
      [addOf('a.parquet'), removeOf('a.parquet', { deletionVector })],
    );
    expect(pathsOf(await read(objects))).toEqual(['a.parquet', 'c.parquet', 'd.parquet']);
  });
});

test('a table of NDJSON is read from its newest checkpoint, too', async () => {
  const objects = new MemoryObjects();
  const plan = { ...flightsPlan, format: 'ndjson' } as const;
  const table = openTestTable(objects, { plan, checkpointEvery: 4 });
  for (let commit = 1; commit <= 6; commit += 1) {
    await table.flush({ task, batches: [batchOf(task, commit)] });
  }
  for (let old = 0; old <= 4; old += 1) {
    objects.objects.delete(`tables/flights/_millrace_log/${String(old).padStart(20, '0')}.json`);
  }
  expect(await readIds(objects, 'tables/flights', 'ndjson')).toEqual(idsOf(batchesOf(task, 1, 6)));
});
