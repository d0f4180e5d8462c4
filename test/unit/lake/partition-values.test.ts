// Goal: files belong together by the partition values in the log. Whatever the values are, each has a
// file of its own, no path comes twice, and no folder says a value that is not the row's.
import { dataFileName, partitionFolders, valueSegment } from '../../../shared/lake/names';
import type { Cell } from '../../../shared/model/table';
import { MemoryObjects, flightsPlan, openTestTable } from '../../support/lake-memory';
import { columnOf, contentsOf, planOf, rowsOf, written } from '../../support/lake-tables';

const nullFolder = '__HIVE_DEFAULT_PARTITION__';
const columns = [columnOf('k', 'string'), columnOf('n', 'integer')];
const plan = planOf(columns, ['k']);

async function valuesOf(values: readonly Cell[], format = plan.format) {
  const ofFormat = planOf(columns, ['k'], format);
  const objects = await written(
    ofFormat,
    values.map((value, index) => [value, index]),
  );
  const { files } = await contentsOf(ofFormat, objects);
  const paths = files.map(({ add }) => add.path);
  expect(new Set(paths).size).toBe(paths.length);
  const rows = await rowsOf(ofFormat, objects);
  return { files, rows: rows.sort(([, one], [, two]) => Number(one) - Number(two)) };
}

test.each([
  ['null first', [null, nullFolder]],
  ['null last', [nullFolder, null]],
])(
  'one commit never adds one path twice: null and a text spelt like its folder, %s',
  async (_, values) => {
    const { files, rows } = await valuesOf(values);
    expect(files.map(({ partitionValues }) => partitionValues['k'])).toEqual(values);
    expect(rows).toEqual(values.map((value, index) => [value, index]));
  },
);

test('the rows are the same ones in two files, and the paths still differ', async () => {
  const objects = await written(plan, [
    [null, 1],
    [nullFolder, 1],
  ]);
  const { files } = await contentsOf(plan, objects);
  expect(new Set(files.map(({ name }) => name)).size).toBe(2);
});

test('an empty text is a null in a Delta table, by its rule, and itself in one of NDJSON', async () => {
  const values = ['', null, 'x', nullFolder];
  const delta = await valuesOf(values);
  expect(delta.rows).toEqual([
    [null, 0],
    [null, 1],
    ['x', 2],
    [nullFolder, 3],
  ]);
  expect(delta.files).toHaveLength(3);
  const ndjson = await valuesOf(values, 'ndjson');
  expect(ndjson.rows).toEqual(values.map((value, index) => [value, index]));
  expect(ndjson.files.map(({ partitionValues }) => partitionValues['k'])).toEqual(values);
});

test('an empty text is refused where the column takes no null: Delta would make it one', async () => {
  const required = planOf([columnOf('k', 'string', false), columnOf('n', 'integer')], ['k']);
  await expect(written(required, [['', 1]])).rejects.toMatchObject({
    code: 'STREAM_TABLE_INCOMPATIBLE',
    message: expect.stringMatching(/column k .*at least one character/),
  });
  await expect(written({ ...required, format: 'ndjson' }, [['', 1]])).resolves.toBeDefined();
});

test('texts that differ behind the place where a folder name is cut have folders of their own', async () => {
  const head = 'x'.repeat(300);
  const values = [`${head}a`, `${head}b`, head, 'ž'.repeat(300), `${'ž'.repeat(299)}y`];
  const { files, rows } = await valuesOf(values);
  expect(rows.map(([value]) => value)).toEqual(values);
  const folders = files.map(({ name }) => name.split('/').at(-2) ?? '');
  expect(new Set(folders).size).toBe(values.length);
  for (const folder of folders) {
    // Some readers take values from folders that have a `=`: none rather than a wrong one.
    expect(folder).not.toContain('=');
    expect(folder.length).toBeLessThan(255);
  }
});

test('a folder says its value exactly or has no =', () => {
  const folders = (value: string | null) => partitionFolders([['k', value]]);
  expect(folders(null)).toBe(`k=${nullFolder}/`);
  expect(folders('a/b=c')).toBe('k=a%2Fb%3Dc/');
  for (const text of [nullFolder, '', 'null', 'NULL']) expect(folders(text)).not.toContain('=');
  expect(folders('x'.repeat(201))).not.toContain('=');
  expect(partitionFolders([['c'.repeat(220), 'v']])).toMatch(/^c{100}-[0-9a-f]{32}\/$/);
});

test('many long values together still fit the name of a blob', () => {
  const many = (last: string) =>
    partitionFolders(
      Array.from({ length: 9 }, (_, index) => [`k${index}`, `${'v'.repeat(150)}${last}`]),
    );
  expect(many('a').length).toBeLessThan(200);
  expect(many('a')).not.toBe(many('b'));
});

test.each(['a', 'a.', 'a..', '.', '..', '...'])(
  'no folder ends with a dot, which some clients drop: %j',
  (value) => {
    expect(partitionFolders([['k', value]])).not.toMatch(/\.\/$/);
    expect(valueSegment(value)).not.toMatch(/\.$/);
    expect(decodeURIComponent(valueSegment(value))).toBe(value);
  },
);

test('the name of a file differs with its partition values, its task and its rows', () => {
  const options = { firstCommit: 1, lastCommit: 2, bytes: Buffer.from('x'), extension: '.x' };
  const base = { ...options, task: 'a/b', partitionValues: { k: null } };
  const names = [
    base,
    { ...base, partitionValues: { k: nullFolder } },
    { ...base, partitionValues: { k: '' } },
    { ...base, task: 'a-b' },
    { ...base, bytes: Buffer.from('y') },
    { ...base, task: 'z'.repeat(400) },
    { ...base, task: `${'z'.repeat(400)}/` },
  ].map(dataFileName);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name.length).toBeLessThan(255);
});

test('half a character is U+FFFD in the value, the folder, the statistics and the log', async () => {
  const values = ['a\ud83d', 'a\udc00', 'a\ufffd'];
  for (const format of ['delta', 'ndjson', 'ndjson-gzip'] as const) {
    const { files, rows } = await valuesOf(values, format);
    expect(files.map(({ partitionValues }) => partitionValues['k'])).toEqual(['a\ufffd']);
    expect(rows).toEqual(values.map((_, index) => ['a\ufffd', index]));
    const cells = planOf(columns, [], format);
    const objects = await written(
      cells,
      values.map((value, index) => [value, index]),
    );
    expect((await rowsOf(cells, objects)).map(([value]) => value)).toEqual(
      values.map(() => 'a\ufffd'),
    );
    for (const name of objects.names('.json')) {
      expect(objects.text(name)).not.toMatch(/\\u[dD][89a-fA-F]/);
    }
    for (const name of objects.names('.ndjson')) {
      expect(objects.text(name)).not.toMatch(/\\u[dD][89a-fA-F]/);
    }
  }
});

test('a point in time outside the years 1 to 9999 is no partition value: no reader knows its text', async () => {
  const byTime = planOf([columnOf('at', 'timestamp'), columnOf('n', 'integer')], ['at']);
  for (const atMs of [Date.UTC(10_000, 0, 1), -62_135_596_800_001]) {
    await expect(written(byTime, [[atMs, 1]])).rejects.toThrow(/column at .*years 1 to 9999/);
  }
  const rows = [
    [-62_135_596_800_000, 1],
    [Date.UTC(9999, 11, 31, 23, 59, 59, 999), 2],
  ];
  expect(await rowsOf(byTime, await written(byTime, rows))).toEqual(rows);
});

test('-0 and 0 are two partition values', async () => {
  const byRatio = planOf([columnOf('ratio', 'double'), columnOf('n', 'integer')], ['ratio']);
  const objects = await written(byRatio, [
    [0, 1],
    [-0, 2],
  ]);
  const { files } = await contentsOf(byRatio, objects);
  expect(files.map(({ partitionValues }) => partitionValues['ratio'])).toEqual(['0', '-0.0']);
  expect(await rowsOf(byRatio, objects)).toEqual([
    [0, 1],
    [-0, 2],
  ]);
});

describe('path patterns', () => {
  const ndjson = { ...flightsPlan, format: 'ndjson' } as const;

  async function foldersOf(pathPattern: string, id: string, atMs: number | null = null) {
    const objects = new MemoryObjects();
    const table = openTestTable(objects, { plan: ndjson, pathPattern });
    await table.flush({
      task: 'a/b/0/1',
      batches: [{ commit: 1, rows: [[id, 1, 1, true, atMs, null]] }],
    });
    return objects.names('.ndjson').map((name) => name.slice('tables/flights/'.length));
  }

  test.each(['..', '.', '', nullFolder, '../..', 'x'.repeat(500)])(
    'the value %j makes a folder of its own inside the table',
    async (id) => {
      const [path = ''] = await foldersOf('{id}', id);
      expect(path).toMatch(/^[^/]+\/[^/]+$/);
      expect(path.split('/')[0]).not.toMatch(/^\.*$/);
      expect(path).not.toMatch(new RegExp(`^${nullFolder}/`));
    },
  );

  test('a year of five digits or before the first begins no path with a slash', async () => {
    for (const atMs of [Date.UTC(12_000, 0, 1), -62_200_000_000_000]) {
      const [path = ''] = await foldersOf('{date}', 'x', atMs);
      expect(path).toMatch(/^(%2B012000|-000002)-\d\d-\d\d\/[^/]+$/);
    }
  });

  test('a pattern that leads out of the table is refused', () => {
    for (const pathPattern of ['../{id}', 'a/./{id}']) {
      expect(() => openTestTable(new MemoryObjects(), { plan: ndjson, pathPattern })).toThrow(
        /is no name of a folder/,
      );
    }
  });

  test('folders that are too long together are one', async () => {
    const [path = ''] = await foldersOf('{id}/{id}/{id}/{id}', 'y'.repeat(190));
    expect(path).toMatch(/^partition-[0-9a-f]{32}\//);
  });
});
