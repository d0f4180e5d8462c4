// Goal: a time on the command line means what it says, or is refused: `last 7` was the year 7 once.
import fc from 'fast-check';
import { parseInstant } from '../../../cli/instant';

const nowMs = Date.UTC(2026, 10, 30, 12);

it.each([
  ['2026-06-01', Date.UTC(2026, 5, 1)],
  ['2026-06-01T12:00Z', Date.UTC(2026, 5, 1, 12)],
  ['2026-06-01 12:00Z', Date.UTC(2026, 5, 1, 12)],
  ['2026-06-01t12:00:30.25z', Date.UTC(2026, 5, 1, 12, 0, 30, 250)],
  ['2026-06-01T12:00:30+02:00', Date.UTC(2026, 5, 1, 10, 0, 30)],
  ['2026-06-01T12:00-0330', Date.UTC(2026, 5, 1, 15, 30)],
  ['2026-06-01T12:00+02', Date.UTC(2026, 5, 1, 10)],
  ['0001-01-01', Date.parse('0001-01-01T00:00:00Z')],
  ['2024-02-29', Date.UTC(2024, 1, 29)],
  ['now', nowMs],
  ['90s', nowMs - 90_000],
  ['15m', nowMs - 900_000],
  ['2h', nowMs - 7_200_000],
  ['-2h', nowMs - 7_200_000],
  ['2h ago', nowMs - 7_200_000],
  ['7d', nowMs - 604_800_000],
  [' 1w ', nowMs - 604_800_000],
])('%j is understood', (text, timeMs) => {
  expect(parseInstant(text, nowMs)).toBe(timeMs);
});

it.each([
  ...[
    'last 7',
    '7',
    '',
    ' ',
    '2026',
    '2026-06',
    '06/01/2026',
    '1 June 2026',
    'yesterday',
    '1767225600000',
  ],
  ...[
    '2026-02-30',
    '2026-13-01',
    '2026-00-10',
    '2023-02-29',
    '2026-06-01T24:00Z',
    '2026-06-01T12:60Z',
  ],
  ...['2026-06-01T12:00', '2026-06-01T12Z', '2026-06-01T12:00+15:00', '2026-06-01Z', '2h from now'],
  ...['2 hours', '1.5h', '999999999w', '2026-06-01T12:00:00.1234567890Z', '+2h'],
])('%j is refused', (text) => {
  expect(parseInstant(text, nowMs)).toBeNull();
});

it('every time that JavaScript writes is read back', () => {
  fc.assert(
    fc.property(
      fc.date({
        min: new Date('0001-01-01T00:00Z'),
        max: new Date('9999-12-31T23:59Z'),
        noInvalidDate: true,
      }),
      (date) => parseInstant(date.toISOString(), nowMs) === date.getTime(),
    ),
  );
});
