import type { TaskAddress } from '../model/task-address';

/** What every name of a task's rows in a table's log begins with, whatever its epoch. */
export function taskIdPrefix(task: Omit<TaskAddress, 'incarnation'>): string {
  return `${task.topology}/${task.version}/${task.stage}/${task.partition}/`;
}

/** Names a task's rows in a table's log: another epoch's commit numbers must not match. */
export function taskIdOf(task: Omit<TaskAddress, 'incarnation'>, epoch: number): string {
  return `${taskIdPrefix(task)}${epoch}`;
}

/** The epoch in a task's name; 0 where there is none. */
export function epochOfTaskId(taskId: string): number {
  const epoch = Number(taskId.slice(taskId.lastIndexOf('/') + 1));
  return Number.isSafeInteger(epoch) ? epoch : 0;
}
