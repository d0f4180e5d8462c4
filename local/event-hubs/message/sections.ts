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

/** The constructors that AMQP knows. */
const constructors = [
  ...[0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x60, 0x61],
  ...[0x70, 0x71, 0x72, 0x73, 0x74, 0x80, 0x81, 0x82, 0x83, 0x84, 0x94, 0x98, 0xa0, 0xa1, 0xa3],
  ...[0xb0, 0xb1, 0xb3, 0xc0, 0xc1, 0xd0, 0xd1, 0xe0, 0xf0],
];
/** By constructor, 1: it is known. Asked for each value of each event. */
const isKnown = new Uint8Array(256);
for (const constructor of constructors) isKnown[constructor] = 1;

export function isBody(code: number): boolean {
  return code >= sectionCode.data && code <= sectionCode.value;
}

/** All sections of a message: each in its place, and sound. */
export function readSections(buffer: Buffer): Section[] {
  const sections: Section[] = [];
  let before = 0;
  let hasDeliveryAnnotations = false;
  let start = 0;
  while (start < buffer.length) {
    const section = readSection(buffer, start);
    // pyamqp writes the delivery annotations last: they are for this hop alone, wherever they stand.
    if (section.code === sectionCode.deliveryAnnotations) {
      if (hasDeliveryAnnotations) throw misplaced(section);
      hasDeliveryAnnotations = true;
    } else {
      if (!mayFollow(section.code, before)) throw misplaced(section);
      before = section.code;
    }
    sections.push(section);
    start = section.end;
  }
  return sections;
}

function mayFollow(code: number, before: number): boolean {
  if (code === before) return code === sectionCode.data || code === sectionCode.sequence;
  return code > before && !(isBody(code) && isBody(before));
}

function misplaced({ code }: Section): MalformedMessage {
  return new MalformedMessage(`section 0x${code.toString(16)} is out of place`);
}

function readSection(buffer: Buffer, start: number): Section {
  if (byteAt(buffer, start) !== 0x00) throw new MalformedMessage(`no section begins at ${start}`);
  const descriptor = start + 1;
  const value = plainEnd(buffer, descriptor);
  const code = sectionCodeAt(buffer, descriptor);
  const constructor = byteAt(buffer, value);
  if (!(constructorsOf[code] ?? []).includes(constructor)) {
    throw new MalformedMessage(
      `section 0x${code.toString(16)} cannot be of type 0x${constructor.toString(16)}`,
    );
  }
  return { code, start, value, end: soundEnd(buffer, value) };
}

const maps = [0xc1, 0xd1, 0x45];
const lists = [0x45, 0xc0, 0xd0];
const constructorsOf: Readonly<Record<number, readonly number[] | undefined>> = {
  [sectionCode.header]: lists,
  [sectionCode.deliveryAnnotations]: maps,
  [sectionCode.messageAnnotations]: maps,
  [sectionCode.properties]: lists,
  [sectionCode.applicationProperties]: maps,
  // The JS SDK sends a body of null as no bytes at all.
  [sectionCode.data]: [0xa0, 0xb0, 0x40],
  [sectionCode.sequence]: lists,
  [sectionCode.value]: [0x00, ...constructors],
  [sectionCode.footer]: maps,
};
const symbolicCodes: Readonly<Record<string, number>> = {
  'amqp:header:list': 0x70,
  'amqp:delivery-annotations:map': 0x71,
  'amqp:message-annotations:map': 0x72,
  'amqp:properties:list': 0x73,
  'amqp:application-properties:map': 0x74,
  'amqp:data:binary': 0x75,
  'amqp:amqp-sequence:list': 0x76,
  'amqp:amqp-value:*': 0x77,
  'amqp:footer:map': 0x78,
};

/** Numeric in both widths, or symbolic. */
function sectionCodeAt(buffer: Buffer, at: number): number {
  const descriptor = scalarAt(buffer, at);
  const code = typeof descriptor === 'string' ? symbolicCodes[descriptor] : descriptor;
  if (code !== undefined && code >= 0x70 && code <= 0x78) return code;
  throw new MalformedMessage(`section ${String(descriptor)} is unknown`);
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

/** A map's content (map8, map32, and the list that stands for an empty one), checked when read. */
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

export interface MapEntry {
  /** The key when it is a symbol or a string, else empty. */
  readonly key: string;
  readonly start: number;
  /** Where the value's constructor is. */
  readonly value: number;
  readonly end: number;
}

/** The entries of a map, in places within its bytes. */
export function mapEntries(map: MapContent): MapEntry[] {
  if (map.count % 2 !== 0) throw new MalformedMessage('a map with a key and no value');
  const entries: MapEntry[] = [];
  let start = 0;
  for (let index = 0; index < map.count; index += 2) {
    const value = valueEnd(map.bytes, start);
    const end = valueEnd(map.bytes, value);
    const key = scalarAt(map.bytes, start);
    entries.push({ key: typeof key === 'string' ? key : '', start, value, end });
    start = end;
  }
  if (start !== map.bytes.length) throw new MalformedMessage('a map longer than its entries');
  return entries;
}

/** A string, symbol or whole number; undefined for anything else. */
export function scalarAt(buffer: Buffer, at: number): string | number | undefined {
  const constructor = byteAt(buffer, at);
  const end = valueEnd(buffer, at);
  switch (constructor) {
    case 0xa1: // str8
    case 0xa3: // sym8
      return buffer.toString('utf8', at + 2, end);
    case 0xb1: // str32
    case 0xb3: // sym32
      return buffer.toString('utf8', at + 5, end);
    case 0x43: // uint 0
    case 0x44: // ulong 0
      return 0;
    case 0x51: // byte
    case 0x54: // small int
    case 0x55: // small long
      return buffer.readInt8(at + 1);
    case 0x50: // ubyte
    case 0x52: // small uint
    case 0x53: // small ulong
      return buffer.readUInt8(at + 1);
    case 0x61: // short
      return buffer.readInt16BE(at + 1);
    case 0x60: // ushort
      return buffer.readUInt16BE(at + 1);
    case 0x71: // int
      return buffer.readInt32BE(at + 1);
    case 0x70: // uint
      return buffer.readUInt32BE(at + 1);
    case 0x81: // long
      return Number(buffer.readBigInt64BE(at + 1));
    case 0x80: // ulong
      return Number(buffer.readBigUInt64BE(at + 1));
    default:
      return undefined;
  }
}

/** Where a value ends, described or not (AMQP 1.0 part 1 §1.2). */
export function valueEnd(buffer: Buffer, at: number): number {
  let constructor = at;
  while (byteAt(buffer, constructor) === 0x00) constructor = plainEnd(buffer, constructor + 1);
  return plainEnd(buffer, constructor);
}

const fixedBytes = [0, 1, 2, 4, 8, 16];

/** Where a value without a descriptor ends: by the category of its constructor. */
function plainEnd(buffer: Buffer, at: number): number {
  return contentEnd(buffer, byteAt(buffer, at), at + 1);
}

/** Where a value ends whose constructor stood elsewhere, as in an array. */
function contentEnd(buffer: Buffer, constructor: number, at: number): number {
  if (isKnown[constructor] !== 1) {
    throw new MalformedMessage(`constructor 0x${constructor.toString(16)} at ${at} is unknown`);
  }
  const category = constructor >>> 4;
  if (category <= 0x9) return checked(buffer, at + (fixedBytes[category - 4] ?? 0));
  if (category === 0xa || category === 0xc || category === 0xe) {
    return checked(buffer, at + 1 + byteAt(buffer, at));
  }
  need(buffer, at, 4);
  return checked(buffer, at + 4 + buffer.readUInt32BE(at));
}

/** Values within values; deeper ones would cost their reader its stack. */
const depthMax = 64;
/** Elements of an array that take no byte each. */
const emptyElementsMax = 65_536;

/**
 * The same as `valueEnd`, with everything inside lists, maps and arrays walked through: an event
 * that a reader's decoder would choke on must not get into the log.
 */
export function soundEnd(buffer: Buffer, at: number, depth = 0): number {
  let constructor = at;
  let within = depth;
  while (byteAt(buffer, constructor) === 0x00) {
    // A descriptor upon another costs a decoder its stack as well.
    within = nextDepth(within);
    constructor = soundEnd(buffer, constructor + 1, within);
  }
  return soundContentEnd(buffer, byteAt(buffer, constructor), constructor + 1, within);
}

function soundContentEnd(buffer: Buffer, constructor: number, at: number, depth: number): number {
  const end = contentEnd(buffer, constructor, at);
  const category = constructor >>> 4;
  if (category < 0xc) return end;
  const width = (category & 1) === 0 ? 1 : 4;
  if (end < at + 2 * width) throw new MalformedMessage(`no count at ${at}`);
  const count = width === 1 ? byteAt(buffer, at + 1) : buffer.readUInt32BE(at + 4);
  const content = buffer.subarray(0, end);
  const isArray = category >= 0xe;
  const found = (isArray ? arrayEnd : itemsEnd)(content, at + 2 * width, count, nextDepth(depth));
  if (found !== end) throw new MalformedMessage(`the elements at ${at} are not as long as said`);
  return end;
}

function itemsEnd(buffer: Buffer, start: number, count: number, depth: number): number {
  let at = start;
  for (let left = count; left > 0; left -= 1) at = soundEnd(buffer, at, depth);
  return at;
}

function arrayEnd(buffer: Buffer, start: number, count: number, depth: number): number {
  let constructor = start;
  while (byteAt(buffer, constructor) === 0x00) {
    constructor = soundEnd(buffer, constructor + 1, depth);
  }
  const type = byteAt(buffer, constructor);
  if (type >>> 4 === 0x4 && count > emptyElementsMax) {
    throw new MalformedMessage(`an array of ${count} elements without bytes`);
  }
  let at = constructor + 1;
  for (let left = count; left > 0; left -= 1) at = soundContentEnd(buffer, type, at, depth);
  return at;
}

function nextDepth(depth: number): number {
  if (depth >= depthMax) throw new MalformedMessage(`values within values, over ${depthMax} deep`);
  return depth + 1;
}

export function byteAt(buffer: Buffer, at: number): number {
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
