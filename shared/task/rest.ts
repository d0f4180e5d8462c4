import type { StagePlan } from '../model/program';
import type { TaskHold } from './task-hold';

/**
 * A task without input tells what is not known of it yet, in a commit without input: how far its time is, to
 * partitions that its last events did not go to; that what it sent has arrived; and what was lost with a region. Where wall clock moves a
 * source's time, also that there is nothing left to close. From then on it is silent, and whoever surveys its
 * log has nothing to ask of it.
 */
export async function comeToRest(hold: TaskHold, plan: StagePlan): Promise<void> {
  const { state } = hold;
  if (state.pendingOutbox.length > 0) return;
  const { tick } = state;
  const isRestTold = tick?.isAtRest === true && tick.atCommit === state.commit;
  const isRestNews = plan.quiet !== null && !isRestTold && hold.isTimeAtRest();
  const isLossUntold = state.summary?.promotion?.isDeclared === false;
  if (!isRestNews && !isLossUntold && !state.isArrivalUntold && hold.isTimeTold()) return;
  hold.program.beginCommit(0);
  const rest = { atCommit: state.commit + 1, count: 0, isAtRest: true, isEnd: false };
  const draft = hold.draftWithoutInput('events', isRestNews ? { tick: rest } : {});
  if ((await hold.append(draft)) === 'committed') await hold.deliver();
}
