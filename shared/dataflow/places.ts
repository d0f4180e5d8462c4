/** Where the parts of topologies are written, for whoever says what is wrong with them. */
import { StreamError } from '../model/errors';

/** What is wrong, and the stack of the call that made it so; null: no single one did. */
export interface Fault {
  readonly text: string;
  readonly stack: string | null;
}

const stacksOfParts = new WeakMap<object, string>();
const faultsOfErrors = new WeakMap<object, readonly Fault[]>();

/** The stack of the caller, as text. */
export function stackHere(): string {
  return new Error().stack ?? '';
}

/** Remembers that a part (a node, a table, a topology) is being made here. */
export function notePlace(...parts: readonly object[]): void {
  const stack = stackHere();
  for (const part of parts) stacksOfParts.set(part, stack);
}

export function faultOf(part: object, text: string): Fault {
  return { text, stack: stacksOfParts.get(part) ?? null };
}

/** STREAM_TOPOLOGY_INVALID; `faultsOf` tells its faults with their places. */
export function unsound(
  message: string,
  faults: readonly Fault[],
  details: Readonly<Record<string, unknown>> = {},
): StreamError {
  const error = new StreamError('STREAM_TOPOLOGY_INVALID', message, { details });
  faultsOfErrors.set(error, faults);
  return error;
}

/** Null: the error is not of a topology that is unsound. */
export function faultsOf(error: unknown): readonly Fault[] | null {
  if (typeof error !== 'object' || error === null) return null;
  return faultsOfErrors.get(error) ?? null;
}
