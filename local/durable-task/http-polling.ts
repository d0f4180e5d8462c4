/** The polling of callHttp, which the package's own replay counts along. */
import type { HttpRequest, HttpResult } from './actions';
import { HostFailure } from './failures';
import { timerLimits } from './replay-limits';

export const httpPollDelayMs = 30_000;

/** Where a 202 says to ask again; null: the answer is the last. `first`: the request it all began with. */
export function nextPoll(
  first: HttpRequest,
  result: string | null,
): { readonly delayMs: number; readonly request: HttpRequest } | null {
  if (first.asynchronousPatternEnabled === false || result === null) return null;
  const { statusCode, headers = {} } = JSON.parse(result) as Partial<HttpResult>;
  const header = (wanted: string): string | undefined =>
    [Object.entries(headers).find(([name]) => name.toLowerCase() === wanted)?.[1]].flat()[0];
  const location = header('location');
  if (statusCode !== 202 || location === undefined) return null;
  if (!URL.canParse(location, first.uri)) {
    throw new HostFailure(
      `callHttp: ${first.uri} answered 202 with the Location '${location}', which is no URL`,
    );
  }
  const seconds = Number(header('retry-after') ?? httpPollDelayMs / 1000);
  return {
    delayMs: Number.isFinite(seconds)
      ? Math.min(seconds * 1000, timerLimits.maximumShortTimerMs)
      : httpPollDelayMs,
    request: {
      method: 'GET',
      uri: new URL(location, first.uri).href,
      ...(first.headers && { headers: first.headers }),
      ...(first.tokenSource !== undefined && { tokenSource: first.tokenSource }),
      asynchronousPatternEnabled: true,
    },
  };
}
