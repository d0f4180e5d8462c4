import { Cron } from 'croner';
import { parseTimeSpan } from '../settings/time-span';
import { WallClock } from './wall-clock';

export interface Schedule {
  /** The first time after another. */
  next(after: Date): Date;
  /** It comes more than once a minute, all the time: the host does not monitor such a timer. */
  readonly isFrequent: boolean;
  /** Times of a clock, and not a constant interval. */
  readonly isOfClock: boolean;
}

const frequentMs = 60_000;
/** The largest value of each of the six fields. */
const lastValues = [59, 59, 23, 31, 12, 6];
const weekdayPlace = 5;
/** Of months and weekdays any first letters will do; they stand for numbers. */
const namesOf: Readonly<Record<number, readonly string[]>> = {
  4: [
    ...['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september'],
    ...['october', 'november', 'december'],
  ],
  5: ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'],
};

/**
 * NCRONTAB `{second} {minute} {hour} {day} {month} {day of week}` (five fields: second 0) or a time
 * span, in the time zone of WEBSITE_TIME_ZONE, TZ, or the machine. Throws with the function named.
 */
export function parseSchedule(
  functionName: string,
  text: string,
  settings: Readonly<Record<string, string>>,
): Schedule {
  const wrong = (why: string): Error =>
    new Error(
      `${functionName}: the schedule '${text}' ${why}; it must be six fields as in '0 */5 * * * *' or a time span as in '00:05:00'`,
    );
  const spanMs = parseTimeSpan(text);
  if (spanMs === 0) throw wrong('is no time at all');
  if (spanMs !== null) {
    return {
      next: (after) => new Date(after.getTime() + spanMs),
      isFrequent: spanMs < frequentMs,
      isOfClock: false,
    };
  }
  const fields = text.trim().split(/\s+/);
  if (fields.length === 5) fields.unshift('0');
  if (fields.length !== 6) throw wrong(`has ${text.trim() === '' ? 0 : fields.length} fields`);
  const numbered = fields.map((field, place) => numbersOf(field, place));
  const odd = fields.find((_field, place) => !/^[\d*,/-]+$/.test(numbered[place] ?? ''));
  if (odd !== undefined) throw wrong(`has '${odd}', which NCRONTAB does not know`);
  const weekdays = (numbered[weekdayPlace] ?? '').replaceAll(/\/\d+/g, '').match(/\d+/g) ?? [];
  if (weekdays.some((day) => Number(day) > 6)) {
    throw wrong(`has '${fields[weekdayPlace]}': the days of the week are 0 (Sunday) to 6`);
  }
  const timezone = timeZoneOf(functionName, settings);
  const clock = new WallClock(timezone.timezone);
  const fieldsText = numbered.join(' ');
  let cron: Cron;
  let shown: Cron;
  try {
    // Both day fields must match, as NCRONTAB has it.
    const options = { mode: '6-part', domAndDow: true } as const;
    cron = new Cron(fieldsText, { ...options, ...timezone });
    shown = new Cron(fieldsText, { ...options, timezone: 'UTC' });
  } catch (error) {
    throw wrong(`is not valid (${(error as Error).message})`);
  }
  const orNever = (time: Date | null): Date => {
    if (time === null) throw wrong('never comes');
    return time;
  };
  const next = (after: Date): Date => {
    const dueShown = orNever(shown.nextRun(new Date(clock.shownAt(after.getTime()))));
    const skippedMs = clock.skipped(dueShown.getTime());
    if (skippedMs !== null && skippedMs > after.getTime()) return new Date(skippedMs);
    for (let time = orNever(cron.nextRun(after)); ; time = orNever(cron.nextRun(time))) {
      // Where clocks are put forward, croner moves what they skip to places of its own.
      if (shown.match(new Date(clock.shownAt(time.getTime())))) return time;
    }
  };
  // Only where minutes and all above are open, by the letter: as the host decides it.
  const isOpen = fields.slice(1).every((field) => field === '*');
  return { next, isFrequent: isOpen && isWithinMinute(next), isOfClock: true };
}

/** A field with numbers for names, and with `n/step` (from n on) as the range that it stands for. */
function numbersOf(field: string, place: number): string {
  const names = namesOf[place] ?? [];
  const { [place]: last = 0 } = lastValues;
  return field
    .replaceAll(/[A-Za-z]+/g, (text) => {
      const index = names.findIndex((name) => name.startsWith(text.toLowerCase()));
      return index < 0 ? text : String(place === weekdayPlace ? index : index + 1);
    })
    .replaceAll(/(^|,)(\d+)\//g, `$1$2-${last}/`);
}

function isWithinMinute(next: (after: Date) => Date): boolean {
  const first = next(new Date());
  return next(first).getTime() - first.getTime() < frequentMs;
}

function timeZoneOf(
  functionName: string,
  settings: Readonly<Record<string, string>>,
): { readonly timezone?: string } {
  const name = settings['WEBSITE_TIME_ZONE'] ?? settings['TZ'];
  if (name === undefined || name === '') return {};
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
  } catch (error) {
    throw new Error(
      `${functionName}: the setting ${settings['WEBSITE_TIME_ZONE'] === undefined ? 'TZ' : 'WEBSITE_TIME_ZONE'} names no time zone: '${name}' (as in 'Europe/Berlin')`,
      { cause: error },
    );
  }
  return { timezone: name };
}
