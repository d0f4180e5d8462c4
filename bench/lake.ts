/**
 * How fast rows become files: `encodeFile` alone, on one core, for eight columns.
 *
 *   npx esbuild bench/lake.ts --bundle --platform=node --packages=external --outfile=/tmp/lake.js
 *   node /tmp/lake.js [rows per file] [files] [seed]
 */
import { cpus } from 'node:os';
import { crc32 } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { encodeFile } from '../shared/lake/encode-file';
import type { Row, TablePlan } from '../shared/model/table';

const plan: TablePlan = {
  name: 'flights_clean',
  columns: [
    { name: 'at', type: 'timestamp', nullable: false },
    { name: 'delay', type: 'integer', nullable: true },
    { name: 'distance', type: 'integer', nullable: false },
    { name: 'origin', type: 'string', nullable: false },
    { name: 'destination', type: 'string', nullable: false },
    { name: 'flight', type: 'string', nullable: false },
    { name: 'speed', type: 'double', nullable: true },
    { name: 'late', type: 'boolean', nullable: false },
  ],
  partitionBy: [],
  format: 'delta',
  flush: { rowsMax: 100_000, bytesMax: 64 * 1024 * 1024, ageMaxMs: 60_000 },
};

/** A small generator of repeatable numbers in [0, 1). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function makeRows(count: number, next: () => number): Row[] {
  const airports = Array.from(
    { length: 300 },
    (_, index) => `A${index.toString(36).toUpperCase()}`,
  );
  const airport = (): string => airports[Math.floor(next() ** 2 * airports.length)] ?? '';
  let atMs = Date.UTC(2001, 0, 1);
  return Array.from({ length: count }, () => {
    atMs += Math.floor(next() * 20_000);
    const delay = next() < 0.02 ? null : Math.floor(next() * 200) - 20;
    const speed = next() < 0.02 ? null : 300 + next() * 300;
    const flight = `F${Math.floor(next() * 1e9).toString(36)}-${Math.floor(next() * 1e6)}`;
    return [
      atMs,
      delay,
      50 + Math.floor(next() * 2_500),
      airport(),
      airport(),
      flight,
      speed,
      next() < 0.2,
    ];
  });
}

/** The same file by hyparquet-writer's own encoder, for comparison in the same run. */
function encodeByLibrary(rows: readonly Row[]): Uint8Array {
  const data = (place: number): unknown[] => rows.map((row) => row[place]);
  const types = {
    integer: 'INT64',
    string: 'STRING',
    double: 'DOUBLE',
    boolean: 'BOOLEAN',
  } as const;
  const columnData = plan.columns.map(({ name, type, nullable }, place) =>
    type === 'timestamp'
      ? {
          name,
          nullable,
          type: 'INT64' as const,
          data: data(place).map((ms) => BigInt(Number(ms)) * 1000n),
        }
      : type === 'integer'
        ? {
            name,
            nullable,
            type: types.integer,
            data: data(place).map((n) => (n === null ? null : BigInt(Number(n)))),
          }
        : { name, nullable, type: type === 'date' ? types.string : types[type], data: data(place) },
  );
  return new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: rows.length }));
}

async function measure(
  name: string,
  files: number,
  rows: readonly Row[],
  encode: () => Promise<Uint8Array> | Uint8Array,
): Promise<void> {
  await encode();
  const rates: number[] = [];
  let bytes = 0;
  for (let file = 0; file < files; file += 1) {
    const start = process.cpuUsage();
    bytes = (await encode()).length;
    const { user, system } = process.cpuUsage(start);
    rates.push(rows.length / ((user + system) / 1e6));
  }
  rates.sort((left, right) => left - right);
  const median = rates[Math.floor(rates.length / 2)] ?? 0;
  console.log(
    `${name.padEnd(24)} ${Math.round(median / 1000)}k rows per CPU second (median of ${files}), ${(bytes / rows.length).toFixed(1)} B/row`,
  );
}

async function main(): Promise<void> {
  const [rowsPerFile = 100_000, files = 15, seed = 7] = process.argv.slice(2).map(Number);
  const rows = makeRows(rowsPerFile, generator(seed));
  console.log(
    `${cpus()[0]?.model}, Node ${process.version}, ${rowsPerFile} rows a file, seed ${seed}`,
  );
  await measure(
    'delta (encodeFile)',
    files,
    rows,
    async () => (await encodeFile(plan, rows)).bytes,
  );
  await measure('hyparquet-writer alone', files, rows, () => encodeByLibrary(rows));
  for (const format of ['ndjson', 'ndjson-gzip'] as const) {
    await measure(
      format,
      files,
      rows,
      async () => (await encodeFile({ ...plan, format }, rows)).bytes,
    );
  }
  const text = Buffer.from(JSON.stringify(rows));
  await measure('JSON.parse of the rows', files, rows, () => {
    const parsed = JSON.parse(text.toString('utf8')) as Row[];
    return Buffer.from(String(crc32(JSON.stringify(parsed[0]))));
  });
}

void main();
