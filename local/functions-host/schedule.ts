import { Cron } from 'croner';
import { parseTimeSpan } from './time-span';

export interface Schedule {
  /** The first time after another. */
  next(after: Date): Date;
  /** Two neighbouring times can be closer than a minute: the host does not monitor such a timer. */
  readonly isFrequent: boolean;
}

const frequentMs = 60_000;
/** How many neighbours are looked at to know. */
const sampleSize = 10;

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
    };
  }
  const fields = text.trim().split(/\s+/);
  if (fields.length === 5) fields.unshift('0');
  if (fields.length !== 6) throw wrong(`has ${text.trim() === '' ? 0 : fields.length} fields`);
  const odd = fields.find((field) => !/^(?:[\d*,/-]|[A-Za-z]{3})+$/.test(field));
  if (odd !== undefined) throw wrong(`has '${odd}', which NCRONTAB does not know`);
  const timezone = timeZoneOf(functionName, settings);
  let cron: Cron;
  try {
    // Both day fields must match, as NCRONTAB has it.
    cron = new Cron(fields.join(' '), { mode: '6-part', domAndDow: true, ...timezone });
  } catch (error) {
    throw wrong(`is not valid (${(error as Error).message})`);
  }
  const next = (after: Date): Date => {
    const time = cron.nextRun(after);
    if (time === null) throw wrong('never comes');
    return time;
  };
  return { next, isFrequent: isFrequent(next) };
}

function isFrequent(next: (after: Date) => Date): boolean {
  let time = next(new Date());
  for (let sample = 0; sample < sampleSize; sample += 1) {
    const following = next(time);
    if (following.getTime() - time.getTime() < frequentMs) return true;
    time = following;
  }
  return false;
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
