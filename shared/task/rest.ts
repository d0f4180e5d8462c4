import { emptyLedger } from '../model/commit';
import type { StagePlan } from '../model/program';
import type { TaskHold } from './task-hold';

/** The last commit that wall clock asked for: `last` of the store `$tick`. */
export interface Tick {
  readonly atCommit: number;
  /** Ticks without input between them. */
  readonly count: number;
  readonly isAtRest?: true;
  /** The task ends with it. */
  readonly isEnd?: true;
}

/** What a commit without input says that it read. */
export const nothingRead = { messages: 0, inputHash: 0, ledger: emptyLedger, gaps: [] };

/**
 * A task in which nothing is open and of which nobody waits for anything says so once, in a commit
 * without input; one that reads an exchange says that what it sent on has arrived. From then on it is
 * silent, and whoever surveys its log has nothing to ask of it. Its outputs have left by then.
 */
export async function comeToRest(hold: TaskHold, plan: StagePlan): Promise<void> {
  const { state } = hold;
  const isSource = plan.input.kind === 'source';
  const ticks = state.keyed.store<Tick>('$tick');
  const last = ticks.get('last');
  const isTold = last?.isAtRest === true && last.atCommit === state.commit;
  const isNews = isSource ? !isTold && hold.isTimeAtRest() : state.isArrivalUntold;
  if (!isNews || state.pendingOutbox.length > 0) return;
  if (isSource) ticks.put('last', { atCommit: state.commit + 1, count: 0, isAtRest: true });
  hold.program.beginCommit(0);
  const draft = hold.draft({ to: hold.cursor, ...nothingRead }, 'events', { isIdle: isSource });
  if ((await hold.append(draft)) === 'committed') await hold.deliver();
}
