import { StreamError } from './errors';
import type { FoundPlan } from './topology-plan';

/** Somebody else's plan counts in a log: what this process holds of the topology is of the former one. */
export interface Fence extends StreamError {
  readonly details: { readonly found: FoundPlan } & StreamError['details'];
}

/** A log said so: the store has to be asked which plan counts, and this process may well go on under it. */
export function isFence(error: unknown): error is Fence {
  return isOfSuperseded(error) && 'found' in error.details;
}

/** The store said so: another build goes on, and this one commits to the topology no more. */
export function isSuperseded(error: unknown): boolean {
  return isOfSuperseded(error) && !('found' in error.details);
}

/** Undefined: another build goes on with the topology, and this one leaves it alone. */
export async function unlessSuperseded<Result>(
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (isOfSuperseded(error)) return undefined;
    throw error;
  }
}

/** What a task is refused with whose log goes on under another plan, or in another version. */
export function fencedBy(
  log: string,
  found: FoundPlan,
  details: Readonly<Record<string, unknown>>,
): StreamError {
  const why =
    found === null
      ? 'was ended: the next version of its topology goes on'
      : `is written under plan ${found.number} (${found.hash})`;
  return new StreamError('STREAM_BUILD_SUPERSEDED', `${log} ${why}`, {
    details: { ...details, found },
  });
}

function isOfSuperseded(error: unknown): error is StreamError {
  return error instanceof StreamError && error.code === 'STREAM_BUILD_SUPERSEDED';
}
