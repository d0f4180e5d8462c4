import { encodedLength } from '../commit-log/record';
import type { CommitRecord, Cursor, WatermarkReason } from '../model/commit';
import type { OutboxSender } from '../delivery/exchange/outbox';
import type { ExchangeTime } from '../model/program';
import { endOfTimeMs } from '../time/exchange-time';
import type { Positions } from '../time/position';
import type { BatchOutputs } from './batch-outputs';
import type { StageServices } from './services';
import { startEpoch } from './task-identity';
import type { TaskState } from './task-state';

/** A commit ready to append. */
export interface Draft {
  readonly record: CommitRecord;
  /** Infinity where it does not fit one append. */
  readonly bytes: number;
}

export interface DraftRequest {
  readonly task: TaskState;
  readonly outputs: BatchOutputs;
  readonly producer: Omit<OutboxSender, 'epoch'>;
  readonly services: StageServices;
  readonly result: Pick<CommitRecord, 'to' | 'messages' | 'inputHash' | 'ledger' | 'gaps'>;
  readonly from: Cursor;
  readonly watermarkMs: number | null;
  readonly watermarkReason: WatermarkReason;
  /** Of what is sent, by position in `StagePlan.exchanges`. */
  readonly exchangeTime: (exchange: number) => ExchangeTime;
  readonly isIdle: boolean;
  /** The task ends: with all that it has to give out, it has finished. */
  readonly isEnding: boolean;
  /** The source positions that the watermark covers. */
  readonly through: Positions;
}

/** Turns what a batch gathered into the one record that says all of it. */
export function encodeDraft(request: DraftRequest): Draft {
  const { outputs, result, services, task, through } = request;
  const commit = task.commit + 1;
  const nowMs = services.clock.nowMs();
  const epoch = startEpoch(task, nowMs);
  const outbox = outputs.outboxes.flatMap((exchange, index) => {
    const { isAwaited, watermarkMs } = request.exchangeTime(index);
    return exchange.pack(
      { ...request.producer, epoch },
      {
        ...{ commit, watermarkMs, through },
        isFinished: request.isEnding && watermarkMs === endOfTimeMs,
        isIdle: request.isIdle && !isAwaited,
        // Where no events come, nothing may follow that would tell of the time by the way.
        broadcast: result.ledger.read === 0,
      },
    );
  });
  const record: CommitRecord = {
    kind: 'commit',
    commit,
    commitId: services.randomness.uniqueId(),
    writer: services.writer,
    committedAtMs: nowMs,
    from: request.from,
    ...result,
    watermarkMs: request.watermarkMs,
    watermarkReason: request.watermarkReason,
    state: task.keyed.changes(),
    rows: outputs.encodeRows(),
    outbox,
    deadLetters: outputs.deadLetters(),
    outboxConfirmedThrough: task.outboxConfirmedThrough,
    flushedThrough: Object.fromEntries(task.flushedThrough),
  };
  return { record, bytes: encodedLength(record, services.limits.log.blockBytesMax) };
}
