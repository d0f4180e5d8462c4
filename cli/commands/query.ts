import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { plan } from '../../shared/planner';
import type { Topology } from '../../shared/dataflow';
import { WrongUse } from '../arguments';
import { makeDataDirectory } from '../data-directory';
import { importDuckDb } from '../oracle/duckdb';
import { printable, type Output } from '../output';
import { FileCache } from '../query/file-cache';
import { LakeCatalog } from '../query/lake-catalog';
import { LakeSession, RefusedStatement } from '../query/lake-session';
import { writeResult, type ResultForm, type Sink } from '../query/result-writers';
import { stopSignal } from '../stop-signal';
import type { Store } from '../store';

export interface QueryOptions {
  readonly sql: string;
  readonly form: ResultForm;
  readonly mayUseLocalFiles: boolean;
  /** Of the stack: copies of files are kept in it. */
  readonly dataDirectory: string;
}

/** What takes no longer needs no word. */
const quietMs = 2_000;
const interruptEveryMs = 100;
/** For ten seconds: what does not end then ends with the process. */
const interruptsMax = 100;

async function pause(milliseconds: number): Promise<false> {
  await new Promise((wake) => setTimeout(wake, milliseconds));
  return false;
}

/**
 * SQL over the tables in the lake, through DuckDB. Rows are written as they come.
 * @returns exit code
 */
export async function queryLake(
  {
    store,
    topologies,
  }: {
    readonly store: Pick<Store, 'lake' | 'lakeAddress'>;
    readonly topologies: readonly Topology[];
  },
  options: QueryOptions,
  output: Output,
): Promise<number> {
  if (options.sql.trim() === '') throw new WrongUse('the SQL is empty');
  const duckdb = await importDuckDb();
  // Two lakes may have tables and files of one name.
  const lakeName = createHash('sha256').update(store.lakeAddress).digest('hex').slice(0, 16);
  const folder = join(makeDataDirectory(join(options.dataDirectory, 'query-cache')), lakeName);
  const cache = new FileCache(store.lake, folder);
  const catalog = new LakeCatalog(store.lake, plan(topologies).tables);
  const { mayUseLocalFiles } = options;
  const startedAtMs = Date.now();
  const progress = (line: string): void => {
    if (Date.now() - startedAtMs >= quietMs) output.progress(line);
  };
  const stop = stopSignal();
  const session = await LakeSession.open({ duckdb, catalog, cache, mayUseLocalFiles, progress });
  const run = async (): Promise<number> => {
    await session.prepare(options.sql);
    let isFirst = true;
    for await (const result of session.results(options.sql)) {
      if (isFirst) output.clear();
      const isRead = await writeResult(duckdb, result, {
        ...{ form: options.form, isFirst, sink: toStdout },
      });
      if (!isRead) break;
      isFirst = false;
    }
    return 0;
  };
  const running = run();
  const isOver = running.then(
    () => true,
    () => true,
  );
  const stopped = stop.requested.then(async () => {
    cache.abandon();
    // A connection that is closed under a query that runs ends the process with a fault of memory. One that was
    // about to run when it was interrupted runs all the same: it is interrupted again.
    for (let tries = 0; tries < interruptsMax; tries += 1) {
      session.interrupt();
      if (await Promise.race([isOver, pause(interruptEveryMs)])) break;
    }
    return 130;
  });
  try {
    return await Promise.race([running, stopped]);
  } catch (error) {
    if (stop.isRequested()) return 130;
    if (error instanceof RefusedStatement) throw new Error(printable(error.message));
    throw error;
  } finally {
    session.close();
    stop.release();
  }
}

/** Waits where the reader is slower. */
const toStdout: Sink = async (text) => {
  const { stdout } = process;
  if (stdout.destroyed || stdout.errored !== null) return false;
  if (text === '' || stdout.write(text)) return true;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'error', 'close']) stdout.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'error', 'close']) stdout.once(event, done);
  });
  return !stdout.destroyed && stdout.errored === null;
};
