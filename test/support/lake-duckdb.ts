import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { ObjectStore } from '../../shared/model/ports';

/** Copies objects into a folder, lets DuckDB answer one question about it, and cleans up. */
export async function askDuckDb(
  objects: ObjectStore,
  names: readonly string[],
  question: (fileOf: (name: string) => string) => string,
): Promise<unknown[][]> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-lake-'));
  try {
    const fileOf = (name: string): string => join(folder, name);
    for (const name of names) {
      mkdirSync(dirname(fileOf(name)), { recursive: true });
      writeFileSync(fileOf(name), (await objects.get(name)) ?? new Uint8Array());
    }
    const instance = await DuckDBInstance.create(':memory:');
    try {
      const connection = await instance.connect();
      const reader = await connection.runAndReadAll(question(fileOf));
      connection.closeSync();
      return reader.getRowsJson();
    } finally {
      instance.closeSync();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
