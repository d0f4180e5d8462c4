import type { KeyedState, KeyedStore } from '../state/keyed-state';

/** What every name of a task's rows in a table's log begins with, whatever its epoch. */
export function taskIdPrefix(task: {
  readonly topology: string;
  readonly version: string;
  readonly stage: string;
  readonly partition: string;
}): string {
  return `${task.topology}/${task.version}/${task.stage}/${task.partition}/`;
}

/** Names a task's rows in a table's log: another epoch's commit numbers must not match. */
export function taskIdOf(task: Parameters<typeof taskIdPrefix>[0], epoch: number): string {
  return `${taskIdPrefix(task)}${epoch}`;
}

/** The epoch in a task's name; 0 where there is none. */
export function epochOfTaskId(taskId: string): number {
  const epoch = Number(taskId.slice(taskId.lastIndexOf('/') + 1));
  return Number.isSafeInteger(epoch) ? epoch : 0;
}

interface WithState {
  readonly keyed: KeyedState;
}

function births({ keyed }: WithState): KeyedStore<number> {
  return keyed.store<number>('$task');
}

/**
 * The birth of a task's state, journalled with its first commit: it tells consumers and tables apart
 * from those of a log that was deleted and begun anew, whose numbers start again at 1. Undefined
 * before the first commit.
 */
export function epochKnown(task: WithState): number | undefined {
  return births(task).get('epoch');
}

/** Gives a task its birth, unless it has one: later than that of any life that its tables know of. */
export function startEpoch(task: WithState & { readonly epochMin: number }, nowMs: number): number {
  const known = epochKnown(task);
  if (known !== undefined) return known;
  const epoch = Math.max(nowMs, task.epochMin);
  births(task).put('epoch', epoch);
  return epoch;
}
