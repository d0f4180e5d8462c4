/**
 * Checks what a client sends before rhea sees it: every frame's performative against its type (AMQP 1.0
 * part 2 §2.3 and §2.7), so that no field is of a kind that rhea does not expect.
 */
import { Refusal } from '../errors';
import {
  composites,
  descriptorCode,
  isDeliveryState,
  type Field,
  type FieldType,
} from './performatives';
import { byteAt, MalformedMessage, mapAt, scalarAt, soundEnd, valueEnd } from '../message/sections';

const frameHeadBytes = 8;
const frameType = { amqp: 0, sasl: 1 } as const;
export type FrameKind = keyof typeof frameType;

const isPerformativeOf = {
  amqp: (code: number) => code >= 0x10 && code <= 0x18,
  // Init and response: the others are the server's.
  sasl: (code: number) => code === 0x41 || code === 0x43,
} as const;

const noun = 0x40;
const constructorsOf: Readonly<Record<string, readonly number[]>> = {
  binary: [0xa0, 0xb0],
  boolean: [0x41, 0x42, 0x56],
  map: [0xc1, 0xd1],
  string: [0xa1, 0xb1],
  symbol: [0xa3, 0xb3],
  symbols: [0xa3, 0xb3],
  ubyte: [0x50],
  uint: [0x70, 0x52, 0x43],
  ulong: [0x80, 0x53, 0x44],
  ushort: [0x60],
};
const numeric: ReadonlySet<FieldType> = new Set(['ubyte', 'uint', 'ulong', 'ushort']);
const descriptorConstructors = new Set([0x80, 0x53, 0x44, 0xa3, 0xb3]);
const arrays = [0xe0, 0xf0];
/** Entries of a map that a performative carries. */
const mapEntriesMax = 1_024;

/** The length of the frame that begins here; a refusal when no frame can be so long. */
export function frameBytesAt(bytes: Buffer, at: number, frameBytesMax: number): number {
  const length = bytes.readUInt32BE(at);
  if (length >= frameHeadBytes && length <= frameBytesMax) return length;
  throw new Refusal('amqp:connection:framing-error', `A frame of ${length} bytes.`);
}

/** Throws unless a whole frame is one that a client may send; gives its performative's code, null: it has none. */
export function assertFrame(frame: Buffer, kind: FrameKind): number | null {
  const start = byteAt(frame, 4) * 4;
  if (start < frameHeadBytes || start > frame.length) {
    throw new Refusal('amqp:connection:framing-error', `A data offset of ${start} bytes.`);
  }
  if (byteAt(frame, 5) !== frameType[kind]) {
    throw new Refusal('amqp:connection:framing-error', `A frame of type ${byteAt(frame, 5)}.`);
  }
  // Without a body it says that the client is still there.
  if (start === frame.length && kind === 'amqp') return null;
  const code = codeAt(frame, start);
  if (code === undefined || !isPerformativeOf[kind](code)) {
    throw new MalformedMessage('a frame holds no performative of its kind');
  }
  assertComposite(frame, start, code);
  return code;
}

/** The descriptor of the described value that stands here. */
function codeAt(bytes: Buffer, at: number): number | undefined {
  if (byteAt(bytes, at) !== 0x00) return undefined;
  soundEnd(bytes, at);
  if (!descriptorConstructors.has(byteAt(bytes, at + 1))) return undefined;
  return descriptorCode(scalarAt(bytes, at + 1));
}

/** Checks a composite whose values are known to be sound. */
function assertComposite(bytes: Buffer, at: number, code: number): void {
  const composite = composites.get(code);
  if (composite === undefined) throw new MalformedMessage(`descriptor ${code} is unknown`);
  const { fields, name } = composite;
  const list = valueEnd(bytes, at + 1);
  const { count, first } = listAt(bytes, list, name);
  if (count > fields.length) throw invalid(name, `it has ${fields.length} fields, ${count} came`);
  let value = first;
  for (const [index, field] of fields.entries()) {
    const isThere = index < count && byteAt(bytes, value) !== noun;
    if (!isThere && field.isMandatory) throw invalid(name, `${field.name} is missing`);
    if (isThere) assertField(bytes, value, field, name);
    if (index < count) value = valueEnd(bytes, value);
  }
}

function listAt(bytes: Buffer, at: number, name: string): { count: number; first: number } {
  switch (byteAt(bytes, at)) {
    case 0x45:
      return { count: 0, first: at + 1 };
    case 0xc0:
      return { count: byteAt(bytes, at + 2), first: at + 3 };
    case 0xd0:
      return { count: bytes.readUInt32BE(at + 5), first: at + 9 };
    default:
      throw invalid(name, 'it is no list');
  }
}

function assertField(bytes: Buffer, at: number, field: Field, composite: string): void {
  const { name, type } = field;
  const constructor = byteAt(bytes, at);
  if (constructor === 0x00) {
    const code = codeAt(bytes, at);
    if (code === undefined || !isOfType(type, code)) {
      throw invalid(composite, `${name} is no ${type}`);
    }
    assertComposite(bytes, at, code);
    return;
  }
  const isSymbols = type === 'symbols' && arrays.includes(constructor);
  if (isSymbols ? !isSymbolArray(bytes, at) : !(constructorsOf[type] ?? []).includes(constructor)) {
    throw invalid(composite, `${name} is no ${type}`);
  }
  if (constructor === 0x56 && byteAt(bytes, at + 1) > 1) {
    throw invalid(composite, `${name} is no ${type}`);
  }
  if (type === 'map') assertMap(bytes, at, `${composite}: ${name}`);
  if (field.max !== null && sizeAt(bytes, at, type) > field.max) {
    throw invalid(composite, `${name} is over ${field.max}`);
  }
}

function isOfType(type: FieldType, code: number): boolean {
  const name = composites.get(code)?.name;
  return type === 'outcome' ? isDeliveryState(code) : name === type;
}

function isSymbolArray(bytes: Buffer, at: number): boolean {
  const element = byteAt(bytes, at + (byteAt(bytes, at) === 0xe0 ? 3 : 9));
  return element === 0xa3 || element === 0xb3;
}

function assertMap(bytes: Buffer, at: number, place: string): void {
  const { count } = mapAt(bytes, at);
  if (count % 2 === 0 && count / 2 <= mapEntriesMax) return;
  throw new Refusal('amqp:invalid-field', `${place} is a map of ${count} keys and values.`);
}

function sizeAt(bytes: Buffer, at: number, type: FieldType): number {
  if (numeric.has(type)) return Number(scalarAt(bytes, at));
  return byteAt(bytes, at) === 0xa0 ? byteAt(bytes, at + 1) : bytes.readUInt32BE(at + 1);
}

const invalid = (composite: string, fault: string): Refusal =>
  new Refusal('amqp:invalid-field', `${composite}: ${fault}.`);
