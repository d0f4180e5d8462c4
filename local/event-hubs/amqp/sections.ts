/**
 * Finds the sections of an encoded AMQP 1.0 message without decoding what is in them (AMQP 1.0
 * part 3 §2). Strict: every length is checked before it is believed.
 */
export class MalformedMessage extends Error {}

export const sectionCode = {
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

export interface Section {
  readonly code: number;
  /** From the 0x00 of the descriptor to the end of the value. */
  readonly start: number;
  readonly end: number;
  /** Where the value's constructor is. */
  readonly value: number;
}

/** All sections of a message in order. */
export function readSections(buffer: Buffer): Section[] {
  const sections: Section[] = [];
  let start = 0;
  while (start < buffer.length) {
    const section = readSection(buffer, start);
    sections.push(section);
    start = section.end;
  }
  return sections;
}

function readSection(buffer: Buffer, start: number): Section {
  if (byteAt(buffer, start) !== 0x00) throw new MalformedMessage(`no section begins at ${start}`);
  const descriptor = byteAt(buffer, start + 1);
  let value: number;
  let code: number;
  if (descriptor === 0x53) {
    code = byteAt(buffer, start + 2);
    value = start + 3;
  } else if (descriptor === 0x80) {
    need(buffer, start + 2, 8);
    code = Number(buffer.readBigUInt64BE(start + 2));
    value = start + 10;
  } else {
    throw new MalformedMessage(`section descriptor 0x${descriptor.toString(16)} is unknown`);
  }
  if (code < 0x70 || code > 0x78) throw new MalformedMessage(`section 0x${code.toString(16)}`);
  return { code, start, value, end: valueEnd(buffer, value) };
}

/** The bytes of a binary value (vbin8, vbin32). */
export function binaryAt(buffer: Buffer, at: number): Buffer {
  const constructor = byteAt(buffer, at);
  if (constructor === 0xa0) return slice(buffer, at + 2, byteAt(buffer, at + 1));
  if (constructor === 0xb0) {
    need(buffer, at + 1, 4);
    return slice(buffer, at + 5, buffer.readUInt32BE(at + 1));
  }
  throw new MalformedMessage(`binary expected, 0x${constructor.toString(16)} found`);
}

export interface MapContent {
  /** Keys and values one after another, encoded. */
  readonly bytes: Buffer;
  /** Keys plus values. */
  readonly count: number;
}

/** A map's content (map8, map32, and the list that stands for an empty one). */
export function mapAt(buffer: Buffer, at: number): MapContent {
  const constructor = byteAt(buffer, at);
  if (constructor === 0xc1) {
    const size = byteAt(buffer, at + 1);
    if (size < 1) throw new MalformedMessage('a map without a count');
    return { bytes: slice(buffer, at + 3, size - 1), count: byteAt(buffer, at + 2) };
  }
  if (constructor === 0xd1) {
    need(buffer, at + 1, 8);
    const size = buffer.readUInt32BE(at + 1);
    if (size < 4) throw new MalformedMessage('a map without a count');
    return { bytes: slice(buffer, at + 9, size - 4), count: buffer.readUInt32BE(at + 5) };
  }
  if (constructor === 0x45) return { bytes: Buffer.alloc(0), count: 0 };
  throw new MalformedMessage(`map expected, 0x${constructor.toString(16)} found`);
}

/** Where a value ends: by the category of its constructor (AMQP 1.0 part 1 §1.2). */
function valueEnd(buffer: Buffer, at: number): number {
  const constructor = byteAt(buffer, at);
  if (constructor === 0x00) return valueEnd(buffer, valueEnd(buffer, at + 1));
  const fixedBytes = [0, 1, 2, 4, 8, 16];
  const category = constructor >>> 4;
  if (category >= 0x4 && category <= 0x9) {
    return checked(buffer, at + 1 + (fixedBytes[category - 4] ?? 0));
  }
  if (category === 0xa || category === 0xc || category === 0xe) {
    return checked(buffer, at + 2 + byteAt(buffer, at + 1));
  }
  need(buffer, at + 1, 4);
  return checked(buffer, at + 5 + buffer.readUInt32BE(at + 1));
}

function byteAt(buffer: Buffer, at: number): number {
  const byte = buffer[at];
  if (byte === undefined) throw new MalformedMessage(`cut short at ${at}`);
  return byte;
}

function need(buffer: Buffer, at: number, bytes: number): void {
  checked(buffer, at + bytes);
}

function checked(buffer: Buffer, end: number): number {
  if (end > buffer.length) throw new MalformedMessage(`cut short: ${end} of ${buffer.length}`);
  return end;
}

function slice(buffer: Buffer, start: number, bytes: number): Buffer {
  return buffer.subarray(start, checked(buffer, start + bytes));
}
