import type { RegisteredFunction } from './app-loader';
import type { InvocationRequest } from './invoke';

/**
 * Runs an invocation under the function's retry policy, in this process and with the same events, as
 * the host does. Counts are in memory: they start again when the process dies. Rejects with the
 * last error, or with the current one as soon as `isCancelled`.
 */
export async function withRetry(
  target: RegisteredFunction,
  attempt: (retryContext: InvocationRequest['retryContext']) => Promise<unknown>,
  isCancelled: () => boolean,
): Promise<void> {
  const policy = target.retryOptions;
  let last: Error | undefined;
  for (let retryCount = 0; ; retryCount += 1) {
    try {
      await attempt(
        policy && {
          retryCount,
          maxRetryCount: policy.maxRetryCount,
          ...(last && { exception: { message: last.message, stackTrace: last.stack ?? '' } }),
        },
      );
      return;
    } catch (error) {
      last = error instanceof Error ? error : new Error(String(error));
      const isOver =
        policy === undefined || (policy.maxRetryCount >= 0 && retryCount >= policy.maxRetryCount);
      if (isOver || isCancelled()) throw last;
      await new Promise((resolve) => setTimeout(resolve, delayMs(policy, retryCount + 1)));
    }
  }
}

/** Before retry n: constant, or minimum + random(0.8..1.2) · 2^(n-2) · minimum up to the maximum. */
function delayMs(policy: NonNullable<RegisteredFunction['retryOptions']>, retry: number): number {
  const milliseconds = (interval: { seconds: number } | undefined): number =>
    (interval?.seconds ?? 0) * 1000;
  if (policy.retryStrategy === 'fixedDelay') return milliseconds(policy.delayInterval);
  const minimum = milliseconds(policy.minimumInterval);
  if (retry === 1) return minimum;
  const random = 0.8 + Math.random() * 0.4;
  return Math.min(
    milliseconds(policy.maximumInterval),
    minimum + random * 2 ** (retry - 2) * minimum,
  );
}
