import {
  addLedgers,
  emptySummary,
  type CommitRecord,
  type OwedRows,
  type TaskSummary,
  type Tick,
} from '../model/commit';
import { declared } from './promotion';
import type { TaskState } from './task-state';

/** What the commit under way adds to the summary before it. */
export interface SummaryRequest {
  readonly task: TaskState;
  readonly epoch: number;
  readonly commit: Omit<CommitRecord, 'summary' | 'state' | 'kind' | 'commitId' | 'writer'>;
  /** Where the record will stand. */
  readonly log: {
    readonly generation: number;
    readonly blocks: number;
    readonly firstWriteMs: number | null;
    readonly plan: { readonly number: number } | null;
  };
  /** When the last message of the range was enqueued; null: it holds none. */
  readonly lastEnqueuedAtMs: number | null;
  /** The same of the first one. */
  readonly firstEnqueuedAtMs: number | null;
  /** Late events of this commit, by operator. */
  readonly late: Readonly<Record<string, number>>;
  /** Given where wall clock asked for the commit. */
  readonly tick: Tick | null;
  readonly isFiringDue: boolean;
  readonly nextTimerDueMs: number | null;
}

/** The place of the next commit: behind the plan record, where the build of that plan has not yet had a turn. */
export function placeOfNext(
  { blocks, firstWriteMs, generation, plan }: SummaryRequest['log'],
  planNumber: number,
): SummaryRequest['log'] {
  const isTurnToCome = (plan?.number ?? 0) !== planNumber;
  return {
    ...{ generation, firstWriteMs, plan: { number: planNumber } },
    blocks: blocks + (isTurnToCome ? 1 : 0),
  };
}

/** What all of a task's commits will have come to with the one under way. */
export function nextSummary(request: SummaryRequest): TaskSummary {
  const { commit, log, task } = request;
  const before = task.summary ?? emptySummary;
  return {
    commit: commit.commit,
    cursor: commit.to,
    epoch: request.epoch,
    committedAtMs: commit.committedAtMs,
    generation: log.generation,
    blocks: log.blocks + 1,
    generationBegunAtMs: log.firstWriteMs ?? commit.committedAtMs,
    watermarkMs: commit.watermarkMs,
    lastEnqueuedAtMs: request.lastEnqueuedAtMs ?? before.lastEnqueuedAtMs,
    ledger: addLedgers(before.ledger, commit.ledger),
    late: addCounts(before.late, request.late),
    deadLetters: before.deadLetters + commit.deadLetters.length,
    owedRows: owedRows(task, before, commit),
    flushedThrough: Object.fromEntries(task.flushedThrough),
    lastOutbox:
      commit.outbox.length > 0
        ? { commit: commit.commit, atMs: commit.committedAtMs }
        : before.lastOutbox,
    outboxConfirmedThrough: task.outboxConfirmedThrough,
    tick: request.tick ?? before.tick,
    isFiringDue: request.isFiringDue,
    nextTimerDueMs: request.nextTimerDueMs,
    keys: task.keyed.size.keys,
    stateBytes: task.keyed.size.bytes,
    planNumber: log.plan?.number ?? 0,
    promotion: declared(before.promotion, request.firstEnqueuedAtMs),
  };
}

function addCounts(
  before: Readonly<Record<string, number>>,
  added: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const names = Object.keys(added);
  if (names.length === 0) return before;
  const sum: Record<string, number> = { ...before };
  for (const name of names) sum[name] = (sum[name] ?? 0) + (added[name] ?? 0);
  return sum;
}

function owedRows(
  task: TaskState,
  before: TaskSummary,
  { commit, committedAtMs, rows }: SummaryRequest['commit'],
): OwedRows[] {
  const owed: OwedRows[] = [];
  for (const [table, pending] of task.pendingRows) {
    const added = rows.find((one) => one.table === table);
    const newest = added === undefined ? pending.at(-1) : { commit, committedAtMs };
    if (newest === undefined) continue;
    const oldest = pending[0] ?? newest;
    let count = added?.count ?? 0;
    let bytes = added?.lines.byteLength ?? 0;
    for (const one of pending) {
      count += one.count;
      bytes += one.bytes;
    }
    owed.push({
      table,
      ...{ fromCommit: oldest.commit, throughCommit: newest.commit },
      ...{ sinceMs: oldest.committedAtMs, untilMs: newest.committedAtMs },
      ...{ rows: count, bytes },
    });
  }
  // Of a table that the topology no longer has nothing leaves any more; a flush may have been under way.
  for (const one of before.owedRows) {
    const through = task.flushedThrough.get(one.table) ?? 0;
    if (!task.pendingRows.has(one.table) && one.throughCommit > through) owed.push(one);
  }
  return owed;
}

const latePrefix = 'late:';

/** Of a program's counters, those of late events, by operator. */
export function lateByOperator(
  counters: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const late: Record<string, number> = {};
  for (const [name, count] of Object.entries(counters)) {
    if (count > 0 && name.startsWith(latePrefix)) late[name.slice(latePrefix.length)] = count;
  }
  return late;
}
