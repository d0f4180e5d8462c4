import type { FlushLimits } from '../../model/table';
import { isTimeOver } from '../../time/exchange-time';
import { tickIntervalMs, ticksInARow } from '../../time/source-time';
import type { TaskDigest } from './task-digest';

/** What a task may need of somebody who does not hold it. */
export type Need = 'recover' | 'drain' | 'resend' | 'flush' | 'roll' | 'tick' | 'claim';

/** In the order in which they are seen to. */
export const needsByUrgency: readonly Need[] = [
  'recover',
  'drain',
  'resend',
  'flush',
  'roll',
  'tick',
  'claim',
];

/** A task as surveyed: what its log says, and what its hub holds. */
export interface TaskFacts {
  readonly digest: TaskDigest;
  /** Messages in the hub from the cursor on. */
  readonly lagMessages: number;
  /** The hub ends before what was read of it, or ends there with another message. */
  readonly isHubBehind: boolean;
  /** Since when input has been waiting at this very cursor, as far as surveys saw; null: none is. */
  readonly lagSinceMs: number | null;
  /** The supervisor itself sent this task's outbox up to that commit. */
  readonly settledThrough: number;
  /** The supervisor is in the middle of recovering this task and left it at that commit. */
  readonly recoveringAtCommit: number | null;
}

export interface AssessLimits {
  readonly nowMs: number;
  /** Input waits this long without a commit before somebody else reads it. */
  readonly stallAfterMs: number;
  /** Whoever holds the task sees to what is due first: it is overdue after this long. */
  readonly graceMs: number;
  /** Else its watermark is its producers'. */
  readonly isSource: boolean;
  /** Null: wall clock does not move the time of the source. */
  readonly quietAfterMs: number | null;
  readonly isDraining: boolean;
  readonly log: {
    readonly blocksMax: number;
    readonly bytesMax: number;
    readonly ageMaxMs: number;
  };
  readonly tables: Readonly<Record<string, FlushLimits>>;
}

/** What a task needs, and in words why. Pure: the same facts give the same answer. */
export function assess(
  facts: TaskFacts,
  limits: AssessLimits,
): { readonly needs: readonly Need[]; readonly why: string } {
  const found = new Map<Need, string>();
  const tests: readonly [Need, string | null][] = [
    ['recover', recoverReason(facts, limits)],
    ['drain', drainReason(facts, limits)],
    ['resend', resendReason(facts, limits)],
    ['flush', flushReason(facts, limits)],
    ['roll', rollReason(facts, limits)],
    ['tick', dueReason(facts, limits) ?? tickReason(facts, limits)],
  ];
  for (const [need, why] of tests) if (why !== null) found.set(need, why);
  return { needs: Array.from(found.keys()), why: Array.from(found.values()).join('; ') };
}

function recoverReason(facts: TaskFacts, limits: AssessLimits): string | null {
  const { digest, isHubBehind, lagMessages, lagSinceMs, recoveringAtCommit } = facts;
  if (isHubBehind) return 'the hub does not hold what was read of it: was it promoted?';
  if (lagMessages === 0 || lagSinceMs === null) return null;
  if (recoveringAtCommit === digest.commit) {
    return `${lagMessages} messages are left of a recovery that nobody else has taken up`;
  }
  const { committedAtMs, openAttempt } = digest;
  // Whoever has just begun an attempt has the whole stall time-out for it.
  const lastSignMs = Math.max(lagSinceMs, committedAtMs, openAttempt?.startedAtMs ?? 0);
  const waitedMs = limits.nowMs - lastSignMs;
  if (waitedMs < limits.stallAfterMs) return null;
  const who = openAttempt === null ? (digest.writer ?? 'nobody') : openAttempt.writer;
  return `${lagMessages} messages wait at commit ${digest.commit} since ${seconds(waitedMs)} (last: ${who})`;
}

function drainReason(facts: TaskFacts, limits: AssessLimits): string | null {
  const { digest, lagMessages, settledThrough } = facts;
  if (!limits.isDraining || lagMessages > 0) return null;
  const isOwing = digest.owedRows.length > 0;
  const { isSource } = limits;
  const isAtEnd = isTimeOver(digest.watermarkMs);
  if (isSource && !isAtEnd) return 'the topology is to end';
  if (isAtEnd && isOwing) return 'rows of a topology that has ended are not in the lake';
  const unsent = unsentOutbox(digest, settledThrough);
  return isAtEnd && unsent !== null ? 'messages of a topology that has ended are not sent' : null;
}

function unsentOutbox(digest: TaskDigest, settledThrough: number): TaskDigest['lastOutbox'] {
  const { lastOutbox, outboxConfirmedThrough } = digest;
  if (lastOutbox === null) return null;
  return lastOutbox.commit > Math.max(outboxConfirmedThrough, settledThrough) ? lastOutbox : null;
}

function resendReason(facts: TaskFacts, limits: AssessLimits): string | null {
  const unsent = unsentOutbox(facts.digest, facts.settledThrough);
  if (unsent === null) return null;
  // A commit is confirmed by the next one: whoever holds a quiet task has most likely sent it.
  const ageMs = limits.nowMs - unsent.atMs;
  if (ageMs < limits.stallAfterMs + limits.graceMs) return null;
  return `what commit ${unsent.commit} sent is unconfirmed since ${seconds(ageMs)}`;
}

function flushReason(facts: TaskFacts, limits: AssessLimits): string | null {
  for (const { rows, sinceMs, table } of facts.digest.owedRows) {
    const flush = limits.tables[table];
    if (flush === undefined) continue;
    const ageMs = limits.nowMs - sinceMs;
    if (ageMs >= flush.ageMaxMs + limits.graceMs) {
      return `${rows} rows of ${table} wait since ${seconds(ageMs)}`;
    }
  }
  return null;
}

function rollReason(facts: TaskFacts, limits: AssessLimits): string | null {
  const { blocks, commit, committedAtMs, firstWriteMs, isSealed, next } = facts.digest;
  if (limits.nowMs - committedAtMs < limits.graceMs) return null;
  if (isSealed) return 'the log was sealed and no next generation begun';
  const { ageMaxMs, blocksMax, bytesMax } = limits.log;
  if (commit === 0 || next === null || firstWriteMs === null) return null;
  if (blocks >= blocksMax) return `the log has ${blocks} blocks`;
  if (next.position >= bytesMax) return `the log has ${next.position} bytes`;
  const ageMs = limits.nowMs - firstWriteMs;
  return ageMs >= ageMaxMs + limits.graceMs ? `the log was begun ${seconds(ageMs)} ago` : null;
}

function dueReason(facts: TaskFacts, limits: AssessLimits): string | null {
  const { committedAtMs, isFiringDue } = facts.digest;
  const quietMs = limits.nowMs - committedAtMs;
  if (!isFiringDue || facts.lagMessages > 0) return null;
  if (quietMs < limits.stallAfterMs + limits.graceMs) return null;
  return `results are due since ${seconds(quietMs)}`;
}

function tickReason(facts: TaskFacts, limits: AssessLimits): string | null {
  const { isDraining, nowMs, quietAfterMs } = limits;
  const { commit, committedAtMs, tick, watermarkMs } = facts.digest;
  // Without any input there is no time to go on from.
  if (quietAfterMs === null || commit === 0) return null;
  if (isDraining || facts.lagMessages > 0) return null;
  if (isTimeOver(watermarkMs)) return null;
  if (tick?.atCommit === commit && tick.isAtRest) return null;
  const waitMs = tickIntervalMs(quietAfterMs, ticksInARow(facts.digest));
  const quietMs = nowMs - committedAtMs;
  if (quietMs < waitMs + limits.graceMs) return null;
  return `no input since ${seconds(quietMs)}`;
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`;
}
