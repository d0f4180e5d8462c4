// Goal: whatever the partition values are, our reader and DuckDB read what went in: DuckDB through the
// files and partition values that the log lists, and through the folders where these have a `=`.
import fc from 'fast-check';
import type { Cell, ColumnType, Row, TablePlan } from '../../shared/model/table';
import { askDuckDb } from '../support/lake-duckdb';
import type { MemoryObjects } from '../support/lake-memory';
import { columnOf, contentsOf, planOf, rowsOf, written } from '../support/lake-tables';

const head = 'long '.repeat(60);
const text = fc.oneof(
  fc.constantFrom<string | null>(
    ...[null, '', ' ', '.', '..', '__HIVE_DEFAULT_PARTITION__', '%5F_HIVE_DEFAULT_PARTITION__'],
    ...[
      '%',
      '%2F',
      '/',
      '=',
      'a=b/c=d',
      '\\',
      "it's",
      '"',
      'null',
      'NULL',
      '\u0000',
      '\t\n\r',
      '\u007f',
    ],
    ...['\u202e', '\ud800', '\udc00', 'a\ud83d', '\ufffd', 'é', 'e\u0301', 'A', 'a', 'K', '\u212a'],
    ...[`${head}a`, `${head}b`, head.slice(0, 199), 'ž'.repeat(300), '\u{10FFFF}'.repeat(100)],
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: fc.constantFrom('a', '.', '%', '/', '\ud83d', '\udc0e'), maxLength: 320 }),
);
const values: Readonly<Record<ColumnType, fc.Arbitrary<Cell>>> = {
  string: text,
  integer: fc.oneof(
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.constantFrom<Cell>(null, 0, -0, 2n ** 53n, '9007199254740993'),
  ),
  double: fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom<Cell>(null, 0, -0, 5e-324, 1e21),
  ),
  boolean: fc.option(fc.boolean()),
  timestamp: fc.option(
    fc.integer({ min: Date.parse('0001-01-01'), max: Date.UTC(9999, 11, 31, 23, 59, 59, 999) }),
  ),
  date: fc.option(
    fc
      .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => date.toISOString().slice(0, 10)),
  ),
};

/** What a partition value is once it is in a Delta table. */
function expectedValue(type: ColumnType, cell: Cell): Cell {
  if (cell === null || cell === '') return null;
  if (type === 'string') return String(cell).toWellFormed();
  if (type !== 'integer') return cell;
  const number = Number(cell);
  return Number.isSafeInteger(number) ? number + 0 : String(cell);
}

function spell([value = null, number = null]: Row): string {
  return `${number} ${Object.is(value, -0) ? '-0' : JSON.stringify(value)}`;
}

const literal = (value: string | null): string =>
  value === null ? 'NULL::VARCHAR' : `'${value.replaceAll("'", "''")}'`;

/** Each file with the value that the log gives it; NUL, which no SQL text can hold, by its place. */
async function byDuckDb(plan: TablePlan, objects: MemoryObjects): Promise<string[]> {
  const { files } = await contentsOf(plan, objects);
  const answers = await askDuckDb(
    objects,
    files.map(({ name }) => name),
    (fileOf) =>
      files
        .map(
          ({ name }, index) =>
            `SELECT ${index} AS file, n FROM read_parquet(${literal(fileOf(name))}, hive_partitioning = false)`,
        )
        .join(' UNION ALL '),
  );
  return answers.map(([file, n]) => {
    const value = files[Number(file)]?.partitionValues['k'] ?? null;
    return `${String(n)} ${JSON.stringify(value)}`;
  });
}

/** Folder names as DuckDB takes values from them, file by file; undefined: the folder has none. */
async function byFolder(
  plan: TablePlan,
  objects: MemoryObjects,
): Promise<(string | null | undefined)[]> {
  const { files } = await contentsOf(plan, objects);
  const named = files.filter(({ name }) => name.includes('k='));
  if (named.length === 0) return files.map(() => undefined);
  const answers = await askDuckDb(
    objects,
    named.map(({ name }) => name),
    (fileOf) =>
      named
        .map(
          ({ name }, index) =>
            `SELECT DISTINCT ${index}, k FROM read_parquet(${literal(fileOf(name))}, hive_partitioning = true, hive_types_autocast = false)`,
        )
        .join(' UNION ALL '),
  );
  const found = new Map(
    answers.map(([index, k]) => [named[Number(index)]?.name, k as string | null]),
  );
  return files.map(({ name }) => found.get(name));
}

test.each(Object.keys(values) as ColumnType[])('any partition values of type %s', async (type) => {
  await fc.assert(
    fc.asyncProperty(fc.array(values[type], { minLength: 1, maxLength: 30 }), async (cells) => {
      const plan = planOf([columnOf('k', type), columnOf('n', 'integer')], ['k']);
      const rows = cells.map((cell, index) => [cell, index]);
      const objects = await written(plan, rows);
      const expected = rows.map(([cell = null, index = null]) =>
        spell([expectedValue(type, cell), index]),
      );
      expect((await rowsOf(plan, objects)).map(spell).sort()).toEqual(expected.sort());
      const { files } = await contentsOf(plan, objects);
      const read = await byDuckDb(plan, objects);
      expect(read).toHaveLength(rows.length);
      expect(new Set(read).size).toBe(rows.length);
      const folders = await byFolder(plan, objects);
      files.forEach(({ partitionValues }, index) => {
        if (folders[index] === undefined) return;
        expect(folders[index]).toBe(partitionValues['k']);
      });
      for (const { name } of files) {
        expect(name.length).toBeLessThan(1_024);
        for (const segment of name.split('/')) expect(segment).toMatch(/^[\x20-\x7e]{1,254}$/);
      }
    }),
    { numRuns: type === 'string' ? 25 : 6 },
  );
});

test('two partition columns of texts: rows belong together by both values', async () => {
  const plan = planOf(
    [columnOf('a', 'string'), columnOf('n', 'integer'), columnOf('b', 'string')],
    ['b', 'a'],
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 30 }),
      async (pairs) => {
        const rows = pairs.map(([a, b], index) => [a, index, b]);
        const objects = await written(plan, rows);
        const expected = rows.map(([a = null, index, b = null]) =>
          JSON.stringify([index, expectedValue('string', a), expectedValue('string', b)]),
        );
        const found = (await rowsOf(plan, objects)).map(([a, n, b]) => JSON.stringify([n, a, b]));
        expect(found.sort()).toEqual(expected.sort());
        const { files } = await contentsOf(plan, objects);
        const groups = files.map(({ partitionValues }) => JSON.stringify(partitionValues));
        expect(new Set(groups).size).toBe(groups.length);
      },
    ),
    { numRuns: 40 },
  );
});

test('cells of every kind: integers of 64 bits, zeros and half characters, as DuckDB reads them', async () => {
  const plan = planOf([
    columnOf('n', 'integer'),
    columnOf('i', 'integer'),
    columnOf('d', 'double'),
    columnOf('s', 'string'),
    columnOf('b', 'boolean'),
  ]);
  const cells = fc.tuple(values.integer, values.double, text, values.boolean);
  await fc.assert(
    fc.asyncProperty(fc.array(cells, { minLength: 1, maxLength: 200 }), async (drawn) => {
      const rows = drawn.map((row, index) => [index, ...row]);
      const objects = await written(plan, rows);
      const [name = ''] = objects.names('.parquet');
      const read = await askDuckDb(
        objects,
        [name],
        (fileOf) =>
          `SELECT n::INT, i::VARCHAR, d::VARCHAR, s, b, (SELECT count(*) FROM read_parquet('${fileOf(name)}') WHERE b = true)::INT
           FROM read_parquet('${fileOf(name)}') ORDER BY n`,
      );
      const trues = rows.filter(([, , , , b]) => b === true).length;
      expect(
        read.map(([n, i, d, s, b, count]) => [n, i, d === null ? null : Number(d), s, b, count]),
      ).toEqual(
        rows.map(([n, i = null, d = null, s = null, b]) => [
          n,
          i === null ? null : String(BigInt(i)),
          d,
          typeof s === 'string' ? s.toWellFormed() : s,
          b,
          trues,
        ]),
      );
    }),
    { numRuns: 15 },
  );
});
