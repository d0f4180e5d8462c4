import { setTimeout as sleep } from 'node:timers/promises';
import type { RegisteredFunction } from './app-loader';
import type { InvocationRequest } from './invoke';

export type RetryPolicy = NonNullable<RegisteredFunction['retryOptions']>;

/**
 * Runs an invocation under the function's retry policy, in this process and with the same events, as
 * the host does. Counts are in memory: they start again when the process dies. Rejects with the
 * last error when retries are used up, or as soon as the signal is given.
 */
export async function withRetry(
  target: RegisteredFunction,
  attempt: (retryContext: InvocationRequest['retryContext']) => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const policy = target.retryOptions;
  let last: Error | undefined;
  for (let retryCount = 0; ; retryCount += 1) {
    try {
      await attempt(
        policy && {
          retryCount,
          maxRetryCount: policy.maxRetryCount,
          ...(last && {
            exception: { message: last.message, stackTrace: last.stack ?? '', source: last.name },
          }),
        },
      );
      return;
    } catch (error) {
      last = error instanceof Error ? error : new Error(String(error));
      const isOver =
        policy === undefined || (policy.maxRetryCount >= 0 && retryCount >= policy.maxRetryCount);
      if (isOver || signal.aborted) throw last;
      await sleep(retryDelayMs(policy, retryCount + 1, Math.random()), null, { signal }).catch(
        () => undefined,
      );
      if (signal.aborted) throw last;
    }
  }
}

/**
 * Milliseconds before retry n: constant, or the minimum first and then minimum + 0.8..1.2 of
 * 2^(n-2) minimums, up to the maximum. `random` is in 0..1.
 */
export function retryDelayMs(policy: RetryPolicy, retry: number, random: number): number {
  const milliseconds = (interval: { seconds: number } | undefined): number =>
    (interval?.seconds ?? 0) * 1000;
  if (policy.retryStrategy === 'fixedDelay') return milliseconds(policy.delayInterval);
  const minimum = milliseconds(policy.minimumInterval);
  if (retry === 1) return minimum;
  const growth = (0.8 + random * 0.4) * 2 ** (retry - 2) * minimum;
  return Math.min(milliseconds(policy.maximumInterval), minimum + growth);
}
