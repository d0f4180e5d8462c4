import { isUtf8 } from 'node:buffer';
import { gunzipSync } from 'node:zlib';
import { elementTexts } from './json-elements';

/** Gzip may expand a thousandfold: what one message may become, at most. */
const decompressedBytesMax = 32 * 1024 * 1024;
/** Of one message; each costs a worker far more memory than its two bytes of NDJSON. */
const eventsMax = 100_000;
const newline = 0x0a;

/** One event of a message, or why there is none. */
export type DecodedEvent =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reason: string; readonly payload: Uint8Array };

/**
 * Decodes a message into its events: a JSON value, a JSON array (one event an element), NDJSON (one
 * a line, blank lines skipped), or gzip of any of these. Never throws: bytes that make no event
 * come back as a failure in their place, so that positions stay the same whenever they are read.
 */
export function decodeMessage(body: Uint8Array): DecodedEvent[] {
  let bytes: Uint8Array;
  try {
    bytes = inflated(body);
  } catch (cause) {
    return [failure(`gzip does not inflate: ${reasonOf(cause)}`, body)];
  }
  if (!isUtf8(bytes)) return [failure('bytes are not UTF-8', body)];
  const text = textOf(bytes);
  if (hasTooManyLines(bytes)) return [tooMany(body)];
  return splitsIntoLines(text) ? decodeLines(text) : decodeWhole(text, body);
}

/**
 * The texts that the events of a message were made from, by their positions: what a dead letter
 * keeps. An event itself may have been changed since by a function that took it, or be nested deeper
 * than it can be written again. Empty where nothing could be decoded.
 */
export function eventTexts(body: Uint8Array): readonly string[] {
  try {
    const text = textOf(inflated(body));
    if (splitsIntoLines(text) || !isJson(text)) return linesOf(text);
    const start = text.search(/\S/);
    return text[start] === '[' ? elementTexts(text, start) : [text];
  } catch {
    return [];
  }
}

function inflated(body: Uint8Array): Uint8Array {
  const isGzip = body[0] === 0x1f && body[1] === 0x8b;
  return isGzip ? gunzipSync(body, { maxOutputLength: decompressedBytesMax }) : body;
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}

function decodeWhole(text: string, body: Uint8Array): DecodedEvent[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The quick test for NDJSON misses lines that are not objects: numbers, arrays, broken ones.
    const lines = linesOf(text);
    if (lines.length > 1 && lines.some(isJson)) return decodeLines(text);
    return [failure(`not JSON: ${reasonOf(cause)}`, body)];
  }
  if (!Array.isArray(value)) return [{ ok: true, value }];
  if (value.length > eventsMax) return [tooMany(body)];
  return value.map((element: unknown) => ({ ok: true, value: element }));
}

function decodeLines(text: string): DecodedEvent[] {
  const events: DecodedEvent[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.trim() === '') continue;
    try {
      events.push({ ok: true, value: JSON.parse(line) as unknown });
    } catch (cause) {
      events.push(failure(`line is not JSON: ${reasonOf(cause)}`, Buffer.from(line)));
    }
  }
  return events;
}

/** Counted before the text is split: a small message must not take a worker's whole memory. */
function hasTooManyLines(bytes: Uint8Array): boolean {
  if (bytes.byteLength <= eventsMax) return false;
  let lines = 0;
  for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, at + 1)) {
    lines += 1;
    if (lines > eventsMax) return true;
  }
  return false;
}

function tooMany(body: Uint8Array): DecodedEvent {
  return failure(`it holds more than ${eventsMax} events: send fewer in a message`, body);
}

/** No valid JSON text holds `}` newline `{`: there is a comma between two objects in an array. */
function splitsIntoLines(text: string): boolean {
  return text.includes('}\n{') || text.includes('}\r\n{');
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch (cause) {
    if (cause instanceof SyntaxError) return false;
    throw cause;
  }
}

function textOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function failure(reason: string, payload: Uint8Array): DecodedEvent {
  return { ok: false, reason, payload };
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
