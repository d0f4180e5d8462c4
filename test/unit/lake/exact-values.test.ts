// Goal: what a row holds is what the file, its statistics and its partition values hold: no integer
// is rounded, no zero loses its sign, no bound is missing where a reader would take that for null.
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { version as packageVersion } from '../../../package.json';
import { productVersion } from '../../../shared/model/version';
import type { Cell, Row } from '../../../shared/model/table';
import type { MemoryObjects } from '../../support/lake-memory';
import { columnOf, contentsOf, planOf, rowsOf, statsOf, written } from '../../support/lake-tables';

const integers = planOf([columnOf('id', 'integer')]);

function fileOf(objects: MemoryObjects, extension = '.parquet'): ArrayBuffer {
  const [name = ''] = objects.names(extension);
  return Uint8Array.from(objects.objects.get(name) ?? []).buffer;
}

describe('integers beyond 2^53', () => {
  const ids: Cell[] = [
    1_524_831_183_200_260_097n,
    1_524_831_183_200_260_096n,
    '1524831183200260128',
    2n ** 63n - 1n,
    -(2n ** 63n),
    '-9007199254740993',
    7,
    -1,
    null,
    2n ** 53n,
    5n,
  ];
  const exact = ids.map((id) => (id === null ? null : BigInt(id)));
  const canonical = exact.map((id) => {
    if (id === null) return null;
    return Number.isSafeInteger(Number(id)) ? Number(id) : String(id);
  });
  const rows = ids.map((id) => [id]);

  test('are in the Parquet file as they are', async () => {
    const objects = await written(integers, rows);
    const read = await parquetReadObjects({ file: fileOf(objects) });
    expect(read.map(({ id }) => (id as bigint | null) ?? null)).toEqual(exact);
    expect(await rowsOf(integers, objects)).toEqual(canonical.map((id) => [id]));
  });

  test('bound the file exactly in the log and in the footer', async () => {
    const near = [[9_007_199_254_740_993n], [9_007_199_254_740_995n], [1]];
    const objects = await written(integers, near);
    expect(await statsOf(integers, objects)).toBe(
      '{"numRecords":3,"minValues":{"id":1},"maxValues":{"id":9007199254740995},"nullCount":{"id":0}}',
    );
    const { statistics } =
      parquetMetadata(fileOf(objects)).row_groups[0]?.columns[0]?.meta_data ?? {};
    expect(statistics).toMatchObject({ min_value: 1n, max_value: 9_007_199_254_740_995n });
  });

  test.each(['ndjson', 'ndjson-gzip'] as const)('are in %s lines as they are', async (format) => {
    const plan = planOf([columnOf('id', 'integer'), columnOf('text', 'string')], [], format);
    const withText = rows.map(([id]) => [id ?? null, '12345678901234567890']);
    const objects = await written(plan, withText);
    expect(await rowsOf(plan, objects)).toEqual(
      canonical.map((id) => [id, '12345678901234567890']),
    );
    if (format !== 'ndjson') return;
    const [name = ''] = objects.names('.ndjson');
    expect(objects.text(name)).toContain('{"id":1524831183200260097,');
  });

  test('are partition values as they are', async () => {
    const plan = planOf([columnOf('id', 'integer'), columnOf('n', 'integer')], ['id']);
    const objects = await written(
      plan,
      ids.map((id, index) => [id, index]),
    );
    const { files } = await contentsOf(plan, objects);
    expect(files.map(({ partitionValues }) => partitionValues['id'])).toEqual(
      exact.map((id) => (id === null ? null : String(id))),
    );
    expect(await rowsOf(plan, objects)).toEqual(canonical.map((id, index) => [id, index]));
  });

  test.each<[string, Cell]>([
    ['a number that was rounded', 9_007_199_254_740_992],
    ['one more than 64 bits hold', 2n ** 63n],
    ['a text of one more', '9223372036854775808'],
    ['a text that is no number', '12 monkeys'],
    ['a text with a sign', '+9007199254740993'],
    ['a text with zeros before it', '09007199254740993'],
    ['a very long text', '9'.repeat(100_000)],
    ['a fraction', 1.5],
  ])('%s is refused', async (_, id) => {
    await expect(written(integers, [[id]])).rejects.toThrow(/STREAM_TABLE_INCOMPATIBLE.*BigInt/);
  });

  test('a double of many digits is no integer', async () => {
    const plan = planOf([columnOf('ratio', 'double')], [], 'ndjson');
    const doubles = [[12_345_678_901_234_567_000], [-1e20], [1e21], [0.1]];
    expect(await rowsOf(plan, await written(plan, doubles))).toEqual(doubles);
  });
});

describe('zeros', () => {
  const doubles = planOf([columnOf('ratio', 'double')]);

  test.each<[string, number[], string, string]>([
    ['0 alone', [0], '-0.0', '0'],
    ['-0 alone', [-0], '-0.0', '0'],
    ['0 as the least', [0, 2], '-0.0', '2'],
    ['-0 as the greatest', [-3, -0], '-3', '0'],
  ])('%s: the bounds hold for both zeros', async (_, values, min, max) => {
    const objects = await written(
      doubles,
      values.map((value) => [value]),
    );
    expect(await statsOf(doubles, objects)).toBe(
      `{"numRecords":${values.length},"minValues":{"ratio":${min}},"maxValues":{"ratio":${max}},"nullCount":{"ratio":0}}`,
    );
    expect((await rowsOf(doubles, objects)).flat()).toEqual(values);
  });

  test('NDJSON keeps the sign', async () => {
    const plan = planOf([columnOf('ratio', 'double'), columnOf('n', 'integer')], [], 'ndjson');
    const objects = await written(plan, [[-0, -0]]);
    const [name = ''] = objects.names('.ndjson');
    expect(objects.text(name)).toBe('{"ratio":-0.0,"n":0}\n');
    expect(await rowsOf(plan, objects)).toEqual([[-0, 0]]);
  });

  test('an integer column has no -0 in its bounds, which is no integer to other readers', async () => {
    const objects = await written(integers, [[-0]]);
    expect(await statsOf(integers, objects)).toContain('"minValues":{"id":0},"maxValues":{"id":0}');
  });
});

describe('bounds that a reader needs', () => {
  test.each<[string, Cell[], string | undefined]>([
    ['true and false', [true, false, null], '"minValues":{"b":false},"maxValues":{"b":true}'],
    ['true alone', [true, true], '"minValues":{"b":true},"maxValues":{"b":true}'],
    ['false alone', [false], '"minValues":{"b":false},"maxValues":{"b":false}'],
    ['nothing', [null, null], '"minValues":{},"maxValues":{}'],
  ])('booleans have them, or a filter b = true would find no row: %s', async (_, values, text) => {
    const plan = planOf([columnOf('b', 'boolean')]);
    const objects = await written(
      plan,
      values.map((value) => [value]),
    );
    expect(await statsOf(plan, objects)).toContain(text);
    const { statistics } =
      parquetMetadata(fileOf(objects)).row_groups[0]?.columns[0]?.meta_data ?? {};
    const there = values.filter((value) => value !== null);
    if (there.length === 0) expect(statistics?.min_value).toBeUndefined();
    else {
      expect(statistics?.min_value).toBe(!there.includes(false));
      expect(statistics?.max_value).toBe(there.includes(true));
    }
  });

  const plan = planOf([
    columnOf('at', 'timestamp'),
    columnOf('n', 'integer'),
    columnOf('b', 'boolean'),
  ]);

  test.each([Date.UTC(10_000, 0, 1), -62_135_596_800_001, 8.64e15, -8.64e15])(
    'a point in time outside the years 1 to 9999 (%i) leaves the whole file without bounds',
    async (atMs) => {
      const rows: Row[] = [
        [atMs, 1, true],
        [0, 2, false],
      ];
      const objects = await written(plan, rows);
      expect(await statsOf(plan, objects)).toBe(
        '{"numRecords":2,"nullCount":{"at":0,"n":0,"b":0}}',
      );
      expect(await rowsOf(plan, objects)).toEqual(rows);
    },
  );

  test('a column of nulls alone takes no bounds from its neighbours', async () => {
    const objects = await written(plan, [[null, 1, true]]);
    expect(await statsOf(plan, objects)).toBe(
      '{"numRecords":1,"minValues":{"n":1,"b":true},"maxValues":{"n":1,"b":true},"nullCount":{"at":1,"n":0,"b":0}}',
    );
  });
});

test.each(['0000-01-01', '0000-12-31', '2026-02-31', '10000-01-01', '-001-01-01'])(
  'the day %s is refused: a reader would refuse the whole table for it',
  async (day) => {
    const plan = planOf([columnOf('day', 'date')]);
    await expect(written(plan, [[day]])).rejects.toThrow(/years 1 to 9999/);
    const byDay = planOf([columnOf('day', 'date'), columnOf('n', 'integer')], ['day']);
    await expect(written(byDay, [[day, 1]])).rejects.toThrow(/years 1 to 9999/);
  },
);

test('a file says by which version of what it was written', async () => {
  const objects = await written(integers, [[1]]);
  expect(parquetMetadata(fileOf(objects)).created_by).toBe(`millrace version ${packageVersion}`);
  expect(productVersion).toBe(packageVersion);
});
