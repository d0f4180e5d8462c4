import {
  binaryAt,
  isBody,
  MalformedMessage,
  mapAt,
  mapEntries,
  readSections,
  scalarAt,
  sectionCode,
  type MapContent,
  type Section,
} from './sections';
import { frameHeadBytes, writeFrameHead } from './transfer-frame';

/** An event as it arrived: its sections, opaque but for the annotations. */
export interface IncomingEvent {
  readonly header: Buffer | null;
  readonly annotations: MapContent;
  /** Everything after the annotations: properties, body, footer. */
  readonly rest: Buffer;
}

const nothing: MapContent = { bytes: Buffer.alloc(0), count: 0 };

/** A batch: an envelope whose data sections each hold a whole message. */
export const batchFormat = 0x80013700;

/** Splits one encoded message. Delivery annotations are for this hop alone and are dropped. */
export function parseEvent(buffer: Buffer): IncomingEvent {
  let header: Buffer | null = null;
  let annotations = nothing;
  let hasBody = false;
  const rest: Section[] = [];
  for (const section of readSections(buffer)) {
    const { code, value } = section;
    if (code === sectionCode.header) header = encodedAlike(buffer, [section]);
    else if (code === sectionCode.messageAnnotations) annotations = mapAt(buffer, value);
    else if (code > sectionCode.messageAnnotations) rest.push(section);
    hasBody ||= isBody(code);
  }
  if (!hasBody) throw new MalformedMessage('the event has no body');
  return { header, annotations, rest: encodedAlike(buffer, rest) };
}

/** Sections one behind another, each under the short number that every reader knows, whatever it came under. */
function encodedAlike(buffer: Buffer, sections: readonly Section[]): Buffer {
  const [first] = sections;
  const last = sections.at(-1);
  if (first === undefined || last === undefined) return Buffer.alloc(0);
  let end = first.start;
  for (const section of sections) {
    if (section.start !== end || buffer[end + 1] !== 0x53) break;
    end = section.end;
  }
  if (end === last.end) {
    // A view costs more than all that is looked at here: most events are nothing but their rest.
    const isAll = first.start === 0 && end === buffer.length;
    return isAll ? buffer : buffer.subarray(first.start, end);
  }
  return Buffer.concat(
    sections.flatMap((section) => [
      Buffer.from([0x00, 0x53, section.code]),
      buffer.subarray(section.value, section.end),
    ]),
  );
}

/** The events of a transfer: those of a batch, or the one message of any other format. */
export function parseTransfer(
  buffer: Buffer,
  format: number,
): { readonly events: IncomingEvent[]; readonly envelope: MapContent } {
  if (format !== batchFormat) {
    const event = parseEvent(buffer);
    return { events: [event], envelope: event.annotations };
  }
  const sections = readSections(buffer);
  const annotations = sections.find(({ code }) => code === sectionCode.messageAnnotations);
  const events: IncomingEvent[] = [];
  for (const { code, value } of sections) {
    if (code === sectionCode.data) events.push(parseEvent(binaryAt(buffer, value)));
  }
  if (events.length === 0) throw new MalformedMessage('the batch holds no events');
  return {
    events,
    envelope: annotations === undefined ? nothing : mapAt(buffer, annotations.value),
  };
}

/** Keys that only the service may set: what a sender puts there is dropped. */
const ownKeys = ['x-opt-sequence-number', 'x-opt-enqueued-time', 'x-opt-offset'] as const;
const offsetDigitsMax = 16;
/** Descriptor and constructor of the annotations, size and count of the map. */
const mapHeadBytes = 12;

/**
 * Writes events as the service sends them out: header, annotations with their position first, then
 * the rest byte for byte, in a frame of their own.
 */
export class MessageEncoder {
  /** The section up to the offset's text, the time filled in for the batch. */
  readonly #own = Buffer.concat([
    Buffer.from([0x00, 0x53, sectionCode.messageAnnotations, 0xd1]), // map32
    Buffer.alloc(8), // its size and count
    symbol(ownKeys[0]),
    Buffer.from([0x81, 0, 0, 0, 0, 0, 0, 0, 0]), // long
    symbol(ownKeys[1]),
    Buffer.from([0x83, 0, 0, 0, 0, 0, 0, 0, 0]), // timestamp
    symbol(ownKeys[2]),
    Buffer.from([0xa1, 0]), // string of up to 255 bytes
  ]);
  readonly #sequenceAt = mapHeadBytes + symbol(ownKeys[0]).length + 1;
  readonly #timeAt = this.#sequenceAt + 8 + symbol(ownKeys[1]).length + 1;

  begin(enqueuedTimeMs: number): void {
    writeUnsigned64(this.#own, this.#timeAt, enqueuedTimeMs);
  }

  /** No frame of this event is longer. */
  frameBytesMax(event: IncomingEvent): number {
    const headerBytes = event.header?.length ?? 0;
    const annotationBytes = this.#own.length + offsetDigitsMax + event.annotations.bytes.length;
    return frameHeadBytes + headerBytes + annotationBytes + event.rest.length;
  }

  /** Writes the event's frame and gives where it ends. */
  writeFrame(
    buffer: Buffer,
    start: number,
    event: IncomingEvent,
    position: { readonly sequenceNumber: number; readonly offset: number },
  ): number {
    let at = start + frameHeadBytes;
    if (event.header !== null) at = append(buffer, at, event.header);
    const annotations = withoutOwnKeys(event.annotations);
    const offset = String(position.offset);
    const sectionBytes = this.#own.length + offset.length + annotations.bytes.length;
    buffer.set(this.#own, at);
    // From behind its own field on.
    buffer.writeUInt32BE(sectionBytes - 8, at + 4);
    buffer.writeUInt32BE(annotations.count + 2 * ownKeys.length, at + 8);
    writeUnsigned64(buffer, at + this.#sequenceAt, position.sequenceNumber);
    at += this.#own.length;
    buffer[at - 1] = offset.length;
    at += buffer.write(offset, at, 'latin1');
    at = append(buffer, at, annotations.bytes);
    at = append(buffer, at, event.rest);
    writeFrameHead(buffer, start, at - start);
    return at;
  }
}

function append(buffer: Buffer, at: number, bytes: Buffer): number {
  if (bytes.length === 0) return at;
  buffer.set(bytes, at);
  return at + bytes.length;
}

function writeUnsigned64(buffer: Buffer, at: number, value: number): void {
  buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  buffer.writeUInt32BE(value >>> 0, at + 4);
}

function withoutOwnKeys(annotations: MapContent): MapContent {
  if (annotations.count === 0) return annotations;
  const entries = mapEntries(annotations);
  const kept = entries.filter(({ key }) => !ownKeys.some((own) => own === key));
  if (kept.length === entries.length) return annotations;
  const parts = kept.map(({ start, end }) => annotations.bytes.subarray(start, end));
  return { bytes: Buffer.concat(parts), count: 2 * kept.length };
}

/** The value of an annotation that is a string, a symbol or a whole number; undefined when absent. */
export function annotationValue(
  annotations: MapContent,
  name: string,
): string | number | undefined {
  if (annotations.count === 0) return undefined;
  const entry = mapEntries(annotations).find(({ key }) => key === name);
  return entry === undefined ? undefined : scalarAt(annotations.bytes, entry.value);
}

function symbol(name: string): Buffer {
  return Buffer.concat([Buffer.from([0xa3, name.length]), Buffer.from(name)]);
}
