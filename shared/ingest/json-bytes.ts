/** Bytes that have a meaning in JSON. They are never part of another character in UTF-8. */
export const quote = 0x22;
const backslash = 0x5c;
export const comma = 0x2c;
export const colon = 0x3a;
export const openBracket = 0x5b;
export const closeBracket = 0x5d;
export const openBrace = 0x7b;
export const closeBrace = 0x7d;
export const newline = 0x0a;

const space = 0x20;
const tab = 0x09;
const carriageReturn = 0x0d;

const byteOrderMark = [0xef, 0xbb, 0xbf];
export const byteOrderMarkBytes = byteOrderMark.length;

/** Files begin with it, and files put one after the other hold it again. */
export function isByteOrderMark(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== byteOrderMark[0]) return false;
  return byteOrderMark.every((byte, index) => bytes[at + index] === byte);
}

/** It begins as JSON does: not as gzip, nor with a byte order mark. */
export function isPlainText(bytes: Uint8Array): boolean {
  const first = bytes[0] ?? 0;
  return first >= space && first < 0x80;
}

/** White space of JSON within a line. */
export function isBlankInLine(byte: number | undefined): boolean {
  return byte === space || byte === tab || byte === carriageReturn;
}

/** White space of JSON. */
function isBlank(byte: number | undefined): boolean {
  return byte === newline || isBlankInLine(byte);
}

/** Where the first byte that is not blank is, from `from` on; `to` where there is none. */
export function skipBlanks(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && isBlank(bytes[at])) at += 1;
  return at;
}

/** Where what ends at `to` ends without the blanks behind it; `from` where it is all blank. */
export function skipBlanksBack(bytes: Uint8Array, from: number, to: number): number {
  let at = to;
  while (at > from && isBlank(bytes[at - 1])) at -= 1;
  return at;
}

/**
 * Where a text that begins with the quote at `start` ends: at its closing quote, or at the end of
 * its line, which no text of JSON passes.
 */
export function endOfText(bytes: Uint8Array, start: number): number {
  const { length } = bytes;
  for (let at = start + 1; at < length; at += 1) {
    const byte = bytes[at];
    if (byte === quote || byte === newline) return at;
    if (byte === backslash && bytes[at + 1] !== newline) at += 1;
  }
  return length;
}
