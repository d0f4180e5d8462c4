/** Any value as text for a message: never throws, whatever a function has made. */
export function shown(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  // JSON would say null.
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (value instanceof Promise) return 'a promise';
  try {
    const text = JSON.stringify(value, (_key, part: unknown) =>
      typeof part === 'bigint' ? `${part}n` : part,
    ) as string | undefined;
    return text ?? String(value);
  } catch {
    // A circle, or a toJSON of its own.
    return Object.prototype.toString.call(value);
  }
}
