/** What a task's log says of promotions of its hub: see promoted-hub.ts. */
import type { Cursor, Gap, Promotion, TaskSummary } from '../model/commit';
import type { HubMessage, HubPartitionBounds } from '../model/ports';

/** A message that a task has read, or has before it. */
export type ReadMessage = Pick<HubMessage, 'sequenceNumber' | 'enqueuedTimeMs'>;

/** The message that was read last, wholly or in part; null: none was, or it is not known when it was enqueued. */
export function lastReadOf(
  summary: Pick<TaskSummary, 'cursor' | 'lastEnqueuedAtMs'> | null,
): ReadMessage | null {
  const { cursor = null, lastEnqueuedAtMs: enqueuedTimeMs = null } = summary ?? {};
  if (cursor === null || enqueuedTimeMs === null) return null;
  const sequenceNumber = lastNumberBefore(cursor);
  return sequenceNumber < 0 ? null : { sequenceNumber, enqueuedTimeMs };
}

/** Number of the last message of which something was read. */
export function lastNumberBefore({ index, sequenceNumber }: Cursor): number {
  return index > 0 ? sequenceNumber : sequenceNumber - 1;
}

/** The hub ends before what was read of it, or ends there with a message of another time: it may have been promoted. */
export function hubIsBehind(
  bounds: HubPartitionBounds,
  read: Pick<TaskSummary, 'cursor' | 'lastEnqueuedAtMs'> | null,
): boolean {
  const { cursor = null, lastEnqueuedAtMs = null } = read ?? {};
  if (cursor === null) return false;
  const last = lastNumberBefore(cursor);
  if (bounds.lastSequenceNumber < last) return true;
  const { isEmpty, lastEnqueuedAtMs: endsAtMs, lastSequenceNumber } = bounds;
  const isToldOfBoth = endsAtMs !== undefined && lastEnqueuedAtMs !== null && !isEmpty;
  return isToldOfBoth && lastSequenceNumber === last && endsAtMs !== lastEnqueuedAtMs;
}

/** Where a task goes on in a hub that was promoted. */
export interface LifeBeginning {
  readonly cursor: Cursor;
  /** When the message before it was enqueued; null: there is none. */
  readonly lastEnqueuedAtMs: number | null;
  /** When the message at it was enqueued; null: none has come yet. */
  readonly fromEnqueuedMs: number | null;
}

/** What the next life of a task begins with, whose last one ended as the summary says. */
export function summaryOfNextLife(
  summary: TaskSummary,
  beginning: LifeBeginning,
  noticedAtMs: number,
): TaskSummary {
  const { cursor, fromEnqueuedMs, lastEnqueuedAtMs } = beginning;
  const { sequenceNumber } = cursor;
  const promotion = {
    ...{ count: (summary.promotion?.count ?? 0) + 1, noticedAtMs, fromEnqueuedMs },
    fromSequenceNumber: sequenceNumber,
    readThrough: summary.cursor === null ? sequenceNumber : lastNumberBefore(summary.cursor),
    isDeclared: false,
  };
  return { ...summary, cursor, lastEnqueuedAtMs, promotion };
}

/** The loss, for the first commit after it. */
export function gapOf(promotion: Promotion | null): readonly Gap[] {
  if (promotion === null || promotion.isDeclared) return [];
  const { fromSequenceNumber, readThrough } = promotion;
  const toSequenceNumber = Math.max(fromSequenceNumber, readThrough);
  return [{ fromSequenceNumber, toSequenceNumber, reason: 'hub-promoted', events: null }];
}

/** The same for the log lines that an alert looks at: messages that the hub has lost, read or not. */
export function lossOf(promotion: Promotion): Readonly<Record<string, unknown>> {
  const { fromSequenceNumber, readThrough } = promotion;
  return {
    ...{ reason: 'hub-promoted', fromSequenceNumber, toSequenceNumber: readThrough },
    lostMessages: Math.max(1, readThrough - fromSequenceNumber + 1),
  };
}

/** After a commit, which declares what was not; its first message tells when the life began. */
export function declared(
  promotion: Promotion | null,
  firstEnqueuedAtMs: number | null,
): Promotion | null {
  if (promotion === null) return null;
  const fromEnqueuedMs = promotion.fromEnqueuedMs ?? firstEnqueuedAtMs;
  if (promotion.isDeclared && fromEnqueuedMs === promotion.fromEnqueuedMs) return promotion;
  return { ...promotion, fromEnqueuedMs, isDeclared: true };
}

/** The messages that are of this life: a worker may still hold some of the one before. */
export function ownMessages(
  messages: readonly HubMessage[],
  promotion: Promotion | null,
): readonly HubMessage[] {
  const fromMs = promotion?.fromEnqueuedMs ?? -Infinity;
  const isFormer = (message: HubMessage): boolean =>
    message.enqueuedTimeMs < fromMs &&
    message.sequenceNumber >= (promotion?.fromSequenceNumber ?? Infinity);
  return messages.some(isFormer) ? messages.filter((message) => !isFormer(message)) : messages;
}

/** For an operator. */
export function lossText(task: string, promotion: Promotion): string {
  const { count, fromSequenceNumber, noticedAtMs, readThrough } = promotion;
  const times = count === 1 ? '' : `, the ${count}th time`;
  return (
    `LOST ${task}: its hub was promoted by force${times}, noticed ${new Date(noticedAtMs).toISOString()}: numbers from ` +
    `${fromSequenceNumber} on were given out again. What had been read up to ${readThrough} counts; what had come ` +
    'behind it and was not read yet is lost'
  );
}
