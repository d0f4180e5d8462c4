import { crc32 } from 'node:zlib';

/** Digits of a version in the names of a transaction log. */
const versionDigits = 20;
/** Longer encoded partition values are cut in folder names: a store's path segment ends at 254. */
const segmentValueLengthMax = 160;
/** The folder of a null, by Hive's convention. */
export const nullSegment = '__HIVE_DEFAULT_PARTITION__';

export function paddedVersion(version: number): string {
  return String(version).padStart(versionDigits, '0');
}

export function versionName(logFolder: string, version: number): string {
  return `${logFolder}/${paddedVersion(version)}.json`;
}

/** `column=value`, percent-encoded as Hive does it (and a little more, so that it is plain ASCII). */
export function partitionSegment(column: string, value: string | null): string {
  return `${encodeSegment(column)}=${value === null || value === '' ? nullSegment : encodeSegment(value)}`;
}

export function encodeSegment(value: string): string {
  // Buffer turns lone surrogates into U+FFFD, at which encodeURIComponent would throw.
  const encoded = encodeURIComponent(Buffer.from(value, 'utf8').toString('utf8')).replaceAll(
    /[!'()*~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  if (encoded.length <= segmentValueLengthMax) return encoded;
  const head = encoded.slice(0, segmentValueLengthMax).replace(/%.?$/, '');
  return `${head}-${checksum(Buffer.from(value, 'utf8'))}`;
}

/** CRC-32 in eight hexadecimal digits. */
function checksum(bytes: Uint8Array, seed = 0): string {
  return crc32(bytes, seed).toString(16).padStart(8, '0');
}

/**
 * The name of a data file: the same rows of the same task always get the same one, so a repeated
 * write changes nothing. The checksum covers the task's whole name too, since the visible part of
 * it is made fit for a file name and may then look like another task's.
 */
export function dataFileName(options: {
  readonly task: string;
  readonly firstCommit: number;
  readonly lastCommit: number;
  readonly bytes: Uint8Array;
  readonly extension: string;
}): string {
  const { task, firstCommit, lastCommit, bytes, extension } = options;
  const seed = crc32(Buffer.from(task, 'utf8'));
  const readable = encodeSegment(task.replaceAll('/', '-')).replaceAll('%', '_');
  return `${readable}.${firstCommit}-${lastCommit}.${checksum(bytes, seed)}${extension}`;
}

/** The `path` of an add action: the store's name URI-encoded, except for `/` and `=` (as Spark does). */
export function encodePath(name: string): string {
  return encodeURIComponent(name).replaceAll('%2F', '/').replaceAll('%3D', '=');
}

export function decodePath(path: string): string {
  return decodeURIComponent(path);
}
