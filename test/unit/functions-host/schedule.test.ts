// Goal: schedules give the times NCRONTAB gives, in the zone that is set, and say what is wrong.
import { parseSchedule } from '../../../local/functions-host/schedule';
import {
  countedFromMs,
  dueOnTaking,
  statusOfChangedSchedule,
  type Due,
  type TimerSituation,
} from '../../../local/functions-host/timer-due';
import { neverRan } from '../../../local/functions-host/timer-status';

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

describe('where clocks are put forward or back', () => {
  const newYork = 'America/New_York';
  const times = (text: string, zone: string, after: string, count: number): string => {
    const schedule = parseSchedule('f', text, { WEBSITE_TIME_ZONE: zone });
    const found: string[] = [];
    for (let time = new Date(after); found.length < count;) {
      time = schedule.next(time);
      found.push(time.toISOString().slice(5, 16));
    }
    return found.join(' ');
  };

  test.each<[string, string, string, string]>([
    // Skipped: 02:00 to 03:00 on 8 March. .NET reads 02:30 as if the clocks were changed later.
    ['0 30 2 * * *', newYork, '2026-03-08T05:00:00Z', '03-08T07:30 03-09T06:30'],
    ['0 30 2 8 3 *', newYork, '2026-03-08T05:00:00Z', '03-08T07:30 03-08T07:30'],
    ['0 30 2 * * 0', newYork, '2026-03-08T05:00:00Z', '03-08T07:30 03-15T06:30'],
    ['0 0 2 * * *', newYork, '2026-03-08T05:00:00Z', '03-08T07:00 03-09T06:00'],
    ['0 30 2,3 * * *', newYork, '2026-03-08T05:00:00Z', '03-08T07:30 03-09T06:30'],
    ['0 30 * * * *', newYork, '2026-03-08T05:00:00Z', '03-08T05:30 03-08T06:30 03-08T07:30'],
    ['0 */20 * * * *', newYork, '2026-03-08T06:30:00Z', '03-08T06:40 03-08T07:00 03-08T07:20'],
    ['0 30 2 * * *', newYork, '2026-03-08T07:10:00Z', '03-09T06:30 03-10T06:30'],
    ['0 30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', '03-29T01:30 03-30T00:30'],
    ['0 15 0 * * *', 'America/Santiago', '2026-09-05T12:00:00Z', '09-06T04:15 09-07T03:15'],
    ['0 15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T00:00:00Z', '10-03T15:45 10-04T15:15'],
    ['0 0 18 * * 5', newYork, '2026-03-07T00:00:00Z', '03-13T22:00'],
    ['0 30 23 * * *', 'Europe/Berlin', '2026-03-28T00:00:00Z', '03-28T22:30 03-29T21:30'],
    // Twice: 01:00 to 02:00 on 1 November.
    ['0 30 1 * * *', newYork, '2026-11-01T04:00:00Z', '11-01T05:30 11-02T06:30'],
    ['0 */20 * * * *', newYork, '2026-11-01T05:30:00Z', '11-01T05:40 11-01T06:00 11-01T06:20'],
  ])('%s in %s after %s comes at %s', (text, zone, after, expected) => {
    expect(times(text, zone, after, expected.split(' ').length)).toBe(expected);
  });
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
  // Every minute of two hours only: the host goes by the letter of the fields.
  expect(parseSchedule('f', '*/30 * 8-9 * * *', utc).isFrequent).toBe(false);
  expect(parseSchedule('f', '* * * * *', utc).isFrequent).toBe(false);
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
    ...{ Last: last, LastUpdated: last },
    Next: hourly.next(new Date(last)).toISOString(),
  });

  test.each<[string, Partial<TimerSituation>, number, Due['unscheduled']]>([
    ['finds nothing: waits for the next time', {}, nextMs, null],
    [
      'finds a time that passed: makes up for it',
      { status: ranAt('2026-03-01T09:00:00Z') },
      nowMs,
      'IsPastDue',
    ],
    ['finds it ran: waits', { status: ranAt('2026-03-01T10:00:00Z') }, nextMs, null],
    ['is to run on startup', { isRunOnStartup: true }, nowMs, 'RunOnStartup'],
    [
      'is to run on startup, which another worker did',
      { isRunOnStartup: true, note: { dueAtMs: nextMs, hostStartedAtMs: nowMs - 60_000 } },
      ...([nextMs, null] as const),
    ],
    [
      'finds a note of a dead worker of this host',
      { note: { dueAtMs: nowMs - 5_000, hostStartedAtMs: nowMs - 60_000 } },
      ...([nowMs, 'IsPastDue'] as const),
    ],
    [
      'finds a note of a host before this one',
      { note: { dueAtMs: nowMs - 5_000, hostStartedAtMs: 1 } },
      ...([nextMs, null] as const),
    ],
  ])('%s', (_what, found, atMs, unscheduled) => {
    expect(dueOnTaking({ ...situation, ...found })).toEqual({ atMs, unscheduled });
  });

  test('a status of another schedule is made one of this, and what that missed is not past due', () => {
    const stored = ranAt('2026-03-01T10:00:00Z') as NonNullable<TimerSituation['status']>;
    expect(statusOfChangedSchedule(stored, hourly, nowMs)).toBeNull();
    const other = { ...stored, Next: '2026-03-01T10:20:00Z' };
    expect(statusOfChangedSchedule(other, hourly, nowMs)).toEqual({
      ...{ Last: neverRan, Next: '2026-03-01T11:00:00.000Z' },
      LastUpdated: '2026-03-01T10:00:00.000Z',
    });
    const missed = { ...stored, Last: '2026-03-01T08:00:00Z', Next: '2026-03-01T08:20:00Z' };
    const changed = statusOfChangedSchedule(missed, hourly, nowMs);
    expect(changed).toEqual({
      ...{ Last: neverRan, Next: '2026-03-01T11:00:00.000Z' },
      LastUpdated: '2026-03-01T10:30:00.000Z',
    });
    expect(dueOnTaking({ ...situation, status: changed })).toEqual({
      ...{ atMs: nextMs, unscheduled: null },
    });
  });
});

test('the next time counts from when a run began, and never from before the time it was for', () => {
  expect(countedFromMs({ atMs: 1_000, unscheduled: null }, 1_300)).toBe(1_300);
  expect(countedFromMs({ atMs: 1_000, unscheduled: null }, 990)).toBe(1_000);
  expect(countedFromMs({ atMs: 1_000, unscheduled: 'IsPastDue' }, 990)).toBe(990);
});
