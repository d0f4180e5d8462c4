import { isUtf8 } from 'node:buffer';
import { gunzipSync } from 'node:zlib';
import type { InexactNumber } from '../model/program';
import { inexactNumbers, mayHoldInexactNumber } from './exact-numbers';
import { byteOrderMarkBytes, isByteOrderMark } from './json-bytes';
import { JoinedValues, notThere } from './joined-values';
import { ingestLimits } from './limits';
import { splitEvents, type EventPlaces } from './split-events';

/** One event of a message, or why there is none. */
export type DecodedEvent =
  | {
      readonly ok: true;
      readonly value: unknown;
      /** Numbers that `value` does not hold as they were written: seldom any. */
      readonly inexact?: readonly InexactNumber[];
    }
  | { readonly ok: false; readonly reason: string; readonly payload: Uint8Array };

/** The events of a message by their positions, each made when it is asked for. */
export interface MessageEvents {
  readonly length: number;
  /** Throws for no bytes whatever. */
  at(index: number): DecodedEvent;
  /**
   * The bytes that an event was made from, as they stand in the message: what a dead letter keeps. An
   * event itself may have been changed since by a function that took it.
   */
  bytesOf(index: number): Uint8Array;
}

/** No valid JSON of this length is nested deeper, or holds more values, than an event may. */
const surelyWithinLimitsBytes = 2 * ingestLimits.depthMax;

/**
 * Opens a message: a JSON value, a JSON array (one event an element), values one after the other
 * (NDJSON, pretty-printed, or with nothing between them), or gzip of any of these. Bytes that make no
 * event are a failure in their place, so that positions stay the same whenever they are read; a
 * message in which nothing at all is JSON is one failure.
 */
export function openMessage(body: Uint8Array): MessageEvents {
  const small = new SmallEvents();
  return small.open(body) ? small : openLarge(body);
}

function openLarge(body: Uint8Array): MessageEvents {
  const whole = asBuffer(body);
  let bytes: Buffer;
  try {
    bytes = isGzip(whole) ? gunzipSync(whole, { maxOutputLength: ingestLimits.bytesMax }) : whole;
  } catch (cause) {
    return new NoEvents(gzipFault(cause), body);
  }
  const fault = wholeFault(bytes);
  if (fault !== null) return new NoEvents(fault, body);
  const places = splitEvents(bytes, textStart(bytes), ingestLimits);
  if (places.isOverfull) {
    const { eventsMax } = ingestLimits;
    return new NoEvents(`it holds more than ${eventsMax} events: send fewer in a message`, body);
  }
  const events = new PlacedEvents(bytes, places);
  const reason = events.whyNone();
  return reason === null ? events : new NoEvents(reason, body);
}

/**
 * Opens messages, and keeps the last one open where that is dear: a large message is committed in
 * several commits, each of which asks for its events again.
 */
export class MessageOpener {
  readonly #small = new SmallEvents();
  readonly #ahead: JoinedValues | null;
  #last: { readonly body: Uint8Array; readonly events: MessageEvents } | null = null;

  /** @param mark what nobody who sends can foresee, for reading ahead; null: each is read by itself */
  constructor(mark: string | null = null) {
    this.#ahead = mark === null ? null : new JoinedValues(mark, surelyWithinLimitsBytes);
  }

  /** These messages will be opened next, in order. */
  expect(messages: readonly { readonly body: Uint8Array }[]): void {
    this.#ahead?.expect(messages);
  }

  /** @returns events that are good until another message is opened */
  open(body: Uint8Array): MessageEvents {
    if (this.#last?.body === body) return this.#last.events;
    this.#last = null;
    const value = this.#ahead === null ? notThere : this.#ahead.take(body);
    if (value !== notThere) {
      this.#small.take(body, value);
      return this.#small;
    }
    // Those of a small message are made at once: whoever took them may have changed them.
    if (this.#small.open(body)) return this.#small;
    const events = openLarge(body);
    this.#last = { body, events };
    return events;
  }
}

/** All events of a message. */
export function decodeMessage(body: Uint8Array): DecodedEvent[] {
  const events = openMessage(body);
  return Array.from({ length: events.length }, (_, index) => events.at(index));
}

/** The most common message: a value or a few. One object serves for one message after the other. */
class SmallEvents implements MessageEvents {
  #bytes: Buffer = Buffer.alloc(0);
  #value: unknown = null;
  #isArray = false;
  #places: EventPlaces | null = null;

  /** False where the message is not that, or something in it is not sound. */
  open(body: Uint8Array): boolean {
    if (body.byteLength > surelyWithinLimitsBytes || isGzip(body)) return false;
    const bytes = asBuffer(body);
    if (mayHoldInexactNumber(bytes, 0, bytes.length) || !isUtf8(bytes)) return false;
    try {
      this.#value = JSON.parse(bytes.toString('utf8', textStart(bytes)));
    } catch {
      // Whoever looks at it event by event says what is wrong with which.
      return false;
    }
    this.#setBody(bytes);
    return true;
  }

  /** Takes over the value of a message that was read already. */
  take(body: Uint8Array, value: unknown): void {
    this.#value = value;
    this.#setBody(asBuffer(body));
  }

  #setBody(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#isArray = Array.isArray(this.#value);
    this.#places = null;
  }

  get length(): number {
    return this.#isArray ? (this.#value as readonly unknown[]).length : 1;
  }

  at(index: number): DecodedEvent {
    return {
      ok: true,
      value: this.#isArray ? (this.#value as readonly unknown[])[index] : this.#value,
    };
  }

  bytesOf(index: number): Uint8Array {
    this.#places ??= splitEvents(this.#bytes, textStart(this.#bytes), ingestLimits);
    return bytesAt(this.#bytes, this.#places, index);
  }
}

class PlacedEvents implements MessageEvents {
  readonly #bytes: Buffer;
  readonly #places: EventPlaces;
  readonly length: number;
  /** Most events are asked for once, in order; the first one that is sound, twice. */
  #last: { readonly index: number; readonly event: DecodedEvent } | null = null;

  constructor(bytes: Buffer, places: EventPlaces) {
    this.#bytes = bytes;
    this.#places = places;
    this.length = places.bounds.length / 2;
  }

  at(index: number): DecodedEvent {
    if (this.#last?.index === index) {
      const { event } = this.#last;
      // Whoever takes a value may change it: it is given out once.
      this.#last = null;
      return event;
    }
    const payload = bytesAt(this.#bytes, this.#places, index);
    const fault = this.#places.faults.get(index);
    return fault === undefined ? decodeEvent(payload) : { ok: false, reason: fault, payload };
  }

  bytesOf(index: number): Uint8Array {
    return bytesAt(this.#bytes, this.#places, index);
  }

  /** Why nothing in it is an event; null where something is, or where an array is empty. */
  whyNone(): string | null {
    if (this.length === 0 && this.#bytes.includes('[')) return null;
    let reason = 'it is empty';
    for (let index = 0; index < this.length; index += 1) {
      const event = this.at(index);
      if (event.ok) {
        this.#last = { index, event };
        return null;
      }
      if (index === 0) ({ reason } = event);
    }
    return reason;
  }
}

/** A message that is one failure. */
class NoEvents implements MessageEvents {
  readonly length = 1;
  readonly #reason: string;
  readonly #body: Uint8Array;

  constructor(reason: string, body: Uint8Array) {
    this.#reason = reason;
    this.#body = body;
  }

  at(): DecodedEvent {
    return { ok: false, reason: this.#reason, payload: this.#body };
  }

  bytesOf(): Uint8Array {
    return this.#body;
  }
}

/** Reads the bytes of one event that is known to be within the limits of ingest. */
export function decodeEvent(bytes: Buffer): DecodedEvent {
  if (!isUtf8(bytes)) return { ok: false, reason: 'its bytes are not UTF-8', payload: bytes };
  const text = bytes.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return { ok: false, reason: `it is not JSON: ${reasonOf(cause)}`, payload: bytes };
  }
  if (!mayHoldInexactNumber(bytes, 0, bytes.length)) return { ok: true, value };
  const inexact = inexactNumbers(text);
  return inexact.length === 0 ? { ok: true, value } : { ok: true, value, inexact };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesAt(bytes: Buffer, { bounds }: EventPlaces, index: number): Buffer {
  return bytes.subarray(bounds[2 * index], bounds[2 * index + 1]);
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function textStart(bytes: Uint8Array): number {
  return isByteOrderMark(bytes, 0) ? byteOrderMarkBytes : 0;
}

/** What makes reading the message event by event senseless. */
function wholeFault(bytes: Uint8Array): string | null {
  const [first, second] = bytes;
  const isUtf16 = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  return isUtf16 ? 'it is UTF-16: send UTF-8' : null;
}

function gzipFault(cause: unknown): string {
  const { code } = cause as { code?: string };
  return code === 'ERR_BUFFER_TOO_LARGE'
    ? `its gzip inflates to more than ${ingestLimits.bytesMax} bytes: send fewer events in a message`
    : `gzip does not inflate: ${reasonOf(cause)}`;
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
