// Goal: SQL sees every table of the lake as it is, typed and whole, and nothing else of the machine;
// results of any size come as they are read.
// Method: the built command against Azurite, with tables that the engine's writer made.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Azurite } from '../../../local/storage';
import { startAzurite } from '../../support/built';
import { connectContainer } from '../../../shared/adapters/blob-container';
import { BlobObjectStore } from '../../../shared/adapters/blob-object-store';
import type { Column, Row, TablePlan } from '../../../shared/model/table';
import { openTestTable } from '../../support/lake-memory';

jest.setTimeout(180_000);

const command = join(__dirname, '../../../dist/cli/millrace.js');

let azurite: Azurite;
let lake: BlobObjectStore;
let folder: string;

beforeAll(async () => {
  azurite = await startAzurite();
  const { connectionString } = azurite;
  lake = new BlobObjectStore(connectContainer({ connectionString, container: 'lake' }));
  folder = mkdtempSync(join(tmpdir(), 'millrace-query-'));
});

afterAll(async () => {
  await azurite.close();
  rmSync(folder, { recursive: true, force: true });
});

const column = (name: string, type: Column['type'], nullable = true): Column => ({
  ...{ name, type, nullable },
});

function planOf(name: string, parts: Partial<TablePlan> & Pick<TablePlan, 'columns'>): TablePlan {
  return {
    ...{ name, format: 'delta', partitionBy: [], pathPattern: null },
    flush: { rowsMax: 1_000_000, bytesMax: 64 * 1024 * 1024, ageMaxMs: 60_000 },
    ...parts,
  };
}

async function write(plan: TablePlan, rows: readonly Row[], commit = 1): Promise<void> {
  const table = openTestTable(lake, { plan, folder: `tables/${plan.name}` });
  await table.flush({ task: 'task', batches: [{ commit, rows: [...rows] }] });
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function query(sql: string, ...more: string[]): Promise<Ended> {
  const place = ['--storage', azurite.connectionString, '--data', join(folder, 'data')];
  const child = spawn(process.execPath, [command, 'query', sql, ...place, ...more]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

async function rowsOf(sql: string): Promise<unknown> {
  const { code, stderr, stdout } = await query(sql, '--json');
  expect([stderr, code]).toEqual(['', 0]);
  return JSON.parse(stdout);
}

describe('a table', () => {
  it('partitioned by numbers, days and texts has columns of these types, and whole values', async () => {
    const long = 'ř'.repeat(300);
    const plan = planOf('places', {
      columns: [column('n', 'integer'), column('hour', 'integer'), column('k', 'string')],
      partitionBy: ['hour', 'k'],
    });
    const literal = '__HIVE_DEFAULT_PARTITION__';
    await write(plan, [
      [1, 2, 'a'],
      [2, 10, long],
      [3, 9, literal],
      [4, -3, null],
      [5, 100, 'it\'s "x"/y=z%'],
    ]);
    expect(await rowsOf('select max(hour) m, sum(hour) s from places')).toEqual([
      { m: 100, s: 118 },
    ]);
    expect(await rowsOf('select n, hour, k from places order by n')).toEqual([
      { n: 1, hour: 2, k: 'a' },
      { n: 2, hour: 10, k: long },
      { n: 3, hour: 9, k: literal },
      { n: 4, hour: -3, k: null },
      { n: 5, hour: 100, k: 'it\'s "x"/y=z%' },
    ]);
  });

  it('has columns that came later, and null for them in the rows before', async () => {
    const before = planOf('grown', { columns: [column('a', 'integer')] });
    await write(before, [[1]]);
    const after = planOf('grown', {
      columns: [column('a', 'integer'), column('b', 'timestamp'), column('c', 'string')],
    });
    await write(after, [[2, Date.UTC(2026, 0, 1, 12), 'x']], 2);
    expect(await rowsOf('select * from grown order by a')).toEqual([
      { a: 1, b: null, c: null },
      { a: 2, b: '2026-01-01T12:00:00.000Z', c: 'x' },
    ]);
  });

  it.each(['ndjson', 'ndjson-gzip'] as const)('of %s files is read alike', async (format) => {
    const name = format.replace('-', '_');
    const columns = [
      ...[column('id', 'integer'), column('at', 'timestamp'), column('day', 'date')],
      ...[column('x', 'double'), column('ok', 'boolean'), column('text', 'string')],
    ];
    const at = Date.UTC(2026, 4, 6, 7, 8, 9, 10);
    await write(planOf(name, { columns, format }), [
      [1, at, '2026-05-06', 1.5, true, 'a,"b"\nc'],
      [2, null, null, null, null, null],
    ]);
    expect(await rowsOf(`select * from ${name} order by id`)).toEqual([
      {
        id: 1,
        at: '2026-05-06T07:08:09.010Z',
        day: '2026-05-06',
        x: 1.5,
        ok: true,
        text: 'a,"b"\nc',
      },
      { id: 2, at: null, day: null, x: null, ok: null, text: null },
    ]);
  });

  it('of a topology that is no more is there, and named where another is missing', async () => {
    await write(planOf('Former Table', { columns: [column('a', 'integer')] }), [[7]]);
    expect(await rowsOf('select a from "Former Table"')).toEqual([{ a: 7 }]);
    const { code, stderr } = await query('select * from nothing_such');
    expect(stderr).toMatch(/nothing_such does not exist/);
    expect(stderr).toMatch(/Tables there are: .*Former Table.*airport_days.*flights_clean/);
    expect(code).toBe(1);
  });

  it('with integers beyond 2^53 is exact in JSON, CSV and text', async () => {
    const sql =
      'select 9007199254740993::BIGINT a, 1.10::DECIMAL(4,2) d, sum(9223372036854775807) s';
    for (const form of [['--json'], ['--csv'], []]) {
      const { stdout } = await query(sql, ...form);
      expect(stdout).toContain('9007199254740993');
      expect(stdout).toContain('1.10');
      expect(stdout).toContain('9223372036854775807');
    }
  });
});

describe('files', () => {
  it('are copied once, and again only when there are new ones', async () => {
    const plan = planOf('copied', { columns: [column('a', 'integer')] });
    const copies = (): string[] =>
      readdirSync(join(folder, 'data', 'query-cache'), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.parquet'))
        .sort();
    const before = existsSync(join(folder, 'data')) ? copies() : [];
    await write(plan, [[1]]);
    expect(await rowsOf('select count(*)::INT n from copied')).toEqual([{ n: 1 }]);
    const first = copies();
    expect(first).toHaveLength(before.length + 1);
    await write(plan, [[2]], 2);
    expect(await rowsOf('select count(*)::INT n from copied')).toEqual([{ n: 2 }]);
    expect(copies()).toEqual(expect.arrayContaining(first));
    expect(copies()).toHaveLength(before.length + 2);
  });

  it('that are gone or were cut short are named, and no row is made up', async () => {
    const plan = planOf('damaged', { columns: [column('a', 'integer')] });
    await write(plan, [[1]]);
    const [file] = (await lake.list('tables/damaged/')).filter(({ name }) => /parquet$/.test(name));
    const bytes = (await lake.get(file?.name ?? '')) ?? Buffer.alloc(0);
    await lake.put(file?.name ?? '', bytes.subarray(0, bytes.length - 1));
    const cut = await query('select * from damaged');
    expect(cut.stderr).toMatch(/damaged\/.*parquet has \d+ bytes, the table's log says \d+/s);
    await lake.delete(file?.name ?? '');
    const gone = await query('select * from damaged');
    expect(gone.stderr).toMatch(/damaged.*parquet of the table is gone/s);
    expect([cut.code, gone.code, cut.stdout, gone.stdout]).toEqual([1, 1, '', '']);
  });
});

describe('SQL', () => {
  it('sees nothing of the machine, unless a flag says so', async () => {
    const secret = join(folder, 'secret.csv');
    const target = join(folder, 'written.csv');
    writeFileSync(secret, 'a\n1\n');
    const attempts = [
      `select * from read_csv('${secret}')`,
      `copy (select 1 a) to '${target}'`,
      `copy (select 1 a) to '${join(folder, 'data/query-cache/x.csv')}'`,
      `explain analyze copy (select 1 a) to '${target}'`,
      `select * from glob('${folder}/*')`,
      `attach '${join(folder, 'other.db')}'`,
      `prepare p as copy (select 1) to '${target}'`,
      'install httpfs',
      'set enable_external_access = true',
      `select * from '${secret}'`,
    ];
    for (const sql of attempts) {
      const { code, stdout } = await query(sql);
      expect([sql, code, stdout]).toEqual([sql, 1, '']);
    }
    expect(existsSync(target)).toBe(false);
    const allowed = await query(`copy (select 1 a) to '${target}'`, '--local-files');
    expect(allowed.code).toBe(0);
    expect(existsSync(target)).toBe(true);
  });

  it('of several statements shows each result; none is wrong use', async () => {
    const text = await query('create table t as select 1 a; select a from t; select 2 b');
    expect(text.stdout).toBe('a\n1\n\nb\n2\n');
    const json = await query('select 1 a; select 2 b', '--json');
    expect(json.stdout).toBe('[{"a":1}]\n[{"b":2}]\n');
    for (const sql of ['', '  ', ';', '/* nothing */']) {
      const { code, stderr } = await query(sql);
      expect([sql, code !== 0, stderr]).toEqual([
        sql,
        true,
        expect.stringMatching(/empty|no statement/),
      ]);
    }
  });

  it('with a mistake says it once and has no stack', async () => {
    const { code, stderr } = await query('select nothing from');
    expect(stderr).toMatch(/Parser Error/);
    expect(stderr).not.toMatch(/ at .*\.js/);
    expect(code).toBe(1);
  });
});

describe('a result', () => {
  it('lines up wide characters, and shows what would turn a terminal round as its code', async () => {
    const { stdout } = await query(
      "select * from (values ('日本', 1), ('a', 22), (chr(8238) || 'x', 3), ('e' || chr(769), 4)) t(k, n)",
    );
    expect(stdout.split('\n')).toEqual([
      'k        n',
      '日本     1',
      'a        22',
      '\\u202ex  3',
      'e\u0301        4',
      '',
    ]);
  });

  it('has times as ISO 8601, of any year and to the microsecond', async () => {
    const times = [
      "timestamptz '2026-01-01 01:00:00+01' a",
      "timestamp '1500-01-01 00:00:00.123456' b",
      "timestamptz '1969-12-31 23:59:59.999999+00' c",
      "timestamptz '9999-12-31 23:59:59+00' d",
      "'infinity'::timestamp e",
      "date '2026-02-03' f",
    ];
    const { stdout } = await query(`select ${times.join(', ')}`, '--json');
    expect(JSON.parse(stdout)).toEqual([
      {
        a: '2026-01-01T00:00:00.000Z',
        b: '1500-01-01T00:00:00.123456',
        c: '1969-12-31T23:59:59.999999Z',
        d: '9999-12-31T23:59:59.000Z',
        e: 'infinity',
        f: '2026-02-03',
      },
    ]);
  });

  it('as CSV is quoted as RFC 4180 says', async () => {
    const { stdout } = await query(`select 'a,"b"' as "x,y", null as n, true as t`, '--csv');
    expect(stdout).toBe('"x,y",n,t\r\n"a,""b""",,true\r\n');
  });

  it('as JSON keeps what JSON has no number for as text', async () => {
    const rows =
      "select 'NaN'::DOUBLE a, '-Infinity'::DOUBLE b, -0.0::DOUBLE c, [1, 2] d, {'e': null} f";
    const { stdout } = await query(rows, '--json');
    expect(stdout).toBe('[{"a":"NaN","b":"-Infinity","c":-0.0,"d":[1,2],"f":{"e":null}}]\n');
  });

  it('that is stopped leaves no half copies and no spilled data', async () => {
    await query('select 1');
    const place = ['--storage', azurite.connectionString, '--data', join(folder, 'data')];
    const sql = 'select count(*) from range(100000000000) a, range(1000) b';
    const child = spawn(process.execPath, [command, 'query', sql, ...place], { stdio: 'ignore' });
    const cache = join(folder, 'data', 'query-cache');
    const has = (text: string): boolean =>
      readdirSync(cache, { recursive: true, encoding: 'utf8' }).some((name) => name.includes(text));
    const endsAtMs = Date.now() + 60_000;
    while (!has(`spill-${child.pid}`) && Date.now() < endsAtMs) {
      await new Promise((wake) => setTimeout(wake, 50));
    }
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    expect([has('spill-'), has('.part')]).toEqual([false, false]);
  });
});
