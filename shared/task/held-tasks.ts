import type { Task } from './task';

/** The tasks of one stage that a process holds, by partition. What it lets go of, others have the memory of. */
export class HeldTasks extends Map<string, Promise<Task>> {
  override delete(partition: string): boolean {
    letGo(this.get(partition));
    return super.delete(partition);
  }

  override clear(): void {
    for (const task of this.values()) letGo(task);
    super.clear();
  }
}

/** For a task that is not held: its memory is free once the work is done. */
export async function letGoAfter<Opened extends Task | null, Result>(
  task: Opened,
  work: (task: Task) => Promise<Result>,
): Promise<Result | (Opened extends null ? null : never)> {
  if (task === null) return null as Opened extends null ? null : never;
  try {
    return await work(task);
  } finally {
    task.letGo();
  }
}

function letGo(task: Promise<Task> | undefined): void {
  // One that could not be opened has told whoever opened it.
  task?.then(
    (opened) => opened.letGo(),
    () => undefined,
  );
}
