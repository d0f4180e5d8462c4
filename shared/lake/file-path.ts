import { StreamError } from '../model/errors';
import { corruptEntry } from './actions';
import { decodePath } from './names';

/**
 * The name in the store of a file that a table's log adds. Rejects a path that leads out of the
 * table's folder with STREAM_TABLE_INCOMPATIBLE: a log must never make us read, or pass on, what is
 * not the table's.
 *
 * @param path as in the log: relative to the table's folder or a URI, percent-encoded once
 */
export function fileName(folder: string, path: string): string {
  if (isAbsolute(path)) throw refused(folder, path, absoluteAdvice);
  let decoded: string;
  try {
    decoded = decodePath(path);
  } catch (cause) {
    throw corruptEntry(folder, `the path ${shown(path)} is not percent-encoded text`, cause);
  }
  // A store may take a backslash for a slash.
  const segments = decoded.split(/[/\\]/);
  const isOutside = segments.some((segment) => /^\.\.?$/.test(segment)) || segments[0] === '';
  if (isOutside || decoded.includes('\0')) throw refused(folder, path, outsideAdvice);
  return `${folder}/${decoded}`;
}

/** A URI with a scheme, or a path from a root: Delta allows both, for files of other tables. */
function isAbsolute(path: string): boolean {
  return /^(?:[A-Za-z][A-Za-z0-9+.-]*:|[/\\])/.test(path);
}

const absoluteAdvice =
  'is absolute, as those of a shallow clone are: make a deep clone (in Spark: CREATE TABLE … DEEP CLONE …, or CREATE TABLE … AS SELECT), whose files are its own';
const outsideAdvice =
  'leads out of it: the log was damaged or made to read what is not the table’s; restore it from a backup';

function refused(folder: string, path: string, why: string): StreamError {
  return new StreamError(
    'STREAM_TABLE_INCOMPATIBLE',
    `the table ${folder} has a file whose path ${shown(path)} ${why}`,
    { details: { folder, path } },
  );
}

function shown(path: string): string {
  return JSON.stringify(path.slice(0, 300));
}
