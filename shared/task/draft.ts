import { encodedLength } from '../commit-log/record';
import { emptyLedger, type CommitRecord, type Cursor, type WatermarkReason } from '../model/commit';
import type { OutboxSender } from '../delivery/exchange/outbox';
import type { ExchangeTime } from '../model/program';
import { isTimeOver } from '../time/exchange-time';
import type { Positions } from '../time/position';
import type { BatchOutputs } from './batch-outputs';
import type { StageServices } from './services';
import { gapOf } from './promotion';
import { nextSummary, type SummaryRequest } from './summary';
import type { TaskState } from './task-state';

/** What a commit without input says that it read. */
export const nothingRead = {
  messages: 0,
  inputHash: 0,
  ledger: emptyLedger,
  gaps: [],
  firstEnqueuedAtMs: null,
  lastEnqueuedAtMs: null,
};

/** What a pass over a range gives to its commit. */
export type CommitContent = Pick<
  CommitRecord,
  'to' | 'messages' | 'inputHash' | 'ledger' | 'gaps' | 'processingTimeMs'
> &
  Pick<SummaryRequest, 'firstEnqueuedAtMs' | 'lastEnqueuedAtMs'> & {
    readonly settledLetters?: CommitRecord['settledLetters'];
  };

export interface DraftRequest extends Omit<
  SummaryRequest,
  'commit' | 'epoch' | 'firstEnqueuedAtMs' | 'lastEnqueuedAtMs'
> {
  readonly task: TaskState;
  readonly outputs: BatchOutputs;
  readonly producer: Omit<OutboxSender, 'epoch'>;
  readonly services: StageServices;
  readonly content: CommitContent;
  readonly from: Cursor;
  readonly watermarkMs: number | null;
  readonly watermarkReason: WatermarkReason;
  /** Of what is sent, by position in `StagePlan.exchanges`. */
  readonly exchangeTime: (exchange: number) => ExchangeTime;
  /** The task ends: with all that it has to give out, it has finished. */
  readonly isEnding: boolean;
  /** The source positions that the watermark covers. */
  readonly through: Positions;
}

/**
 * Turns what a batch gathered into the one record that says all of it.
 * @returns null where it does not fit one append: the rest of it is not made then
 */
export function draftCommit(request: DraftRequest): CommitRecord | null {
  const { content, outputs, services, task, through } = request;
  const { blockBytesMax } = services.limits.log;
  const commit = task.commit + 1;
  const nowMs = services.clock.nowMs();
  const epoch = task.epoch ?? Math.max(nowMs, task.epochMin);
  const outbox = outputs.outboxes.flatMap((exchange, index) => {
    const { watermarkMs } = request.exchangeTime(index);
    return exchange.pack(
      { ...request.producer, epoch },
      {
        ...{ commit, watermarkMs, through },
        isFinished: request.isEnding && isTimeOver(watermarkMs),
        // Where no events come, nothing may follow that would tell of the time by the way.
        broadcast: content.ledger.read === 0,
      },
    );
  });
  // After the outboxes are packed: their marks are state. Beside them the rest of a record is small.
  const state = task.keyed.changes(blockBytesMax);
  if (state === null) return null;
  const { firstEnqueuedAtMs, gaps, lastEnqueuedAtMs, settledLetters = [], ...range } = content;
  const body = {
    commit,
    committedAtMs: nowMs,
    from: request.from,
    ...range,
    gaps: [...gapOf(task.summary?.promotion ?? null), ...gaps],
    watermarkMs: request.watermarkMs,
    watermarkReason: request.watermarkReason,
    rows: outputs.encodeRows(),
    outbox,
    deadLetters: outputs.deadLetters(),
    settledLetters,
  };
  const record: CommitRecord = {
    kind: 'commit',
    commitId: services.randomness.uniqueId(),
    writer: services.writer,
    ...body,
    state,
    summary: nextSummary({ ...request, epoch, firstEnqueuedAtMs, lastEnqueuedAtMs, commit: body }),
  };
  return encodedLength(record, blockBytesMax) <= blockBytesMax ? record : null;
}
