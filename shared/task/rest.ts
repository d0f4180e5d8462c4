import type { StagePlan } from '../model/program';
import type { TaskHold } from './task-hold';

/**
 * A task in which nothing is open and of which nobody waits for anything says so once, in a commit
 * without input; one that reads an exchange says that what it sent on has arrived. From then on it is
 * silent, and whoever surveys its log has nothing to ask of it. Its outputs have left by then.
 */
export async function comeToRest(hold: TaskHold, plan: StagePlan): Promise<void> {
  const { state } = hold;
  const isSource = plan.input.kind === 'source';
  const { tick } = state;
  const isTold = tick?.isAtRest === true && tick.atCommit === state.commit;
  const isNews = isSource ? !isTold && hold.isTimeAtRest() : state.isArrivalUntold;
  if (!isNews || state.pendingOutbox.length > 0) return;
  hold.program.beginCommit(0);
  const rest = { atCommit: state.commit + 1, count: 0, isAtRest: true, isEnd: false };
  const draft = hold.draftWithoutInput('events', {
    isIdle: isSource,
    ...(isSource && { tick: rest }),
  });
  if ((await hold.append(draft)) === 'committed') await hold.deliver();
}
