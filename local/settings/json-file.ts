import { existsSync, readFileSync } from 'node:fs';

export type Json = Readonly<Record<string, unknown>>;

/** Something in a settings file that must be mended. */
export interface Fault {
  readonly file: string;
  /** Where in the file: `extensions.eventHubs.prefetchCount`; empty: the file itself. */
  readonly path: string;
  readonly message: string;
}

/** Settings that the host cannot start with: all that is wrong in all files, one line each. */
export class InvalidSettings extends Error {
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    const lines = faults.map(
      ({ file, message, path }) => `  ${file}: ${path === '' ? '' : `${path}: `}${message}`,
    );
    super(`the app's settings are not valid:\n${lines.join('\n')}`);
    this.name = 'InvalidSettings';
    this.faults = faults;
  }
}

/** Reads a JSON object as the host does: comments, trailing commas and a byte order mark are fine. */
export function readJsonFile(file: string): { readonly value: Json } | { readonly fault: Fault } {
  const fault = (message: string): { readonly fault: Fault } => ({
    fault: { file, path: '', message },
  });
  if (!existsSync(file)) return fault('the file is missing');
  const text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  try {
    const value: unknown = JSON.parse(withoutComments(text));
    return isObject(value) ? { value } : fault('must be a JSON object');
  } catch (error) {
    return fault(`not JSON: ${placed((error as Error).message, text)}`);
  }
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Blanks comments and trailing commas outside of strings; every other character keeps its place. */
export function withoutComments(text: string): string {
  const token = /"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  const plain = text.replace(token, (found) =>
    found.startsWith('"') ? found : found.replace(/[^\n]/g, ' '),
  );
  return plain.replace(/"(?:[^"\\\n]|\\.)*"|,(?=\s*[}\]])/g, (found) =>
    found === ',' ? ' ' : found,
  );
}

/** Adds line and column to a parser's message that names a position only. */
function placed(message: string, text: string): string {
  const position = /at position (\d+)$/.exec(message)?.[1];
  if (position === undefined) return message;
  const before = text.slice(0, Number(position)).split('\n');
  return `${message} (line ${before.length} column ${(before.at(-1) ?? '').length + 1})`;
}
