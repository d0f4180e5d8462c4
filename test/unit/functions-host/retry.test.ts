// Goal: pauses between retries grow as the host's do, and JSON files read as the host reads them.
import { withoutComments } from '../../../local/functions-host/json-file';
import { retryDelayMs } from '../../../local/functions-host/retry';
import { parseTimeSpan } from '../../../local/functions-host/time-span';

test('an exponential pause: the minimum first, then 2^(n-2) minimums more, up to the maximum', () => {
  const policy = {
    retryStrategy: 'exponentialBackoff' as const,
    maxRetryCount: 10,
    minimumInterval: { seconds: 2 },
    maximumInterval: { seconds: 20 },
  };
  const delays = [1, 2, 3, 4, 5, 6].map((retry) => retryDelayMs(policy, retry, 0.5));
  expect(delays).toEqual([2_000, 4_000, 6_000, 10_000, 18_000, 20_000]);
  expect(retryDelayMs(policy, 3, 0)).toBe(5_200);
});

test('a fixed pause stays', () => {
  const policy = {
    retryStrategy: 'fixedDelay' as const,
    maxRetryCount: -1,
    delayInterval: { seconds: 3 },
  };
  expect([1, 9].map((retry) => retryDelayMs(policy, retry, 0.9))).toEqual([3_000, 3_000]);
});

test.each<[string, number | null]>([
  ['00:05:00', 300_000],
  ['1.02:03:04.5', 93_784_500],
  ['24:00:00', null],
  ['5 minutes', null],
])('time span %s', (text, milliseconds) => {
  expect(parseTimeSpan(text)).toBe(milliseconds);
});

test('comments and trailing commas go, texts stay', () => {
  const text = '{ "a": "// no, /* no */ ,}", // yes\n "b": [1, 2,], /* yes\n */ }';
  expect(JSON.parse(withoutComments(text))).toEqual({ a: '// no, /* no */ ,}', b: [1, 2] });
});
