/** Errors of topologies as their author reads them: file, line and what is wrong. */
import { existsSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { faultsOf, type Fault } from '../shared/dataflow/places';

/** Nobody who wrote a topology made these calls. */
const ours = /^(cli|functions|local|shared|tools|node_modules)\//;
const frame = /\(?((?:file:\/\/|[A-Za-z]:)?[^\s():]+):(\d+):(\d+)\)?$/;

/**
 * What to tell of an error: for a topology that is not sound each fault with its place; for an error
 * thrown while topologies are defined, its place and message. `root`: the app's folder, from which places
 * are written.
 */
export function placedText(error: unknown, root: string): string {
  const faults = faultsOf(error);
  if (faults !== null) {
    return [
      'STREAM_TOPOLOGY_INVALID: the topologies are not sound, so nothing was done.',
      ...faults.map((fault) => faultText(fault, root)),
    ].join('\n');
  }
  if (!(error instanceof Error)) return String(error);
  if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') {
    return `${error.message.split('\n', 1)[0]}: packages are missing, run npm ci`;
  }
  const place = placeIn(error.stack ?? '', root);
  return place === null ? error.message : `${place}: ${error.name}: ${error.message}`;
}

/** Null: the error is of nothing that stands in a topology. */
export function unsoundText(error: unknown, root: string): string | null {
  return faultsOf(error) === null ? null : placedText(error, root);
}

function faultText({ stack, text }: Fault, root: string): string {
  const place = stack === null ? null : placeIn(stack, root);
  return `${place ?? 'topologies'}: ${text}`;
}

/** `topologies/orders.ts:12:5`; null: no call was made from outside of our own code. */
function placeIn(stack: string, root: string): string | null {
  for (const line of stack.split('\n').slice(1)) {
    const [, file = '', row = '', column = ''] = frame.exec(line.trim()) ?? [];
    if (file === '' || file.startsWith('node:')) continue;
    const path = file.startsWith('file://') ? fileURLToPath(file) : file;
    const found = written(path, Number(row), Number(column));
    const shown = relative(root, found.path).replaceAll('\\', '/');
    if (!isAbsolute(shown) && !shown.startsWith('..') && !ours.test(shown)) {
      return `${shown}:${found.row}:${found.column}`;
    }
  }
  return null;
}

interface Place {
  readonly path: string;
  /** From 1. */
  readonly row: number;
  readonly column: number;
}

/** Where a place of a built file is written, by its source map; itself where it has none. */
function written(path: string, row: number, column: number): Place {
  const map = mapOf(`${path}.map`);
  const entry = map?.findEntry(row - 1, column - 1);
  if (entry === undefined || !('originalSource' in entry)) return { path, row, column };
  return {
    path: resolve(dirname(path), entry.originalSource),
    row: entry.originalLine + 1,
    column: entry.originalColumn + 1,
  };
}

const maps = new Map<string, SourceMap>();

function mapOf(path: string): SourceMap | undefined {
  if (!maps.has(path) && existsSync(path)) {
    maps.set(path, new SourceMap(JSON.parse(readFileSync(path, 'utf8')) as SourceMapPayload));
  }
  return maps.get(path);
}
