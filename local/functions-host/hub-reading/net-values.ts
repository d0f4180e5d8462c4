/** An AMQP value as rhea's reader gives it: with its type, which a decoded value has lost. */
export interface TypedValue {
  readonly type: { readonly name: string };
  readonly value: unknown;
  readonly descriptor?: { readonly value: unknown };
}

/** .NET counts 100 nanoseconds, from the year 1. */
const ticksPerMs = 10_000;
const epochTicks = 621_355_968_000_000_000n;

/**
 * A value in the shape that it has when the .NET host writes it as JSON: times as ISO texts, bytes as
 * base64, GUIDs and symbols as texts, .NET's own types (`com.microsoft:…`) as their texts.
 */
export function netValue(typed: TypedValue): unknown {
  const { descriptor, type, value } = typed;
  if (descriptor !== undefined) return describedValue(String(descriptor.value), value);
  if (type.name === 'Uuid' && Buffer.isBuffer(value)) return guidText(value);
  if (type.name === 'Timestamp') return `${netTime(new Date(Number(value)))}Z`;
  if (type.name.startsWith('Char')) return String.fromCodePoint(Number(value));
  if (type.name.startsWith('Vbin')) return (value as Buffer).toString('base64');
  if (type.name.startsWith('Map')) return netMap(typed);
  if (Array.isArray(value)) return value.map((one: TypedValue) => netValue(one));
  // Longs that no number holds exactly.
  if (Buffer.isBuffer(value)) return Number(wholeOf(value));
  return value;
}

/** The entries of a map by their keys' texts. */
export function netMap({ value }: TypedValue): Record<string, unknown> {
  const parts = value as readonly TypedValue[];
  const entries: [string, unknown][] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [key, one] = parts.slice(at, at + 2);
    if (key !== undefined && one !== undefined) entries.push([String(key.value), netValue(one)]);
  }
  return Object.fromEntries(entries);
}

/** `2026-01-31T12:00:00.12`: as Json.NET, without zeros at the end of the fraction, and without a zone. */
export function netTime(time: Date): string {
  const text = time.toISOString();
  const fraction = time.getUTCMilliseconds();
  if (fraction === 0) return text.slice(0, -5);
  return text.slice(0, -1).replace(/0+$/, '');
}

function describedValue(name: string, value: unknown): unknown {
  if (name === 'com.microsoft:timespan') return spanText(Number(wholeOf(value)) / ticksPerMs);
  if (name === 'com.microsoft:datetime-offset') {
    const ms = Number((wholeOf(value) - epochTicks) / BigInt(ticksPerMs));
    return `${netTime(new Date(ms))}+00:00`;
  }
  return value;
}

/** A long: rhea gives the bytes of one that no number holds exactly. */
function wholeOf(value: unknown): bigint {
  return Buffer.isBuffer(value) && value.length === 8
    ? value.readBigInt64BE()
    : BigInt(Math.trunc(Number(value)));
}

function spanText(wholeMs: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const ms = Math.abs(wholeMs);
  const days = Math.floor(ms / 86_400_000);
  const fraction = ms % 1_000;
  return `${wholeMs < 0 ? '-' : ''}${days === 0 ? '' : `${days}.`}${two((ms / 3_600_000) % 24)}:${two((ms / 60_000) % 60)}:${two((ms / 1_000) % 60)}${fraction === 0 ? '' : `.${String(Math.round(fraction * ticksPerMs)).padStart(7, '0')}`}`;
}

/** Bytes of an AMQP uuid, which are in the order of its text. */
function guidText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
