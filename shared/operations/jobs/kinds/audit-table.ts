import { parquetMetadata } from 'hyparquet';
import type { Action } from '../../../lake/actions';
import { readVersion } from '../../../lake/log-reader';
import { tableFormats } from '../../../lake/table-format';
import { readTable, replaceOperation, type TableFile } from '../../../lake/table-reader';
import { isTransient, StreamError } from '../../../model/errors';
import type { Clock, ObjectStore } from '../../../model/ports';
import type { TablePlan } from '../../../model/table';
import { tableFolder } from '../../../lake/names';
import type { Discrepancy } from './recount-log';
import { resetOperation } from './reset-tables';

/** Rows that one version of a table took in of one task. */
export interface TableFlush {
  readonly version: number;
  /** Commits after this one, up to and with `through`. */
  readonly after: number;
  readonly through: number;
  /** Null: the log of the table does not count them. */
  readonly rows: number | null;
}

/** What a table says of itself, and what was found by looking. */
export interface TableFacts {
  readonly kind: 'table';
  readonly name: string;
  /** -1: there is none; null: it cannot be read. */
  readonly version: number | null;
  readonly rows: number;
  readonly files: number;
  readonly replacedAt: number | null;
  /** When it was looked at: what was committed later may not be in it yet. */
  readonly inspectedAtMs: number;
  /** By task (`<topology>/<stage>/<partition>/<epoch>`): the commit up to which it holds its rows. */
  readonly flushedThrough: Readonly<Record<string, number>>;
  readonly discrepancies: readonly Discrepancy[];
  readonly notes: readonly string[];
}

/** By task, ascending: kept in the store, for there may be many. */
export type TableFlushes = Readonly<Record<string, readonly TableFlush[]>>;

/** Of one table: what is told, and how far is looked. */
const discrepanciesMax = 50;
const historyVersionsMax = 20_000;
const versionsAtOnce = 16;
/** A Parquet file says at its end how many rows it has: files are read up to so many bytes in all. */
const footerBytesMax = 64 * 1024 * 1024;

interface Place {
  readonly lake: ObjectStore;
  readonly plan: TablePlan;
  readonly clock: Clock;
  readonly beat: (done: number, of: number) => Promise<void>;
}

/** Asks a table, not the logs, what it holds: its log version by version, and its files. */
export async function inspectTable(
  place: Place,
): Promise<{ readonly facts: TableFacts; readonly flushes: TableFlushes }> {
  const { lake, plan } = place;
  const found = new Findings(`table ${plan.name}`);
  const folder = tableFolder(plan.name);
  const inspectedAtMs = place.clock.nowMs();
  const none = { rows: 0, files: 0, replacedAt: null, inspectedAtMs, flushedThrough: {} };
  try {
    const read = await readTable({ objects: lake, folder, format: plan.format });
    const { files, flushedThrough, replacedAt, rows, version } = read;
    await new FileCheck(place, found).run(files);
    const flushes = await new History(place, found).read(version);
    const facts: TableFacts = {
      ...{ kind: 'table', name: plan.name, version, rows, files: files.length },
      ...{ replacedAt, inspectedAtMs },
      flushedThrough: Object.fromEntries(flushedThrough),
      ...found.told(),
    };
    return { facts, flushes };
  } catch (error) {
    if (!(error instanceof StreamError) || isTransient(error)) throw error;
    found.say(`it cannot be read: ${error.message}`);
    const facts: TableFacts = {
      ...{ kind: 'table', name: plan.name, version: null, ...none, ...found.told() },
    };
    return { facts, flushes: {} };
  }
}

class Findings {
  readonly #where: string;
  readonly #discrepancies: Discrepancy[] = [];
  readonly #notes: string[] = [];

  constructor(where: string) {
    this.#where = where;
  }

  say(what: string): void {
    if (this.#discrepancies.length >= discrepanciesMax) return;
    this.#discrepancies.push({ where: this.#where, what });
  }

  note(what: string): void {
    this.#notes.push(`${this.#where}: ${what}`);
  }

  told(): Pick<TableFacts, 'discrepancies' | 'notes'> {
    return { discrepancies: this.#discrepancies, notes: this.#notes };
  }
}

/** Live files are there, as long as the log says, and as many rows in them. */
class FileCheck {
  readonly #place: Place;
  readonly #found: Findings;

  constructor(place: Place, found: Findings) {
    this.#place = place;
    this.#found = found;
  }

  async run(files: readonly TableFile[]): Promise<void> {
    const { beat, lake, plan } = this.#place;
    const listed = await lake.list(`${tableFolder(plan.name)}/`);
    const bytesOf = new Map(listed.map(({ bytes, name }) => [name, bytes]));
    let bytesLeft = footerBytesMax;
    let unread = 0;
    for (const [index, file] of files.entries()) {
      await beat(index, files.length);
      const bytes = bytesOf.get(file.name);
      if (bytes !== file.bytes) {
        const how = bytes === undefined ? 'is missing' : `has ${bytes} bytes, not ${file.bytes}`;
        this.#found.say(
          `the live file ${file.name} ${how}${file.rows === null ? '' : `: ${file.rows} rows`}`,
        );
      } else if (plan.format === 'delta' && file.bytes <= bytesLeft) {
        bytesLeft -= file.bytes;
        await this.#compareRows(file);
      } else if (plan.format === 'delta') {
        unread += 1;
      }
    }
    if (unread > 0)
      this.#found.note(`of ${unread} files the rows were not counted: they are large`);
  }

  async #compareRows({ name, rows }: TableFile): Promise<void> {
    const bytes = await this.#place.lake.get(name);
    if (bytes === undefined) return this.#found.say(`the live file ${name} is missing`);
    const counted = rowsOfParquet(bytes);
    if (counted === null) return this.#found.say(`the live file ${name} is no Parquet file`);
    if (rows !== null && counted !== rows) {
      this.#found.say(`the live file ${name} holds ${counted} rows, the table's log says ${rows}`);
    }
  }
}

function rowsOfParquet(bytes: Uint8Array): number | null {
  try {
    return Number(parquetMetadata(bytes.slice().buffer).num_rows);
  } catch {
    return null;
  }
}

/** The versions of a table's log that are kept: who put how many rows in, and took how many out. */
class History {
  readonly #place: Place;
  readonly #found: Findings;
  readonly #flushes: Record<string, TableFlush[]> = {};
  readonly #through = new Map<string, number>();
  /** Every version since the first was read: who was not heard of has flushed nothing. */
  #isWhole = true;
  #oldest: number | null = null;

  constructor(place: Place, found: Findings) {
    this.#place = place;
    this.#found = found;
  }

  async read(newest: number): Promise<TableFlushes> {
    const { beat, lake, plan } = this.#place;
    const { checkpoints, logFolder } = tableFormats[plan.format];
    const location = {
      ...{ objects: lake, checkpoints, telemetry: { emit: () => undefined } },
      logFolder: `${tableFolder(plan.name)}/${logFolder}`,
    };
    const first = Math.max(0, newest - historyVersionsMax + 1);
    if (first > 0) {
      this.#found.note(`versions before ${first} were not looked at`);
      this.#forget();
    }
    for (let start = first; start <= newest; start += versionsAtOnce) {
      await beat(start - first, newest - first + 1);
      const count = Math.min(versionsAtOnce, newest - start + 1);
      const read = await Promise.all(
        Array.from({ length: count }, (_, index) => readVersion(location, start + index)),
      );
      for (const [index, actions] of read.entries()) {
        // Cleaned away behind a checkpoint: the reader has made sure that one stands for it.
        if (actions !== undefined) this.#take(start + index, actions);
        else this.#miss(start + index);
      }
    }
    return this.#flushes;
  }

  #miss(version: number): void {
    // Old versions are cleaned away from the oldest on: none is left before one that is gone.
    if (this.#oldest !== null) {
      this.#found.say(`version ${version} is missing, though version ${this.#oldest} is there`);
    }
    this.#forget();
  }

  #forget(): void {
    this.#isWhole = false;
    this.#through.clear();
  }

  #take(version: number, actions: readonly Action[]): void {
    this.#oldest ??= version;
    const adds = actions.flatMap(({ add }) => (add ? [add] : []));
    const isRemoving = actions.some(({ remove }) => remove);
    const operation = actions.find(({ commitInfo }) => commitInfo)?.commitInfo?.operation;
    const rows = sumOf(adds.map(({ stats }) => rowsIn(stats)));
    const transactions = actions.flatMap(({ txn }) => (txn ? [txn] : []));
    const [own] = transactions;
    if (own !== undefined && transactions.length === 1 && !isRemoving && adds.length > 0) {
      const after = this.#through.get(own.appId);
      // What came before the first version that is kept is known by nobody.
      if (after !== undefined || this.#isWhole) {
        const flush = { version, after: after ?? 0, through: own.version, rows };
        (this.#flushes[own.appId] ??= []).push(flush);
      }
    }
    for (const { appId, version: through } of transactions) this.#through.set(appId, through);
    if (!isRemoving || operation === resetOperation || operation === replaceOperation) return;
    const isDataChange = actions.some(({ remove }) => remove?.dataChange === true);
    if (isDataChange) {
      this.#found.note(`version ${version} (${operation ?? 'of an unknown tool'}) took rows out`);
    }
  }
}

function rowsIn(stats: string | null | undefined): number | null {
  try {
    const { numRecords } = JSON.parse(stats ?? '{}') as { numRecords?: unknown };
    return typeof numRecords === 'number' ? numRecords : null;
  } catch {
    return null;
  }
}

function sumOf(counts: readonly (number | null)[]): number | null {
  let sum = 0;
  for (const count of counts) {
    if (count === null) return null;
    sum += count;
  }
  return sum;
}
