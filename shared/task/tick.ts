import type { StagePlan } from '../model/program';
import { endOfTimeMs, isTimeOver } from '../time/exchange-time';
import { quietWatermarkMs, tickIntervalMs, ticksInARow } from '../time/source-time';
import type { CommitMeans, TaskHold } from './task-hold';

const inputStore = '$quiet';

/** The input that came last, where wall clock may move time. */
interface LastInput {
  readonly enqueuedTimeMs: number;
  /** When it was taken in, by the clock of who did: not before it was enqueued. */
  readonly atMs: number;
}

export interface TickRequest {
  /** Since the last commit, or since input last came. */
  readonly quietMs: number;
  /** By the clock, before the hub was found to hold nothing more. */
  readonly asOfMs: number;
  readonly deadlineMs: number;
}

/** Notes the input of the commit under way, where wall clock will go on from it. */
export function noteInput(
  hold: TaskHold,
  plan: StagePlan,
  last: Pick<LastInput, 'enqueuedTimeMs'> | undefined,
  atMs: number,
): void {
  if (plan.quiet === null || last === undefined) return;
  const { enqueuedTimeMs } = last;
  hold.state.keyed.store<LastInput>(inputStore).put('input', { enqueuedTimeMs, atMs });
}

/**
 * Moves a quiet source's watermark by wall clock, and says so in the log: to where no event that is yet to be
 * enqueued can be on time, so that ticks never decide what is late. Ticks that follow each other without input
 * between them come at doubled intervals: an idle task costs little.
 * @returns what the commits mean that fire what is due now; null: there is nothing to move yet
 */
export async function tick(
  hold: TaskHold,
  plan: StagePlan,
  request: TickRequest,
): Promise<CommitMeans | null> {
  const { program, state } = hold;
  const input = state.keyed.store<LastInput>(inputStore).get('input');
  const isOver = isTimeOver(program.watermarkMs) || hold.isTimeAtRest();
  if (plan.quiet === null || input === undefined || isOver) return null;
  const count = ticksInARow(state);
  if (request.quietMs < tickIntervalMs(plan.quiet.afterMs, count)) return null;
  const elapsedMs = request.asOfMs - input.atMs;
  const toMs = quietWatermarkMs(plan.quiet, { ...input, elapsedMs });
  if (toMs <= (program.watermarkMs ?? -Infinity)) return null;
  return moveTime(hold, { toMs: Math.floor(toMs), reason: 'idle', count: count + 1 });
}

/** For how long nothing comes before a task is looked at for what time alone asks for. */
export function patienceOf(
  { quiet }: Pick<StagePlan, 'quiet'>,
  limits: { readonly stallAfterMs: number; readonly claimEveryMs: number },
): number {
  return Math.min(limits.stallAfterMs, limits.claimEveryMs / 2, quiet?.afterMs ?? Infinity);
}

/** Ends a source's time: all its windows close. Null: it has ended, or is its producers'. */
export async function endTime(
  hold: TaskHold,
  plan: StagePlan,
  means: CommitMeans = {},
): Promise<CommitMeans | null> {
  if (plan.input.kind !== 'source' || isTimeOver(hold.program.watermarkMs)) return null;
  return moveTime(hold, { toMs: endOfTimeMs, reason: 'drain', count: 1, ...means });
}

async function moveTime(
  hold: TaskHold,
  move: CommitMeans & {
    readonly toMs: number;
    readonly reason: 'idle' | 'drain';
    readonly count: number;
  },
): Promise<CommitMeans> {
  const { program, state } = hold;
  const means = { isEnding: move.isEnding === true };
  program.beginCommit(0);
  program.advanceWatermark(move.toMs);
  const last = { atCommit: state.commit + 1, count: move.count, isAtRest: false };
  const tick = { ...last, isEnd: means.isEnding };
  const draft = hold.draftWithoutInput(move.reason, { ...means, tick });
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
