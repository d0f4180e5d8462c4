/**
 * An AMQP client of bytes: it encodes and decodes by itself (AMQP 1.0 parts 1 and 2), so that a test sees
 * what is on the wire and may send what no library would.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { developmentKey } from '../../local/event-hubs/shared-access';

/** A decoded value: lists, maps and arrays as arrays (a map's keys and values one after another). */
export type RawValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Buffer
  | readonly RawValue[]
  | { readonly descriptor: RawValue; readonly value: RawValue };

export interface RawFrame {
  readonly channel: number;
  /** Of the performative; null: a heartbeat. */
  readonly code: number | null;
  readonly fields: readonly RawValue[];
  readonly payload: Buffer;
  /** From the performative on. */
  readonly body: Buffer;
}

export const codes = {
  ...{ open: 0x10, begin: 0x11, attach: 0x12, flow: 0x13, transfer: 0x14, disposition: 0x15 },
  ...{ detach: 0x16, end: 0x17, close: 0x18, source: 0x28, target: 0x29 },
} as const;

// Encoders.
export const none = Buffer.from([0x40]);
export const yes = Buffer.from([0x41]);
export const no = Buffer.from([0x42]);
export const ubyte = (value: number): Buffer => Buffer.from([0x50, value]);

export function uint(value: number): Buffer {
  const bytes = Buffer.from([0x70, 0, 0, 0, 0]);
  bytes.writeUInt32BE(value, 1);
  return bytes;
}

export function long(value: bigint): Buffer {
  const bytes = Buffer.from([0x81, 0, 0, 0, 0, 0, 0, 0, 0]);
  bytes.writeBigInt64BE(value, 1);
  return bytes;
}

export function int(value: number): Buffer {
  const bytes = Buffer.from([0x71, 0, 0, 0, 0]);
  bytes.writeInt32BE(value, 1);
  return bytes;
}

export function short(value: number): Buffer {
  const bytes = Buffer.from([0x61, 0, 0]);
  bytes.writeInt16BE(value, 1);
  return bytes;
}

function sized(constructor: number, bytes: Buffer): Buffer {
  const head = Buffer.from([constructor, 0, 0, 0, 0]);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

export const str = (text: string): Buffer => sized(0xb1, Buffer.from(text));
export const sym = (text: string): Buffer => sized(0xb3, Buffer.from(text));
export const bin = (bytes: Buffer | string): Buffer => sized(0xb0, Buffer.from(bytes));

function compound(constructor: number, items: readonly Buffer[]): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(items.length, 0);
  return sized(constructor, Buffer.concat([count, ...items]));
}

export const list = (...items: readonly Buffer[]): Buffer => compound(0xd0, items);
export const map = (...items: readonly Buffer[]): Buffer => compound(0xd1, items);
export const described = (code: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0x00, 0x53, code]), value]);
export const composite = (code: number, ...fields: readonly Buffer[]): Buffer =>
  described(code, list(...fields));

/** A message of one data section. */
export const event = (text: string): Buffer => described(0x75, bin(text));

interface Read {
  readonly value: RawValue;
  readonly end: number;
}

/** Decodes the value that begins here. */
function decode(bytes: Buffer, at: number): Read {
  const constructor = bytes.readUInt8(at);
  if (constructor !== 0x00) return decodeAs(bytes, constructor, at + 1);
  const descriptor = decode(bytes, at + 1);
  const inner = decode(bytes, descriptor.end);
  return {
    value: { descriptor: descriptor.value, value: inner.value },
    end: inner.end,
  };
}

function decodeAs(bytes: Buffer, constructor: number, at: number): Read {
  switch (constructor) {
    case 0x40:
      return { value: null, end: at };
    case 0x41:
    case 0x42:
      return { value: constructor === 0x41, end: at };
    case 0x43:
    case 0x44:
      return { value: 0, end: at };
    case 0x45:
      return { value: [], end: at };
    case 0x50:
    case 0x52:
    case 0x53:
    case 0x56:
      return { value: bytes.readUInt8(at), end: at + 1 };
    case 0x51:
    case 0x54:
    case 0x55:
      return { value: bytes.readInt8(at), end: at + 1 };
    case 0x60:
      return { value: bytes.readUInt16BE(at), end: at + 2 };
    case 0x61:
      return { value: bytes.readInt16BE(at), end: at + 2 };
    case 0x70:
      return { value: bytes.readUInt32BE(at), end: at + 4 };
    case 0x71:
      return { value: bytes.readInt32BE(at), end: at + 4 };
    case 0x80:
      return { value: bytes.readBigUInt64BE(at), end: at + 8 };
    case 0x81:
    case 0x83:
      return { value: bytes.readBigInt64BE(at), end: at + 8 };
    case 0x98:
      return { value: bytes.subarray(at, at + 16), end: at + 16 };
    default:
      return decodeSized(bytes, constructor, at);
  }
}

function decodeSized(bytes: Buffer, constructor: number, at: number): Read {
  const width = (constructor >>> 4) % 2 === 0 ? 1 : 4;
  const read = (where: number): number =>
    width === 1 ? bytes.readUInt8(where) : bytes.readUInt32BE(where);
  const start = at + width;
  const end = start + read(at);
  if (constructor === 0xa0 || constructor === 0xb0) {
    return { value: bytes.subarray(start, end), end };
  }
  if (constructor < 0xc0) return { value: bytes.toString('utf8', start, end), end };
  const items: RawValue[] = [];
  const isArray = constructor >= 0xe0;
  let next = start + width + (isArray ? 1 : 0);
  for (let left = read(start); left > 0; left -= 1) {
    const item = isArray
      ? decodeAs(bytes, bytes.readUInt8(start + width), next)
      : decode(bytes, next);
    items.push(item.value);
    next = item.end;
  }
  return { value: items, end };
}

/** The fields of a composite. */
export function fieldsOf(value: RawValue | undefined): readonly RawValue[] {
  const { value: fields } = (value ?? { value: null }) as { readonly value: RawValue };
  if (!Array.isArray(fields)) throw new Error('no composite stands there');
  return fields as readonly RawValue[];
}

/** A map's entries by their keys. */
export function entriesOf(value: RawValue | undefined): ReadonlyMap<RawValue, RawValue> {
  const items = value as readonly RawValue[];
  const entries = new Map<RawValue, RawValue>();
  for (let index = 0; index < items.length; index += 2) {
    entries.set(items[index] ?? null, items[index + 1] ?? null);
  }
  return entries;
}

/** The sections of a message by their codes. */
export function sectionsOf(payload: Buffer): ReadonlyMap<number, RawValue> {
  const sections = new Map<number, RawValue>();
  for (let at = 0; at < payload.length;) {
    const { end, value } = decode(payload, at);
    const section = value as { readonly descriptor: number; readonly value: RawValue };
    sections.set(section.descriptor, section.value);
    at = end;
  }
  return sections;
}

const waitMs = 10_000;

export class RawClient {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  readonly #waiting = new Set<() => void>();
  #rest = Buffer.alloc(0);
  #next = 0;
  isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('close', () => {
      this.isClosed = true;
      this.#waiting.forEach((look) => look());
    });
  }

  /** Connected, with the emulator's key shown by SASL PLAIN, and open. */
  static async open(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const client = new RawClient(socket);
    socket.write(Buffer.from('414d515003010000', 'hex'));
    await client.next(0x40);
    const secret = `\0${developmentKey.name}\0${developmentKey.key}`;
    client.#write(1, 0, composite(0x41, sym('PLAIN'), bin(secret)));
    await client.next(0x44);
    socket.write(Buffer.from('414d515000010000', 'hex'));
    return client;
  }

  /** The same with an Open that was answered and a session on channel 0. */
  static async begin(port: number): Promise<RawClient> {
    const client = await RawClient.open(port);
    client.send(composite(codes.open, str('raw'), none, uint(65_536)));
    await client.next(codes.open);
    client.send(composite(codes.begin, none, uint(0), uint(1_000), uint(1_000)));
    await client.next(codes.begin);
    return client;
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 8) {
      const isHeader = this.#rest.toString('latin1', 0, 4) === 'AMQP';
      const length = isHeader ? 8 : this.#rest.readUInt32BE(0);
      if (this.#rest.length < length) break;
      if (!isHeader) this.frames.push(readFrame(this.#rest.subarray(0, length)));
      this.#rest = this.#rest.subarray(length);
    }
    this.#waiting.forEach((look) => look());
  }

  #write(type: number, channel: number, body: Buffer): void {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(8 + body.length, 0);
    head.set([2, type], 4);
    head.writeUInt16BE(channel, 6);
    this.socket.write(Buffer.concat([head, body]));
  }

  send(performative: Buffer, options: { channel?: number; payload?: Buffer } = {}): void {
    const { channel = 0, payload = Buffer.alloc(0) } = options;
    this.#write(0, channel, Buffer.concat([performative, payload]));
  }

  /** The next frame of a kind that nobody has asked for yet; those of other kinds are passed over. */
  async next(...wanted: readonly number[]): Promise<RawFrame> {
    let found: RawFrame | undefined;
    await this.#until(
      () => {
        while (found === undefined && this.#next < this.frames.length) {
          const frame = this.frames[this.#next];
          this.#next += 1;
          if (wanted.some((code) => code === frame?.code)) found = frame;
        }
        return found !== undefined || this.isClosed;
      },
      `frame ${wanted.map((code) => code.toString(16)).join(' or ')}`,
    );
    if (found === undefined) throw new Error('the connection ended');
    return found;
  }

  /** Until the server has ended the connection; gives its Close's error. */
  async closed(): Promise<{ readonly condition: RawValue; readonly description: RawValue } | null> {
    await this.#until(() => this.isClosed, 'the end of the connection');
    const close = this.frames.find(({ code }) => code === codes.close);
    const error = close?.fields[0] ?? null;
    if (error === null) return null;
    const [condition = null, description = null] = fieldsOf(error);
    return { condition, description };
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`waited in vain for ${what}`));
      }, waitMs);
      const look = (): void => {
        if (!holds()) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  end(): void {
    this.socket.destroy();
  }
}

function readFrame(bytes: Buffer): RawFrame {
  const start = bytes.readUInt8(4) * 4;
  const channel = bytes.readUInt16BE(6);
  const body = bytes.subarray(start);
  if (body.length === 0) return { channel, code: null, fields: [], payload: body, body };
  const { end, value } = decode(body, 0);
  const { descriptor } = value as { readonly descriptor: number };
  return { channel, code: descriptor, fields: fieldsOf(value), payload: body.subarray(end), body };
}
