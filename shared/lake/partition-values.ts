import type { ColumnType } from '../model/table';
import { Instant, type ExactValue } from './parquet/exact-values';

const pointInTime =
  /^([+-]?\d{4,6})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)?$/;

/**
 * "Partition Value Serialization" of the Delta protocol, read back: an empty text is a null, a time
 * without a zone is UTC whatever the machine's own is. A text that its type cannot be stays a text.
 */
export function typedPartitionValue(type: ColumnType, text: string | null): ExactValue {
  if (text === null || text === '') return null;
  switch (type) {
    case 'integer':
      return /^[+-]?\d+$/.test(text) ? BigInt(text.replace(/^\+/, '')) : text;
    case 'double': {
      const number = Number(text);
      return Number.isFinite(number) && text.trim() === text ? number : text;
    }
    case 'boolean':
      return /^(?:true|false)$/i.test(text) ? text.toLowerCase() === 'true' : text;
    case 'timestamp':
      return instantOf(text) ?? text;
    case 'string':
    case 'date':
      return text;
    default:
      return type satisfies never;
  }
}

function instantOf(text: string): Instant | undefined {
  const match = pointInTime.exec(text);
  if (match === null) return undefined;
  const [, year = '', month, day, hour, minute, second, fraction = ''] = match;
  const plainYear = year.length > 4 ? `${/^[+-]/.test(year) ? '' : '+'}${year}` : year;
  const atMs = Date.parse(`${plainYear}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(atMs)) return undefined;
  return new Instant(BigInt(atMs) * 1_000_000n + BigInt(fraction.padEnd(9, '0')));
}
