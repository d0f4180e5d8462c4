import { isUtf8 } from 'node:buffer';
import { isPlainText } from './json-bytes';
import { mayHoldInexactNumber } from './exact-numbers';

/** Messages that are read together: a segment's. */
const messagesMax = 64;
/** Fewer are not worth it. */
const messagesMin = 4;
/** How many times that much is read one by one after it did not work, at most. */
const restMax = 64;

const openBracket = 0x5b;
const closeBracket = 0x5d;

const lettersOfDigits = 'ghijklmnop';

/** What a value is that was given out, or that nobody has read. */
export const notThere = Symbol('not there');

/** Of all that read: what one has joined is read at once. */
let joined = Buffer.alloc(0);

/**
 * Reads the JSON values of messages that come next together, as the elements of one array: a call into the
 * runtime for each message costs as much as half of its values. Between two of them stands a mark that no
 * message can know. Where each mark is found between two elements, every message is one value: a mark inside
 * of a message's open bracket would not be there, and inside of an open text it ends the text. Where
 * anything else is found, the messages are read one by one.
 */
export class JoinedValues {
  readonly #mark: string;
  readonly #separator: Buffer;
  readonly #bytesMax: number;
  #bodies: readonly { readonly body: Uint8Array }[] = [];
  /** The message that is asked for next. */
  #next = 0;
  /** Those from `#first` up to, not including, `#end` are in `#values`, with the marks between them. */
  #values: unknown[] = [];
  #first = 0;
  #end = 0;
  /** Messages that are to be read one by one before these are joined again. */
  #rest = 0;
  #restAfterNext = messagesMax;
  /** Bytes of what was joined last. */
  #length = 0;

  /**
   * @param mark what nobody who sends can foresee
   * @param bytesMax larger messages are not read here
   */
  constructor(mark: string, bytesMax: number) {
    // A mark of digits would be taken for a number that is not exact.
    this.#mark = mark.replaceAll(/\d/gu, (digit) => lettersOfDigits[Number(digit)] ?? '');
    this.#separator = Buffer.from(`,${JSON.stringify(this.#mark)},`);
    this.#bytesMax = bytesMax;
  }

  /** These will be asked for next, in order; some may be left out. */
  expect(bodies: readonly { readonly body: Uint8Array }[]): void {
    this.#bodies = bodies;
    this.#next = 0;
    this.#first = 0;
    this.#end = 0;
    this.#values = [];
  }

  /** The value of a message, once; `notThere`: it is to be read by itself. */
  take(body: Uint8Array): unknown {
    const at = this.#placeOf(body);
    if (at < 0) return notThere;
    if (at >= this.#end) this.#readFrom(at);
    if (at >= this.#end) return notThere;
    const place = 2 * (at - this.#first);
    const value = this.#values[place];
    this.#values[place] = notThere;
    return value;
  }

  #placeOf(body: Uint8Array): number {
    const bodies = this.#bodies;
    for (let at = this.#next; at < bodies.length; at += 1) {
      if (bodies[at]?.body !== body) continue;
      this.#next = at + 1;
      return at;
    }
    return -1;
  }

  #readFrom(first: number): void {
    if (this.#rest > 0) {
      this.#rest -= 1;
      return;
    }
    const end = this.#join(first);
    if (end - first < messagesMin) return;
    const values = this.#parsed(end - first);
    if (values === null) {
      this.#rest = this.#restAfterNext;
      this.#restAfterNext = Math.min(messagesMax * restMax, 2 * this.#restAfterNext);
      return;
    }
    this.#restAfterNext = messagesMax;
    this.#values = values;
    this.#first = first;
    this.#end = end;
  }

  /** Puts the messages from `first` on side by side; gives the one that it ends before. */
  #join(first: number): number {
    const bodies = this.#bodies;
    const separator = this.#separator;
    const most = messagesMax * (this.#bytesMax + separator.length) + 2;
    if (joined.length < most) joined = Buffer.allocUnsafe(most);
    const end = Math.min(bodies.length, first + messagesMax);
    joined[0] = openBracket;
    let length = 1;
    let at = first;
    for (; at < end; at += 1) {
      const body = bodies[at]?.body;
      if (body === undefined || body.byteLength > this.#bytesMax || !isPlainText(body)) break;
      if (at > first) {
        joined.set(separator, length);
        length += separator.length;
      }
      joined.set(body, length);
      length += body.byteLength;
    }
    joined[length] = closeBracket;
    this.#length = length + 1;
    return at;
  }

  #parsed(messages: number): unknown[] | null {
    const bytes = joined.subarray(0, this.#length);
    if (!isUtf8(bytes) || mayHoldInexactNumber(bytes, 0, bytes.length)) return null;
    let values: unknown[];
    try {
      values = JSON.parse(bytes.toString('utf8')) as unknown[];
    } catch {
      return null;
    }
    if (values.length !== 2 * messages - 1) return null;
    for (let at = 1; at < values.length; at += 2) if (values[at] !== this.#mark) return null;
    return values;
  }
}
