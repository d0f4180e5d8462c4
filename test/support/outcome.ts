/**
 * What a cluster's run came to, read from the store alone: the tables by their Delta logs, the
 * ledger recounted from the commit logs.
 */
import { parquetReadObjects } from 'hyparquet';
import { BlobAppendStore } from '../../shared/adapters/blob-append-store';
import { connectContainer } from '../../shared/adapters/blob-container';
import { BlobObjectStore } from '../../shared/adapters/blob-object-store';
import { listLogs, readLog } from '../../shared/commit-log/log-reader';
import type { CommitRecord, DeadLetter, Gap, LedgerCounts } from '../../shared/model/commit';
import { addLedgers, emptyLedger } from '../../shared/model/commit';
import type { TablePlan } from '../../shared/model/table';
import { tableFolder } from '../../shared/lake/names';
import { drainMarkName } from '../../shared/model/control-names';
import { listLiveFiles } from '../../shared/lake/table-reader';
import type { Plan } from '../../shared/planner';

export interface TaskOutcome {
  readonly stage: string;
  readonly partition: string;
  readonly incarnation: string;
  readonly last: CommitRecord | null;
  readonly ledger: LedgerCounts;
  /** Declared with a range. */
  readonly declared: readonly Gap[];
  readonly deadLetters: readonly DeadLetter[];
  readonly attempts: number;
  readonly gaps: number;
}

export class Outcome {
  readonly #connectionString: string;
  readonly #plan: Plan;

  constructor(connectionString: string, plan: Plan) {
    this.#connectionString = connectionString;
    this.#plan = plan;
  }

  #container(container: string): ReturnType<typeof connectContainer> {
    return connectContainer({ connectionString: this.#connectionString, container });
  }

  async drain(topology: string): Promise<void> {
    const objects = new BlobObjectStore(this.#container('millrace'));
    await objects.put(drainMarkName(topology), Buffer.from('{}'));
  }

  /** Every task of a topology from its newest log. Rolled logs begin with their snapshot's totals. */
  async tasks(topology: string): Promise<TaskOutcome[]> {
    const appends = new BlobAppendStore(this.#container('millrace'));
    const outcomes: TaskOutcome[] = [];
    for (const path of await listLogs(appends, topology)) {
      const { records } = await readLog(appends, path, null);
      const commits = records.filter((record) => record.kind === 'commit');
      outcomes.push({
        stage: path.stage,
        partition: path.partition,
        incarnation: path.incarnation,
        last: commits.at(-1) ?? null,
        ledger: commits.map(({ ledger }) => ledger).reduce(addLedgers, emptyLedger),
        declared: commits.flatMap(({ gaps }) => gaps),
        deadLetters: commits.flatMap(({ deadLetters }) => deadLetters),
        attempts: records.filter(({ kind }) => kind === 'attempt').length,
        gaps: commits.flatMap(({ gaps }) => gaps).length,
      });
    }
    return outcomes;
  }

  /** Rows of a table as sorted JSON texts in column order. */
  async rows(table: string): Promise<string[]> {
    const objects = new BlobObjectStore(this.#container('lake'));
    const tablePlan = this.#plan.tables.find(({ name }) => name === table);
    if (tablePlan === undefined) throw new Error(`no table ${table}`);
    const rows: string[] = [];
    for (const file of await listLiveFiles({ objects, folder: tableFolder(table) })) {
      const bytes = await objects.get(file.name);
      if (bytes === undefined) throw new Error(`the live file ${file.name} is gone`);
      // Not spread: a compacted file has more rows than a call may have arguments.
      for (const row of await rowsOf(bytes, tablePlan)) rows.push(row);
    }
    return rows.sort();
  }
}

async function rowsOf(bytes: Uint8Array, table: TablePlan): Promise<string[]> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const rows = await parquetReadObjects({ file: file as ArrayBuffer });
  return rows.map((row) => JSON.stringify(table.columns.map(({ name }) => plainCell(row[name]))));
}

function plainCell(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Date ? value.getTime() : value;
}

/** Polls until a condition holds; fails with what it last saw. */
export async function eventually<Value>(
  look: () => Promise<Value>,
  isEnough: (value: Value) => boolean,
  timeoutMs: number,
): Promise<Value> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (isEnough(value)) return value;
    if (Date.now() > deadline) {
      throw new Error(`it never came to be; last seen: ${JSON.stringify(value)?.slice(0, 2_000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
