import { createHash } from 'node:crypto';
import type { TablePlan } from '../model/table';

/** Digits of a version in the names of a transaction log. */
const versionDigits = 20;
/** A longer name or value does not stand whole in a folder's name: a path segment ends at 254. */
const segmentLengthMax = 200;
/** What is shown of one that is cut. */
const headLengthMax = 100;
/** All folders of a file: a blob's whole name ends at 1,024 characters. */
const foldersLengthMax = 600;
/** Hexadecimal digits of SHA-256 that stand for a value: nobody finds two values that share them. */
const digestDigits = 32;
/** The folder of a null, by Hive's convention. */
export const nullSegment = '__HIVE_DEFAULT_PARTITION__';

/** The folder of a table in the lake's container. */
export function tableFolder(table: string): string {
  return `tables/${table}`;
}

export type PartitionEntry = readonly [column: string, value: string | null];

export function paddedVersion(version: number): string {
  return String(version).padStart(versionDigits, '0');
}

export function versionName(logFolder: string, version: number): string {
  return `${logFolder}/${paddedVersion(version)}.json`;
}

/**
 * The folders of some partition values, with a slash at the end of each: `column=value`,
 * percent-encoded as Hive does it (and a little more, so that it is plain ASCII). Where a folder
 * cannot say the value exactly (too long, or a text that readers take for null) its name has no `=`:
 * some readers take values from folder names, and must find none rather than a wrong one. The log
 * has every value whole.
 */
export function partitionFolders(values: readonly PartitionEntry[]): string {
  return boundedFolders(
    values.map(([column, value]) => `${partitionSegment(column, value)}/`).join(''),
  );
}

/** One folder in the place of several whose names are too long together. */
export function boundedFolders(folders: string): string {
  return folders.length <= foldersLengthMax ? folders : `partition-${digest(folders)}/`;
}

function partitionSegment(column: string, value: string | null): string {
  const name = encodeName(column);
  const text = value === null ? nullSegment : encodeName(value);
  const segment = `${name}=${text}`;
  const isExact = segment.length <= segmentLengthMax && !isTakenForNull(value);
  if (isExact) return segment;
  return `${headOf(name)}-${digest(JSON.stringify([column, value]))}`;
}

/** DuckDB reads the folders `k=null` and `k=NULL` as nulls, and some readers an empty one. */
function isTakenForNull(value: string | null): boolean {
  return value === nullSegment || value === '' || value?.toLowerCase() === 'null';
}

/** A value as one folder of its own: whole where it can be, else its beginning and a checksum. */
export function valueSegment(value: string | null): string {
  if (value === null) return nullSegment;
  const text = encodeName(value);
  // A text may be spelt like the folder of nulls, and `.` and `..` are not names of folders.
  if (value !== nullSegment && text !== '' && text.length <= segmentLengthMax) return text;
  return `${headOf(text)}-${digest(value)}`;
}

/** Plain ASCII without a slash, and without a dot at the end, which some clients would drop. */
function encodeName(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replaceAll(
      /[!'()*~]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    )
    .replace(/\.+$/, (dots) => '%2E'.repeat(dots.length));
}

function headOf(encoded: string): string {
  return encoded.slice(0, headLengthMax).replace(/%.?$/, '');
}

function digest(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, digestDigits);
}

/**
 * The name of a data file: the same rows of the same task always get the same one, so a repeated
 * write changes nothing. The checksum covers the task's whole name and the partition values too:
 * what is visible of them is made fit for names, and may then look like another's.
 */
export function dataFileName(options: {
  readonly task: string;
  readonly firstCommit: number;
  readonly lastCommit: number;
  readonly partitionValues: Readonly<Record<string, string | null>>;
  readonly bytes: Uint8Array;
  readonly extension: string;
}): string {
  const { task, firstCommit, lastCommit, partitionValues, bytes, extension } = options;
  const readable = headOf(encodeName(task.replaceAll('/', '-'))).replaceAll('%', '_');
  const sum = digest(JSON.stringify([task, partitionValues]), bytes);
  return `${readable}.${firstCommit}-${lastCommit}.${sum}${extension}`;
}

/** The `path` of an add action: the store's name URI-encoded, except for `/` and `=` (as Spark does). */
export function encodePath(name: string): string {
  return encodeURIComponent(name).replaceAll('%2F', '/').replaceAll('%3D', '=');
}

export function decodePath(path: string): string {
  return decodeURIComponent(path);
}

/** Tells the shapes of one table apart: builds that take turns have other columns, and each opens its own. */
export function tableShape({ columns, name }: Pick<TablePlan, 'columns' | 'name'>): string {
  return JSON.stringify([name, ...columns.map((column) => column.name)]);
}
