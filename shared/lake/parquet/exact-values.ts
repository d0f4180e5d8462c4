/** Values that a JavaScript number or Date would change are kept as these until it is known what for. */

const nanosPerMilli = 1_000_000n;
const dayMs = 24 * 60 * 60 * 1000;

/** A point in time, in nanoseconds since 1970. */
export class Instant {
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }

  /** Epoch milliseconds as a decimal number, with all digits behind the point that there are. */
  millisText(): string {
    const sign = this.nanos < 0n ? '-' : '';
    const nanos = this.nanos < 0n ? -this.nanos : this.nanos;
    const rest = String(nanos % nanosPerMilli).padStart(6, '0');
    const fraction = rest.replace(/0+$/, '');
    return `${sign}${nanos / nanosPerMilli}${fraction === '' ? '' : `.${fraction}`}`;
  }

  /** Whole epoch milliseconds; undefined where they are not whole. */
  wholeMillis(): number | undefined {
    return this.nanos % nanosPerMilli === 0n ? Number(this.nanos / nanosPerMilli) : undefined;
  }
}

/** A day of the calendar, in days since 1970-01-01. */
export class Day {
  readonly days: number;

  constructor(days: number) {
    this.days = days;
  }

  /** `YYYY-MM-DD`; another form outside the years 0 to 9999. */
  text(): string {
    const date = new Date(this.days * dayMs);
    if (Number.isNaN(date.getTime())) return `${this.days} days since 1970-01-01`;
    const [day = ''] = date.toISOString().split('T');
    return day;
  }
}

/** A decimal number of any length, as its text. */
export class Decimal {
  readonly text: string;

  constructor(unscaled: bigint, scale: number) {
    const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
    const point = digits.length - scale;
    const fraction = scale > 0 ? `.${digits.slice(point)}` : '';
    this.text = `${unscaled < 0n ? '-' : ''}${digits.slice(0, point)}${fraction}`;
  }
}

/** A value that is JSON text. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    JSON.parse(text);
    this.text = text;
  }
}

/** Of a Parquet file; nested ones are arrays and plain objects of these. */
export type ExactValue =
  | null
  | string
  | number
  | bigint
  | boolean
  | Uint8Array
  | Instant
  | Day
  | Decimal
  | JsonText
  | readonly ExactValue[]
  | { readonly [name: string]: ExactValue };

/**
 * The JSON text of a value with every digit that it has: instants as epoch milliseconds, days as
 * `YYYY-MM-DD`, bytes in Base64. What no JSON number can be (NaN, the infinities) is its name as a text,
 * which no schema of numbers takes for one.
 */
export function exactJson(value: ExactValue | undefined): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return JSON.stringify(String(value));
    return Object.is(value, -0) ? '-0.0' : String(value);
  }
  if (typeof value !== 'object') return JSON.stringify(value);
  if (value instanceof Instant) return value.millisText();
  if (value instanceof Day) return JSON.stringify(value.text());
  if (value instanceof Decimal || value instanceof JsonText) return value.text;
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  if (Array.isArray(value)) {
    return `[${(value as readonly ExactValue[]).map(exactJson).join(',')}]`;
  }
  const fields = Object.entries(value).map(
    ([name, field]) => `${JSON.stringify(name)}:${exactJson(field)}`,
  );
  return `{${fields.join(',')}}`;
}
