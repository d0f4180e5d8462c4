import type { TaskContext } from './contract';

/**
 * Whether what the row under way belongs to was over at `endedMs`, for it came too late: then it is refused, and
 * counted so.
 */
export function refusedAsLate(context: TaskContext, endedMs: number): boolean {
  const isOver = endedMs <= context.closedThroughMs;
  if (isOver) context.refuse(endedMs);
  return isOver;
}
