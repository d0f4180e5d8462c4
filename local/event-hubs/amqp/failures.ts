import { Refusal } from '../errors';
import { MalformedMessage } from '../message/sections';

/** Errors of a file system that has no room for more. */
const noRoom = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

function isNoRoom(error: unknown): boolean {
  return noRoom.has((error as NodeJS.ErrnoException | null)?.code ?? '');
}

/** How a failure is told to a client; `fallback` is the condition of one that has none of its own. */
export function describeFailure(
  error: unknown,
  fallback = 'amqp:internal-error',
): { readonly condition: string; readonly description: string } {
  if (error instanceof Refusal) return { condition: error.condition, description: error.message };
  const description = error instanceof Error ? error.message : String(error);
  if (error instanceof MalformedMessage) return { condition: 'amqp:decode-error', description };
  if (isNoRoom(error)) {
    return {
      condition: 'amqp:resource-limit-exceeded',
      description: `The log cannot grow: ${description}`,
    };
  }
  return { condition: fallback, description };
}
