/**
 * Keys, their canonical form and their place. A key is a string, a number, a boolean, null or a tuple of
 * these; two keys are the same where their canonical texts are (so 1 is not '1', and −0 is 0).
 *
 * `keyGroup = hash(canonical text) mod 1024`, for ever: state, timers and snapshots are ordered by it, and
 * `partition = floor(keyGroup × count / 1024)`, so that growing a hub moves whole groups.
 */
import { StreamError } from './errors';
import { shown } from './shown';

type KeyPart = string | number | boolean | null;
export type Key = KeyPart | readonly KeyPart[];

/** How many key groups there are: no exchange can have more partitions. Never changes. */
export const keyGroupCount = 1024;
/**
 * A key is in the state, in each change of it, and in results, all of one commit: with a longer one
 * a window could be opened and its result never be committed.
 */
const keyBytesMax = 64 * 1024;
const utf8BytesPerUnitMax = 3;

/**
 * The canonical text of a key: a tag and the value (`s` string, `n` number, `b` boolean, `z` null); of a
 * tuple `t` and, for each part, its length and its text. Strings are made well-formed, as in tables: two
 * that their UTF-8 cannot tell apart are one key.
 * @throws TypeError for what is no key (an object, a nested tuple, NaN, an infinity, undefined)
 * @throws StreamError STREAM_EVENT_TOO_LARGE beyond 64 KiB
 */
export function canonicalKey(key: unknown): string {
  const text = Array.isArray(key) ? `t${key.map(sizedPart).join('')}` : canonicalPart(key);
  if (text.length * utf8BytesPerUnitMax <= keyBytesMax) return text;
  const bytes = Buffer.byteLength(text);
  if (bytes <= keyBytesMax) return text;
  throw new StreamError(
    'STREAM_EVENT_TOO_LARGE',
    `its key takes ${bytes} bytes, ${keyBytesMax} are allowed: key by less of it, or by its hash`,
  );
}

function sizedPart(part: unknown): string {
  const text = canonicalPart(part);
  return `${text.length}:${text}`;
}

function canonicalPart(part: unknown): string {
  switch (typeof part) {
    case 'string':
      return `s${part.toWellFormed()}`;
    case 'number':
      if (!Number.isFinite(part)) break;
      return Object.is(part, -0) ? 'n0' : `n${String(part)}`;
    case 'boolean':
      return part ? 'b1' : 'b0';
    case 'object':
      if (part === null) return 'z';
      break;
    default:
      break;
  }
  throw new TypeError(
    `a key must be a text, a finite number, true or false, null, or a tuple of these; this one is ${shown(part)}`,
  );
}

/** The key that a canonical text stands for. @throws TypeError: the text is no key's */
export function keyOf(canonical: string): Key {
  if (!canonical.startsWith('t')) return partOf(canonical);
  const parts: KeyPart[] = [];
  for (let at = 1; at < canonical.length;) {
    const colon = canonical.indexOf(':', at);
    const length = colon < 0 ? NaN : Number(canonical.slice(at, colon));
    if (!Number.isSafeInteger(length) || length < 1 || colon + 1 + length > canonical.length) {
      throw notCanonical(canonical);
    }
    parts.push(partOf(canonical.slice(colon + 1, colon + 1 + length)));
    at = colon + 1 + length;
  }
  return parts;
}

function partOf(text: string): KeyPart {
  const rest = text.slice(1);
  switch (text[0]) {
    case 's':
      return rest;
    case 'n': {
      const number = Number(rest);
      if (rest !== '' && Number.isFinite(number)) return number;
      break;
    }
    case 'b':
      if (rest === '1' || rest === '0') return rest === '1';
      break;
    case 'z':
      if (rest === '') return null;
      break;
    default:
      break;
  }
  throw notCanonical(text);
}

function notCanonical(text: string): TypeError {
  return new TypeError(`no key has the canonical text ${shown(text)}`);
}

/**
 * The group of a canonical text: FNV-1a (32 bit, over UTF-16 code units, low byte then high) with a
 * final avalanche, modulo 1024.
 */
export function keyGroupOf(canonical: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < canonical.length; index += 1) {
    const unit = canonical.charCodeAt(index);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  return (hash >>> 0) % keyGroupCount;
}

/** The partition, of `count`, that holds a key group. */
export function partitionOfGroup(keyGroup: number, count: number): number {
  return Math.floor((keyGroup * count) / keyGroupCount);
}
