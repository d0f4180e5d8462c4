import {
  binaryAt,
  MalformedMessage,
  mapAt,
  readSections,
  sectionCode,
  type MapContent,
} from './sections';

/** An event as it arrived: its sections, opaque but for the annotations. */
export interface IncomingEvent {
  readonly header: Buffer | null;
  readonly annotations: MapContent;
  /** Everything after the annotations: properties, body, footer. */
  readonly rest: Buffer;
}

/** Where an event stands in its partition. */
export interface EventPosition {
  readonly sequenceNumber: number;
  /** Opaque to clients: the byte position in the partition's log. */
  readonly offset: number;
  readonly enqueuedTimeMs: number;
}

const nothing: MapContent = { bytes: Buffer.alloc(0), count: 0 };

/** Splits one encoded message. Delivery annotations are for this hop alone and are dropped. */
export function parseEvent(buffer: Buffer): IncomingEvent {
  const sections = readSections(buffer);
  if (!sections.some(({ code }) => code >= sectionCode.data && code <= sectionCode.value)) {
    throw new MalformedMessage('the event has no body');
  }
  const header = sections.find(({ code }) => code === sectionCode.header);
  const annotations = sections.find(({ code }) => code === sectionCode.messageAnnotations);
  const first = sections.find(({ code }) => code > sectionCode.messageAnnotations);
  return {
    header: header === undefined ? null : buffer.subarray(header.start, header.end),
    annotations: annotations === undefined ? nothing : mapAt(buffer, annotations.value),
    rest: buffer.subarray(first?.start ?? buffer.length),
  };
}

/**
 * The events of a transfer. Format 0 is one message; 0x80013700 is an envelope whose data sections
 * each hold a whole message.
 */
export function parseTransfer(
  buffer: Buffer,
  format: number,
): { readonly events: IncomingEvent[]; readonly envelope: MapContent } {
  if (format === 0) {
    const event = parseEvent(buffer);
    return { events: [event], envelope: event.annotations };
  }
  const sections = readSections(buffer);
  const annotations = sections.find(({ code }) => code === sectionCode.messageAnnotations);
  const events = sections
    .filter(({ code }) => code === sectionCode.data)
    .map(({ value }) => parseEvent(binaryAt(buffer, value)));
  if (events.length === 0) throw new MalformedMessage('the batch holds no events');
  return {
    events,
    envelope: annotations === undefined ? nothing : mapAt(buffer, annotations.value),
  };
}

/** What precedes the bytes of the event's own map and rest when it is sent out. */
export function encodeStored(event: IncomingEvent, position: EventPosition): Buffer {
  const own = ownAnnotations(position);
  const mapBytes = own.length + event.annotations.bytes.length;
  const head = Buffer.allocUnsafe(12);
  head.set([0x00, 0x53, sectionCode.messageAnnotations, 0xd1]);
  head.writeUInt32BE(mapBytes + 4, 4);
  head.writeUInt32BE(event.annotations.count + 6, 8);
  const parts = [head, own, event.annotations.bytes, event.rest];
  return Buffer.concat(event.header === null ? parts : [event.header, ...parts]);
}

const sequenceKey = symbol('x-opt-sequence-number');
const offsetKey = symbol('x-opt-offset');
const timeKey = symbol('x-opt-enqueued-time');

function ownAnnotations(position: EventPosition): Buffer {
  const offset = Buffer.from(String(position.offset));
  const sequence = Buffer.allocUnsafe(9);
  sequence[0] = 0x81; // long
  sequence.writeBigInt64BE(BigInt(position.sequenceNumber), 1);
  const time = Buffer.allocUnsafe(9);
  time[0] = 0x83; // timestamp
  time.writeBigInt64BE(BigInt(position.enqueuedTimeMs), 1);
  const text = Buffer.concat([Buffer.from([0xa1, offset.length]), offset]);
  return Buffer.concat([sequenceKey, sequence, offsetKey, text, timeKey, time]);
}

function symbol(name: string): Buffer {
  return Buffer.concat([Buffer.from([0xa3, name.length]), Buffer.from(name)]);
}
