// Goal: schedules give the times NCRONTAB gives, in the zone that is set, and say what is wrong.
import { parseSchedule } from '../../../local/functions-host/schedule';
import { dueOnTaking, type TimerSituation } from '../../../local/functions-host/timer-due';

const utc = { TZ: 'UTC' };
const next = (text: string, after: string, settings: Record<string, string> = utc): string =>
  parseSchedule('f', text, settings).next(new Date(after)).toISOString();

test.each<[string, string, string, Record<string, string>]>([
  ['*/10 * * * * *', '2026-03-01T00:00:05Z', '2026-03-01T00:00:10.000Z', utc],
  ['*/10 * * * * *', '2026-03-01T00:00:10Z', '2026-03-01T00:00:20.000Z', utc],
  ['*/5 * * * *', '2026-03-01T00:00:05Z', '2026-03-01T00:05:00.000Z', utc],
  ['0 0 9-17 * * Mon-Fri', '2026-02-28T00:00:00Z', '2026-03-02T09:00:00.000Z', utc],
  ['0 0/30 * * * *', '2026-03-01T00:00:00Z', '2026-03-01T00:30:00.000Z', utc],
  ['0 50/3,7 * * * *', '2026-03-01T00:53:00Z', '2026-03-01T00:56:00.000Z', utc],
  ['0 0 0 * * TUE/2', '2026-03-03T00:00:00Z', '2026-03-05T00:00:00.000Z', utc],
  ['0 0 0 1 FEB/4 *', '2026-02-01T00:00:00Z', '2026-06-01T00:00:00.000Z', utc],
  ['0 0 0 1 January Monday', '2026-01-01T00:00:00Z', '2029-01-01T00:00:00.000Z', utc],
  ['0 0 0 29 2 *', '2026-03-01T00:00:00Z', '2028-02-29T00:00:00.000Z', utc],
  ['0 0 0 13 * 5', '2026-02-14T00:00:00Z', '2026-03-13T00:00:00.000Z', utc],
  ['00:05:00', '2026-03-01T00:00:05Z', '2026-03-01T00:05:05.000Z', utc],
  ['0 0 9 * * *', '2026-03-01T00:00:00Z', '2026-03-01T08:00:00.000Z', { TZ: 'Europe/Berlin' }],
  [
    '0 0 9 * * *',
    '2026-03-01T00:00:00Z',
    '2026-03-01T14:00:00.000Z',
    { TZ: 'UTC', WEBSITE_TIME_ZONE: 'America/New_York' },
  ],
])('%s after %s', (text, after, expected, settings) => {
  expect(next(text, after, settings)).toBe(expected);
});

test.each<[string, Record<string, string>, RegExp]>([
  ['', utc, /f: the schedule '' has 0 fields/],
  ['* * *', utc, /has 3 fields/],
  ['0 0 0 L * *', utc, /has 'L', which NCRONTAB does not know/],
  ['0 0 0 * * 7', utc, /has '7': the days of the week are 0 \(Sunday\) to 6/],
  ['0 0 0 * * 1-7/2', utc, /has '1-7\/2': the days of the week/],
  ['0 61 * * * *', utc, /is not valid/],
  ['0 0 0 31 2 *', utc, /never comes/],
  ['00:00:00', utc, /is no time at all/],
  ['0 * * * * *', { TZ: 'Mars/Base' }, /f: the setting TZ names no time zone: 'Mars\/Base'/],
])('%s is refused', (text, settings, message) => {
  expect(() => parseSchedule('f', text, settings).next(new Date())).toThrow(message);
});

test('timers closer than a minute are not monitored', () => {
  expect(parseSchedule('f', '*/30 * * * * *', utc).isFrequent).toBe(true);
  expect(parseSchedule('f', '0 * * * * *', utc).isFrequent).toBe(false);
  expect(parseSchedule('f', '00:00:59', utc).isFrequent).toBe(true);
});

describe('who takes a timer over', () => {
  const hourly = parseSchedule('f', '0 0 * * * *', utc);
  const nowMs = Date.parse('2026-03-01T10:30:00Z');
  const situation: TimerSituation = {
    ...{ schedule: hourly, nowMs, status: null, note: null, isRunOnStartup: false },
    hostStartedAtMs: nowMs - 60_000,
  };
  const nextMs = Date.parse('2026-03-01T11:00:00Z');
  const ranAt = (last: string): TimerSituation['status'] => ({
    ...{ Last: last, Next: last, LastUpdated: last },
  });

  test.each<[string, Partial<TimerSituation>, number, boolean]>([
    ['finds nothing: waits for the next time', {}, nextMs, false],
    [
      'finds a time that passed: makes up for it',
      { status: ranAt('2026-03-01T09:00:00Z') },
      nowMs,
      true,
    ],
    ['finds it ran: waits', { status: ranAt('2026-03-01T10:00:00Z') }, nextMs, false],
    ['is to run on startup', { isRunOnStartup: true }, nowMs, false],
    [
      'is to run on startup, which another worker did',
      { isRunOnStartup: true, note: { dueAtMs: nextMs, hostStartedAtMs: nowMs - 60_000 } },
      ...([nextMs, false] as const),
    ],
    [
      'finds a note of a dead worker of this host',
      { note: { dueAtMs: nowMs - 5_000, hostStartedAtMs: nowMs - 60_000 } },
      ...([nowMs, true] as const),
    ],
    [
      'finds a note of a host before this one',
      { note: { dueAtMs: nowMs - 5_000, hostStartedAtMs: 1 } },
      ...([nextMs, false] as const),
    ],
  ])('%s', (_what, found, atMs, isPastDue) => {
    expect(dueOnTaking({ ...situation, ...found })).toEqual({ atMs, isPastDue });
  });
});
