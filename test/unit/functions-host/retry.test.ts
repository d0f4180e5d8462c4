// Goal: pauses between retries grow as the host's do, and JSON files read as the host reads them.
import { withoutComments } from '../../../local/settings/json-file';
import { retryDelayMs } from '../../../local/functions-host/retry';
import { parseTimeSpan } from '../../../local/settings/time-span';

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
  ['00:05', 300_000],
  ['5', 432_000_000],
  ['24:00:00', 24 * 86_400_000],
  ['25:00:00:00', 25 * 86_400_000],
  ['1.00:00', 86_400_000],
  ['1:02:03:04.5', 93_784_500],
  ['23:59:59', 86_399_000],
  [' 00:00:00.0010000 ', 1],
  ['24:00', null],
  ['25:61:00', null],
  ['00:60', null],
  ['00:00:60', null],
  ['99999999', null],
  ['1.5', null],
  ['-00:05', null],
  ['', null],
  ['5 minutes', null],
])('time span %s, as .NET reads it', (text, milliseconds) => {
  expect(parseTimeSpan(text)).toBe(milliseconds);
});

test('comments and trailing commas go, texts stay', () => {
  const text = '{ "a": "// no, /* no */ ,}", // yes\n "b": [1, 2,], /* yes\n */ }';
  expect(JSON.parse(withoutComments(text))).toEqual({ a: '// no, /* no */ ,}', b: [1, 2] });
});
