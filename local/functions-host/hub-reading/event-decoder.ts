import { types } from 'rhea';
import { valueEnd } from './amqp-bytes';
import type { HubEvent } from './hub-event';
import { netMap, netTime, netValue, type TypedValue } from './net-values';

/** Message sections by the number of their descriptor (AMQP 1.0 part 3 §3.2). */
const section = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  messageAnnotations: 0x72,
  properties: 0x73,
  applicationProperties: 0x74,
  data: 0x75,
  sequence: 0x76,
  value: 0x77,
  footer: 0x78,
} as const;

const sequenceNumberKey = Buffer.from('x-opt-sequence-number');
const offsetKey = Buffer.from('x-opt-offset');
const enqueuedTimeKey = Buffer.from('x-opt-enqueued-time');
const partitionKeyKey = Buffer.from('x-opt-partition-key');
const ownKeys: ReadonlySet<string> = new Set(
  [sequenceNumberKey, offsetKey, enqueuedTimeKey, partitionKeyKey].map(String),
);

/** The standard properties in their order, by the names that AMQP gives them (part 3 §3.2.4). */
const standardNames = [
  ...['message-id', 'user-id', 'to', 'subject', 'reply-to', 'correlation-id', 'content-type'],
  ...['content-encoding', 'absolute-expiry-time', 'creation-time', 'group-id', 'group-sequence'],
  'reply-to-group-id',
];
/** .NET makes these texts whatever they are. */
const identifiers = new Set(['message-id', 'correlation-id', 'to', 'reply-to']);

/**
 * Decodes the events of one link. What every event has (position, time, key, a body of bytes) is read
 * in place, byte by byte: a general decoder makes a dozen objects for each event. Sections that are
 * rare go through rhea's decoder. The body stays a view of the bytes that were received.
 */
export class EventDecoder {
  #sequenceNumber = 0;
  #offset = '';
  #enqueuedTime = new Date(0);
  #enqueuedTimeMs = 0;
  #partitionKey: string | null = null;

  /** The message in `bytes` from `start` to `end`. Throws when it is malformed. */
  decode(bytes: Buffer, start: number, end: number): HubEvent {
    this.#partitionKey = null;
    let body: Buffer | null | undefined;
    let properties: Record<string, unknown> | undefined;
    let systemProperties: Record<string, unknown> | undefined;
    for (let at = start; at < end;) {
      const isShort = bytes[at + 1] === 0x53;
      if (bytes[at] !== 0 || (!isShort && bytes[at + 1] !== 0x80)) {
        throw new Error(`malformed message: no section begins at byte ${at - start}`);
      }
      const value = at + (isShort ? 3 : 10);
      const next = valueEnd(bytes, value, end);
      switch (bytes[value - 1]) {
        case section.messageAnnotations:
          if (this.#readAnnotations(bytes, value, next)) {
            systemProperties = { ...systemProperties, ...otherAnnotations(bytes, value, next) };
          }
          break;
        case section.properties:
          if (!isEmpty(bytes, value)) {
            systemProperties = { ...systemProperties, ...standardProperties(bytes, value, next) };
          }
          break;
        case section.applicationProperties:
          if (!isEmpty(bytes, value)) {
            properties = netMap(typedAt(bytes, value, next));
          }
          break;
        case section.data:
          body = joined(body, binaryAt(bytes, value));
          break;
        case section.sequence:
        case section.value:
          body = null;
          break;
        default: // Header, footer and annotations for the hop alone say nothing to the app.
      }
      at = next;
    }
    return {
      body: body === undefined ? Buffer.alloc(0) : body,
      sequenceNumber: this.#sequenceNumber,
      offset: this.#offset,
      enqueuedTimeUtc: this.#enqueuedTime,
      partitionKey: this.#partitionKey,
      properties,
      systemProperties,
    };
  }

  /** True when there are annotations beside those of the service. */
  #readAnnotations(bytes: Buffer, value: number, end: number): boolean {
    if (isEmpty(bytes, value)) return false;
    let hasOthers = false;
    for (let at = value + (bytes[value] === 0xc1 ? 3 : 9); at < end;) {
      const keyEnd = valueEnd(bytes, at, end);
      const key = at + (isOfShortLength(bytes, at) ? 2 : 5);
      const next = valueEnd(bytes, keyEnd, end);
      if (isKey(bytes, key, keyEnd, sequenceNumberKey)) {
        this.#sequenceNumber = longAt(bytes, keyEnd);
      } else if (isKey(bytes, key, keyEnd, offsetKey)) {
        this.#offset = textAt(bytes, keyEnd, next) ?? String(longAt(bytes, keyEnd));
      } else if (isKey(bytes, key, keyEnd, enqueuedTimeKey)) {
        this.#setTime(longAt(bytes, keyEnd));
      } else if (isKey(bytes, key, keyEnd, partitionKeyKey)) {
        this.#partitionKey = textAt(bytes, keyEnd, next);
      } else {
        hasOthers = true;
      }
      at = next;
    }
    return hasOthers;
  }

  #setTime(timeMs: number): void {
    if (timeMs === this.#enqueuedTimeMs) return;
    this.#enqueuedTimeMs = timeMs;
    this.#enqueuedTime = new Date(timeMs);
  }
}

function isKey(bytes: Buffer, start: number, end: number, key: Buffer): boolean {
  if (end - start !== key.length) return false;
  for (let index = 0; index < key.length; index += 1) {
    if (bytes[start + index] !== key[index]) return false;
  }
  return true;
}

/** A string or symbol; null for anything else. */
function textAt(bytes: Buffer, at: number, end: number): string | null {
  const constructor = bytes[at] ?? 0;
  if (constructor === 0xa1 || constructor === 0xa3) return bytes.toString('utf8', at + 2, end);
  if (constructor === 0xb1 || constructor === 0xb3) return bytes.toString('utf8', at + 5, end);
  return null;
}

/** A long or timestamp. */
function longAt(bytes: Buffer, at: number): number {
  const constructor = bytes[at];
  if (constructor === 0x81 || constructor === 0x83) {
    return bytes.readInt32BE(at + 1) * 2 ** 32 + bytes.readUInt32BE(at + 5);
  }
  if (constructor === 0x55) return bytes.readInt8(at + 1);
  throw new Error(`malformed message: type 0x${constructor?.toString(16)} where a long must be`);
}

function binaryAt(bytes: Buffer, at: number): Buffer {
  // So the SDK sends the body null.
  if (bytes[at] === 0x40) return Buffer.alloc(0);
  if (bytes[at] === 0xa0) return bytes.subarray(at + 2, at + 2 + (bytes[at + 1] ?? 0));
  if (bytes[at] === 0xb0) return bytes.subarray(at + 5, at + 5 + bytes.readUInt32BE(at + 1));
  throw new Error('malformed message: a data section without bytes');
}

function isOfShortLength(bytes: Buffer, at: number): boolean {
  return (bytes[at] ?? 0) >>> 4 === 0xa;
}

/** An empty list or map. */
function isEmpty(bytes: Buffer, at: number): boolean {
  switch (bytes[at]) {
    case 0xc0:
    case 0xc1:
      return bytes[at + 2] === 0;
    case 0xd0:
    case 0xd1:
      return bytes.readUInt32BE(at + 5) === 0;
    default:
      return true;
  }
}

/** Several data sections are one body in pieces. */
function joined(before: Buffer | null | undefined, piece: Buffer): Buffer {
  return Buffer.isBuffer(before) ? Buffer.concat([before, piece]) : piece;
}

/** With types: what a general decoder gives has lost them. */
function typedAt(bytes: Buffer, start: number, end: number): TypedValue {
  const { Reader } = types as unknown as {
    readonly Reader: new (bytes: Buffer) => { read(): TypedValue };
  };
  return new Reader(bytes.subarray(start, end)).read();
}

function otherAnnotations(bytes: Buffer, start: number, end: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(netMap(typedAt(bytes, start, end))).filter(([name]) => !ownKeys.has(name)),
  );
}

/** Those that have a value; an empty text is none. */
function standardProperties(bytes: Buffer, start: number, end: number): Record<string, unknown> {
  const fields = typedAt(bytes, start, end).value as readonly TypedValue[];
  const properties: Record<string, unknown> = {};
  for (const [index, name] of standardNames.entries()) {
    const field = fields[index];
    const value = field === undefined ? null : standardValue(name, field);
    if (value !== null && value !== undefined && value !== '') properties[name] = value;
  }
  return properties;
}

function standardValue(name: string, field: TypedValue): unknown {
  if (field.value === null || field.value === undefined) return null;
  // These two are times with an offset in .NET.
  if (field.type.name === 'Timestamp') return `${netTime(new Date(Number(field.value)))}+00:00`;
  const value = netValue(field);
  return identifiers.has(name) ? String(value) : value;
}
