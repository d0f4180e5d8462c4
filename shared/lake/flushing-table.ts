import type { Action, MetaDataAction } from './actions';
import { writeCheckpoint } from './checkpoint-writer';
import { writeFiles } from './flush-files';
import type { FileWriter, WrittenFiles } from './flush-files';
import type {
  FlushRequest,
  FlushResult,
  LakeBatch,
  LakeTable,
  LakeTableOptions,
} from './lake-table';
import type { LogLocation } from './log-reader';
import { deleteOrphans } from './orphans';
import { compilePathPattern } from './path-pattern';
import { writtenProtocol } from './protocol';
import { compareSchema, schemaString } from './schema';
import type { Snapshot } from './snapshot';
import type { TableFormat } from './table-format';
import { tableFormats } from './table-format';
import type { CommitOutcome } from './transaction-log';
import { TransactionLog } from './transaction-log';
import { StreamError, invariant } from '../model/errors';
import { productVersion } from '../model/version';

const engineInfo = `millrace/${productVersion}`;
const checkpointEveryDefault = 50;
/** Times one flush may find its range cut short by another process before it gives up. */
const recutsMax = 20;

/** A table whose every flush is files first, then one commit of its transaction log. */
export class FlushingTable implements LakeTable {
  readonly #options: LakeTableOptions;
  readonly #files: FileWriter;
  readonly #format: TableFormat;
  readonly #location: LogLocation;
  readonly #log: TransactionLog;
  readonly #checkpointEvery: number;

  constructor(options: LakeTableOptions) {
    const { objects, plan, folder, telemetry, checkpointEvery } = options;
    this.#options = options;
    const { pathPattern } = options;
    const folderOf = pathPattern === undefined ? undefined : compilePathPattern(plan, pathPattern);
    this.#files = { ...options, folderOf };
    this.#format = tableFormats[plan.format];
    const { logFolder, checkpoints } = this.#format;
    this.#location = { objects, logFolder: `${folder}/${logFolder}`, checkpoints, telemetry };
    this.#log = new TransactionLog(this.#location, options.clock);
    this.#checkpointEvery = checkpointEvery ?? checkpointEveryDefault;
  }

  async flushedThrough(task: string, options?: { readonly refresh?: boolean }): Promise<number> {
    return (await this.#log.snapshot(options)).committedThrough(task);
  }

  async flushedByTask(
    prefix: string,
    options?: { readonly refresh?: boolean },
  ): Promise<ReadonlyMap<string, number>> {
    return (await this.#log.snapshot(options)).committedByTask(prefix);
  }

  async create(): Promise<void> {
    await this.#fitTable();
  }

  async flush({ task, batches }: FlushRequest): Promise<FlushResult> {
    assertAscending(batches);
    for (let recuts = 0; recuts <= recutsMax; recuts += 1) {
      const snapshot = await this.#log.snapshot();
      const { version } = snapshot;
      const through = snapshot.committedThrough(task);
      const due = batches.filter(({ commit }) => commit > through);
      const last = due.at(-1);
      if (last === undefined) return nothingWritten(through);
      if (due.every(({ rows }) => rows.length === 0)) return nothingWritten(last.commit);
      await this.#fitTable();
      const written = await this.#flushRange(task, { version, through }, due);
      if (written !== undefined) {
        const { adds, rows, bytes } = written;
        return { flushedThrough: last.commit, rowsWritten: rows, files: adds.length, bytes };
      }
    }
    throw new StreamError(
      'STREAM_TABLE_CONTENDED',
      `the rows of ${task} for table ${this.#options.plan.name} were flushed by others ${recutsMax} times meanwhile; repeat the flush`,
      { details: { task, table: this.#options.plan.name } },
    );
  }

  /** Undefined: another process moved on with this task or changed the table. */
  async #flushRange(
    task: string,
    seen: { readonly version: number; readonly through: number },
    due: readonly LakeBatch[],
  ): Promise<WrittenFiles | undefined> {
    const { plan, folder, objects, randomness, clock, telemetry, faultPoint } = this.#options;
    const written = await writeFiles(this.#files, task, due);
    const last = due.at(-1)?.commit ?? seen.through;
    const watermarkMs = due.at(-1)?.watermarkMs ?? null;
    await faultPoint('flush.before-table-commit');
    const token = randomness.uniqueId();
    const nowMs = clock.nowMs();
    const outcome = await this.#log.commit({
      token,
      actions: [
        this.#commitInfo(token, 'STREAMING UPDATE', {
          outputMode: 'Append',
          epochId: String(last),
          // Through when the table has all rows of this task: readers take the least over its tasks.
          ...(watermarkMs !== null && { watermarkMs: String(watermarkMs) }),
        }),
        { txn: { appId: task, version: last, lastUpdated: nowMs } },
        ...written.adds.map((add) => ({ add })),
      ],
      stillValid: (snapshot) =>
        snapshot.committedThrough(task) === seen.through && this.#fits(snapshot),
    });
    if (outcome.kind === 'superseded') {
      telemetry.emit('info', 'table.flush-superseded', { table: plan.name, task });
      const now = await this.#log.snapshot();
      // Only then can nobody commit these files any more: others may be about to, with the very
      // same range, while the task stands before it.
      if (now.committedThrough(task) >= (due[0]?.commit ?? Infinity)) {
        const where = { objects, telemetry, folder, location: this.#location };
        const versions = { afterVersion: seen.version, lastVersion: now.version };
        await deleteOrphans({ ...where, ...versions, adds: written.adds });
      }
      return undefined;
    }
    await faultPoint('flush.after-table-commit');
    await this.#checkpointIfDue(outcome);
    return written;
  }

  /** Creates the table, or adds the plan's new columns to it, unless it fits already. */
  async #fitTable(): Promise<void> {
    for (;;) {
      const snapshot = await this.#log.snapshot();
      const { version, metaData } = snapshot;
      const action = this.#missingAction(snapshot);
      if (action === undefined) return;
      const token = this.#options.randomness.uniqueId();
      const [operation, parameters] = metaData ? ['ADD COLUMNS', {}] : ['CREATE TABLE', {}];
      const outcome = await this.#log.commit({
        token,
        actions: [
          this.#commitInfo(token, operation, parameters),
          ...(metaData ? [] : [{ protocol: writtenProtocol }]),
          { metaData: action },
        ],
        stillValid: (now) => now.version === version || now.metaData === metaData,
      });
      if (outcome.kind === 'committed') await this.#checkpointIfDue(outcome);
    }
  }

  /** The metaData that the table needs to fit the plan; undefined: it fits. */
  #missingAction({ metaData, protocol }: Snapshot): MetaDataAction | undefined {
    const { plan, folder, clock, randomness } = this.#options;
    const { provider } = this.#format;
    if (metaData === undefined || protocol === undefined) {
      return {
        id: randomness.uniqueId(),
        name: plan.name,
        format: { provider, options: {} },
        schemaString: schemaString(plan.columns),
        partitionColumns: plan.partitionBy,
        configuration: {},
        createdTime: clock.nowMs(),
      };
    }
    const { evolvedSchema } = compareSchema({ plan, folder, provider, metaData, protocol });
    return evolvedSchema === undefined ? undefined : { ...metaData, schemaString: evolvedSchema };
  }

  #fits(snapshot: Snapshot): boolean {
    return snapshot.metaData !== undefined && this.#missingAction(snapshot) === undefined;
  }

  #commitInfo(token: string, operation: string, parameters: Record<string, unknown>): Action {
    return {
      commitInfo: {
        timestamp: this.#options.clock.nowMs(),
        operation,
        operationParameters: parameters,
        isBlindAppend: operation === 'STREAMING UPDATE',
        engineInfo,
        txnId: token,
      },
    };
  }

  /** The data is committed by now: a checkpoint only makes the next start faster. */
  async #checkpointIfDue(outcome: CommitOutcome): Promise<void> {
    if (outcome.kind !== 'committed') return;
    const { version } = outcome;
    if (version === 0 || version % this.#checkpointEvery !== 0) return;
    const { clock, faultPoint, telemetry } = this.#options;
    await faultPoint('flush.before-checkpoint');
    try {
      await writeCheckpoint(this.#location, version, clock);
    } catch (error) {
      telemetry.emit('warn', 'table.checkpoint-failed', { version, error: String(error) });
      return;
    }
    await faultPoint('flush.after-checkpoint');
  }
}

function nothingWritten(flushedThrough: number): FlushResult {
  return { flushedThrough, rowsWritten: 0, files: 0, bytes: 0 };
}

function assertAscending(batches: readonly LakeBatch[]): void {
  let before = 0;
  for (const { commit } of batches) {
    invariant(commit > before, 'batches of a flush ascend by commit', { before, commit });
    before = commit;
  }
}
