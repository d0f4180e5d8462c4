/** `[d.]hh:mm[:ss[.f]]`, the form that is tried first. */
const invariantShape = /^(?:(\d+)\.)?(\d+):(\d+)(?::(\d+)(?:\.(\d{1,7}))?)?$/;
/** `d:hh:mm[:ss[.f]]`. */
const daysFirstShape = /^(\d+):(\d+):(\d+)(?::(\d+)(?:\.(\d{1,7}))?)?$/;
const daysMax = 10_675_199;

/**
 * A time span as .NET's TimeSpan.Parse reads it, in milliseconds; null: it is none, or below zero. A
 * number alone is days, and a first part that is too large for hours is days: `24:00:00` is 24 days.
 */
export function parseTimeSpan(text: string): number | null {
  const trimmed = text.trim();
  if (/^\d+$/.test(trimmed)) return millisecondsOf([trimmed, '0', '0', '0', '0']);
  for (const shape of [invariantShape, daysFirstShape]) {
    const parts = shape.exec(trimmed)?.slice(1);
    const milliseconds = parts === undefined ? null : millisecondsOf(parts);
    if (milliseconds !== null) return milliseconds;
  }
  return null;
}

function millisecondsOf(parts: readonly (string | undefined)[]): number | null {
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = parts
    .slice(0, 4)
    .map((part) => Number(part ?? 0));
  if (days > daysMax || hours > 23 || minutes > 59 || seconds > 59) return null;
  const whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
  return Math.round((whole + Number(`0.${parts[4] ?? 0}`)) * 1000);
}
