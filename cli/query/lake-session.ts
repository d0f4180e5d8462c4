/** SQL over the lake, through DuckDB: it sees the tables and nothing else of this machine. */
import type DuckDbModule from '@duckdb/node-api';
import type { DuckDBConnection, DuckDBResult } from '@duckdb/node-api';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { FileCache } from './file-cache';
import type { LakeCatalog } from './lake-catalog';
import { createView } from './lake-views';

type DuckDb = typeof DuckDbModule;

/** What a statement wants is not given: the words are the user's to mend. */
export class RefusedStatement extends Error {}

export interface SessionOptions {
  readonly duckdb: DuckDb;
  readonly catalog: LakeCatalog;
  readonly cache: FileCache;
  /** SQL may read and write files of this machine, too. */
  readonly mayUseLocalFiles: boolean;
  readonly progress: (line: string) => void;
}

export class LakeSession {
  readonly #options: SessionOptions;
  readonly #connection: DuckDBConnection;
  readonly #spillFolder: string;
  readonly #empty: string[] = [];
  #known: readonly string[] = [];

  private constructor(options: SessionOptions, connection: DuckDBConnection, spillFolder: string) {
    this.#options = options;
    this.#connection = connection;
    this.#spillFolder = spillFolder;
  }

  static async open(options: SessionOptions): Promise<LakeSession> {
    const { cache, duckdb } = options;
    // Values inside lists and structures are written by the library, in this zone.
    duckdb.DuckDBTimestampTZValue.timezoneOffsetInMinutes = 0;
    const spillFolder = join(cache.folder, `spill-${process.pid}`);
    mkdirSync(spillFolder, { recursive: true });
    const instance = await duckdb.DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    return new LakeSession(options, connection, spillFolder);
  }

  /** Makes views of the tables that the SQL names, then shuts everything else out. */
  async prepare(sql: string): Promise<void> {
    const { cache, catalog, mayUseLocalFiles, progress } = this.#options;
    const folder = cache.folder.replaceAll("'", "''");
    await this.#connection.run("SET TimeZone = 'UTC'");
    await this.#connection.run(`SET temp_directory = '${this.#spillFolder.replaceAll("'", "''")}'`);
    this.#known = await catalog.names();
    const words = sql.toLowerCase();
    for (const name of this.#known) {
      // A table that is named nowhere in the text is not used by it.
      if (!words.includes(name.toLowerCase())) continue;
      const table = await catalog.load(name);
      if (table === null) {
        this.#empty.push(name);
        continue;
      }
      const copies = await cache.copies(name, table.contents.files, (done, all) =>
        progress(`copying table ${name}: ${done} of ${all} files`),
      );
      await createView(this.#connection, table, copies);
    }
    if (mayUseLocalFiles) return;
    await this.#connection.run(
      [
        `SET allowed_directories = ['${folder}']`,
        'SET enable_external_access = false',
        'SET autoinstall_known_extensions = false',
        'SET autoload_known_extensions = false',
        'SET lock_configuration = true',
      ].join(';'),
    );
  }

  /** Every statement's result, one after the other; each must be read before the next is asked for. */
  async *results(sql: string): AsyncGenerator<DuckDBResult> {
    const { duckdb } = this.#options;
    const statements = await this.#told(() => this.#connection.extractStatements(sql));
    for (let index = 0; index < statements.count; index += 1) {
      const prepared = await this.#told(() => statements.prepare(index));
      this.#assertAllowed(Number(prepared.statementType), sql);
      const result = await this.#told(() => prepared.stream());
      const hasRows = returnsRows(duckdb, result);
      if (hasRows) yield result;
    }
  }

  /** Ends what runs. */
  interrupt(): void {
    this.#connection.interrupt();
  }

  close(): void {
    this.#connection.closeSync();
    rmSync(this.#spillFolder, { recursive: true, force: true });
  }

  /** Copies are readable, so they would be writable, too: only what reads, and memory, is allowed. */
  #assertAllowed(type: number, sql: string): void {
    if (this.#options.mayUseLocalFiles) return;
    const { StatementType } = this.#options.duckdb;
    const allowed: number[] = [
      ...[StatementType.SELECT, StatementType.EXPLAIN, StatementType.CREATE, StatementType.DROP],
      ...[StatementType.INSERT, StatementType.UPDATE, StatementType.DELETE, StatementType.ALTER],
    ];
    const explain: number = StatementType.EXPLAIN;
    const isHidden = type === explain && /\b(copy|export)\b/i.test(sql);
    if (allowed.includes(type) && !isHidden) return;
    throw new RefusedStatement(
      'the SQL has a statement that could use files of this machine (COPY, EXPORT, ATTACH, PREPARE and the like): ' +
        'allow it with --local-files, or write the result with --csv or --json',
    );
  }

  async #told<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw this.#inWords(error as Error);
    }
  }

  /** Says which tables there are where one is missing. */
  #inWords(error: Error): Error {
    // So the library puts it that there was nothing to extract.
    if (error.message === 'Error in native callback') {
      return new RefusedStatement('the SQL has no statement');
    }
    const missing = /Table with name (.+?) does not exist/.exec(error.message)?.[1];
    if (missing !== undefined) {
      const empty = this.#empty.find((name) => name.toLowerCase() === missing.toLowerCase());
      if (empty !== undefined) {
        return new RefusedStatement(
          `the table ${empty} has no rows yet: they come with its first flush, a minute after the first events at the latest`,
        );
      }
      const known = this.#known.length === 0 ? 'none yet' : this.#known.join(', ');
      return new RefusedStatement(`${error.message}\nTables there are: ${known}`);
    }
    if (error.message.startsWith('Permission Error')) {
      return new RefusedStatement(
        `${error.message}\nSQL sees the tables of the lake only: allow files of this machine with --local-files`,
      );
    }
    return error;
  }
}

function returnsRows(duckdb: DuckDb, result: DuckDBResult): boolean {
  const withRows: number = duckdb.ResultReturnType.QUERY_RESULT;
  return Number(result.returnType) === withRows;
}
