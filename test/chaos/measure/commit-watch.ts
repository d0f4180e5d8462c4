/**
 * Follows all commit logs and the ends of all hubs while the run goes on: what was committed when
 * and by which process, recounted from the records themselves.
 */
import type { BlobAppendStore } from '../../../shared/adapters/blob-append-store';
import { listLogs, readLog, type LogPosition } from '../../../shared/commit-log/log-reader';
import { logPrefix } from '../../../shared/commit-log/names';
import {
  addLedgers,
  emptyLedger,
  type Cursor,
  type DeadLetter,
  type LedgerCounts,
  type LogRecord,
} from '../../../shared/model/commit';
import type { Plan } from '../../../shared/planner';
import { HubEnds } from './hub-ends';
import type { TaskAddress } from '../../../shared/model/task-address';

/** A commit that took input in: what progress is. */
export interface Progress {
  /**
   * When it was made by its writer's clock, if that lies between the two looks at the log which it
   * came to light between; else (the clock was wrong) when it was seen.
   */
  readonly atMs: number;
  readonly pid: number;
  readonly to: Cursor;
}

export interface WatchedTask {
  readonly path: TaskAddress;
  readonly hub: string;
  readonly functionName: string;
  readonly progress: Progress[];
  readonly deadLetters: DeadLetter[];
  ledger: LedgerCounts;
  attempts: number;
  /** Commits by which wall clock moved the watermark of a source without input. */
  idleTicks: number;
  gaps: number;
  watermarkMs: number | null;
  /** Per table: the last commit that holds rows for it. */
  readonly rowsThrough: Record<string, number>;
  next: LogPosition | null;
}

const lookIntervalMs = 500;

export class CommitWatch {
  readonly tasks = new Map<string, WatchedTask>();
  readonly hubEnds: HubEnds;
  readonly #appends: BlobAppendStore;
  readonly #plan: Plan;
  #lastLookMs = Date.now();
  #isOver = false;
  #looking: Promise<void> = Promise.resolve();
  /** Why the last look did not succeed: the store is away, mostly. */
  lastFailure: string | null = null;

  constructor(options: {
    readonly appends: BlobAppendStore;
    readonly plan: Plan;
    readonly controlPort: number;
  }) {
    this.#appends = options.appends;
    this.#plan = options.plan;
    this.hubEnds = new HubEnds(options.controlPort);
  }

  start(): void {
    this.#looking = this.#follow();
  }

  async #follow(): Promise<void> {
    while (!this.#isOver) {
      await this.look();
      await new Promise((resolve) => setTimeout(resolve, lookIntervalMs));
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#looking;
  }

  /** Counts of a stage over all partitions and incarnations. */
  ledgerOf(topology: string, stage: string, partition?: number): LedgerCounts {
    return this.tasksOf(topology, stage)
      .filter(({ path }) => partition === undefined || path.partition === String(partition))
      .reduce((total, { ledger }) => addLedgers(total, ledger), emptyLedger);
  }

  tasksOf(topology: string, stage?: string): WatchedTask[] {
    return Array.from(this.tasks.values()).filter(
      ({ path }) => path.topology === topology && (stage === undefined || path.stage === stage),
    );
  }

  /** One look at everything. What fails is looked at again the next time, from where it was left. */
  async look(): Promise<void> {
    const sinceMs = this.#lastLookMs;
    const startedAtMs = Date.now();
    try {
      await this.hubEnds.look();
      for (const topology of new Set(this.#plan.stages.map((stage) => stage.topology))) {
        for (const path of await listLogs(this.#appends, topology)) {
          await this.#read(path, sinceMs);
        }
      }
      this.#lastLookMs = startedAtMs;
      this.lastFailure = null;
    } catch (error) {
      this.lastFailure = error instanceof Error ? error.message : String(error);
    }
  }

  async #read(path: TaskAddress, sinceMs: number): Promise<void> {
    const name = logPrefix(path);
    let task = this.tasks.get(name);
    if (task === undefined) {
      task = this.#begin(path);
      this.tasks.set(name, task);
    }
    const { isBroken, next, records } = await readLog(this.#appends, path, task.next);
    if (isBroken) throw new Error(`${name}: a part of the log was deleted before it was read`);
    task.next = next;
    for (const record of records) take(task, record, { sinceMs, untilMs: Date.now() });
  }

  #begin(path: TaskAddress): WatchedTask {
    const stage = this.#plan.stages.find(
      ({ name, topology }) => name === path.stage && topology === path.topology,
    );
    if (stage === undefined) throw new Error(`no stage ${path.topology}/${path.stage}`);
    return {
      path,
      hub: stage.input.hub,
      functionName: stage.functionName,
      progress: [],
      deadLetters: [],
      ledger: emptyLedger,
      attempts: 0,
      idleTicks: 0,
      gaps: 0,
      watermarkMs: null,
      rowsThrough: {},
      next: null,
    };
  }
}

function take(
  task: WatchedTask,
  record: LogRecord,
  seen: { readonly sinceMs: number; readonly untilMs: number },
): void {
  if (record.kind === 'attempt') task.attempts += 1;
  if (record.kind !== 'commit') return;
  task.ledger = addLedgers(task.ledger, record.ledger);
  task.deadLetters.push(...record.deadLetters);
  task.gaps += record.gaps.length;
  if (record.watermarkReason === 'idle') task.idleTicks += 1;
  task.watermarkMs = record.watermarkMs;
  for (const { table } of record.rows) task.rowsThrough[table] = record.commit;
  if (record.messages === 0) return;
  const { committedAtMs } = record;
  const isBetween = committedAtMs >= seen.sinceMs && committedAtMs <= seen.untilMs;
  task.progress.push({
    atMs: isBetween ? committedAtMs : seen.untilMs,
    pid: Number(record.writer.split('/')[1]),
    to: record.to,
  });
}
