import type DuckDb from '@duckdb/node-api';

/** DuckDB is a tool of development: an app in the cloud does not carry it. */
export async function importDuckDb(): Promise<typeof DuckDb> {
  try {
    return await import('@duckdb/node-api');
  } catch (cause) {
    throw new Error('DuckDB is not installed (a devDependency): run npm ci without --omit=dev', {
      cause,
    });
  }
}
