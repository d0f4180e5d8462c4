import type { StagePlan } from '../model/program';
import { endOfTimeMs } from '../time/exchange-time';
import type { CommitMeans, TaskHold } from './task-hold';

const idleDoublingsMax = 10;

export interface TickRequest {
  /** Since input last came. */
  readonly quietMs: number;
  /** Time is to end, whatever has been quiet for how long. */
  readonly isDraining: boolean;
  /** The task itself is to end. */
  readonly isEnding?: boolean;
  readonly deadlineMs: number;
}

/**
 * Moves a quiet source's watermark by wall clock, and says so in the log. Ticks that follow each other
 * without input between them come at doubled intervals: an idle task costs little.
 * @returns what the commits mean that fire what is due now; null: it is not time yet
 */
export async function tick(
  hold: TaskHold,
  plan: StagePlan,
  request: TickRequest,
): Promise<CommitMeans | null> {
  const { program, state } = hold;
  const isDrained = program.watermarkMs === endOfTimeMs;
  const isAtRest = !request.isDraining && hold.isTimeAtRest();
  if (plan.input.kind !== 'source' || isDrained || isAtRest) return null;
  const { tick: last } = state;
  const count = last?.atCommit === state.commit ? last.count : 0;
  const waitMs = plan.idleAfterMs * 2 ** Math.min(count, idleDoublingsMax);
  if (!request.isDraining && request.quietMs < waitMs) return null;
  program.beginCommit(0);
  const { eventTimeMaxMs, watermarkMs } = program;
  if (request.isDraining) {
    program.advanceWatermark(endOfTimeMs);
  } else if (eventTimeMaxMs !== null) {
    program.advanceWatermark(Math.max(eventTimeMaxMs, watermarkMs ?? 0) + request.quietMs);
  }
  const reason = request.isDraining ? 'drain' : 'idle';
  const means = { isIdle: true, isEnding: request.isEnding === true };
  const draft = hold.draftWithoutInput(reason, {
    ...means,
    tick: {
      ...{ atCommit: state.commit + 1, count: count + 1 },
      ...{ isAtRest: false, isEnd: means.isEnding },
    },
  });
  if ((await hold.append(draft)) === 'committed') await hold.deliver();
  return means;
}

/** A task whose time was over before it was to end has not told consumers that it has finished. */
export async function tellEnd(hold: TaskHold): Promise<void> {
  if (hold.outputs.outboxes.every((outbox) => outbox.isEndTold())) return;
  hold.program.beginCommit(0);
  const draft = hold.draftWithoutInput('drain', { isEnding: true });
  if ((await hold.append(draft)) === 'committed') await hold.deliver();
}
