/**
 * Points in time as people write them on a command line: ISO 8601, or how long ago. Everything else is
 * refused: JavaScript's own parser takes `last 7` for a year.
 */

const unitsMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

const isoForm =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(Z|[+-]\d{2}(?::?\d{2})?))?$/i;
const agoForm = /^-?(\d{1,9}) ?(s|m|h|d|w)(?: ago)?$/;

/** Forms that are understood, for messages. */
export const instantForms =
  'a time such as 2026-06-01, 2026-06-01T12:00Z, 2026-06-01T12:00:30+02:00, or how long ago: 90s, 15m, 2h, 7d, 1w, now';

/**
 * @param text `2026-06-01` (midnight UTC), a date and time with Z or an offset, `2h` or `2h ago`, `now`
 * @returns milliseconds since 1970 (UTC); null: it is none of these
 */
export function parseInstant(text: string, nowMs: number): number | null {
  const trimmed = text.trim();
  if (trimmed === 'now') return nowMs;
  const [, count, unit] = agoForm.exec(trimmed) ?? [];
  if (count !== undefined && unit !== undefined) {
    const timeMs = nowMs - Number(count) * (unitsMs[unit] ?? Number.NaN);
    return Number.isNaN(new Date(timeMs).getTime()) ? null : timeMs;
  }
  return parseIso(trimmed);
}

function parseIso(text: string): number | null {
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] =
    isoForm.exec(text) ?? [];
  if (year === undefined) return null;
  const [h, m, s] = [Number(hour), Number(minute), Number(second)];
  if (h > 23 || m > 59 || s > 59) return null;
  const dayMs = Date.UTC(0, Number(month) - 1, Number(day));
  const date = new Date(dayMs);
  // Date.UTC takes years under 100 for those of the last century.
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  // 31 February is no day, though JavaScript counts on into March.
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return null;
  const offsetMs = offsetOf(zone);
  if (offsetMs === null) return null;
  const milliseconds = Number(fraction.padEnd(3, '0').slice(0, 3));
  return date.getTime() + ((h * 60 + m) * 60 + s) * 1_000 + milliseconds - offsetMs;
}

function offsetOf(zone: string): number | null {
  if (zone.toUpperCase() === 'Z') return 0;
  const [, sign, hours = '', minutes = '0'] = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone) ?? [];
  if (Number(hours) > 14 || Number(minutes) > 59) return null;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}
