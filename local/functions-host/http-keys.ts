import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { queryOf } from './http-message';
import { InvalidSettings, isObject, readJsonFile, type Fault } from '../settings/json-file';

type Keys = Readonly<Record<string, string>>;

/** Who may call what when authorization is on. The host key `_master` opens everything. */
export interface HostKeys {
  readonly host: Keys;
  readonly functions: Readonly<Record<string, Keys>>;
  readonly system: Keys;
}

export type AuthLevel = 'anonymous' | 'function' | 'admin' | 'system';

/** The name of the key that opens the webhooks of Durable Functions. */
export const durableKeyName = 'durabletask_extension';

/** Keys for a host that was given none; its log says them. */
export function randomKeys(): HostKeys {
  const key = (): string => randomBytes(32).toString('base64url');
  return { host: { _master: key(), default: key() }, functions: {}, system: {} };
}

/** Keys with one for the webhooks of Durable Functions: a host makes it itself when it has none. */
export function withDurableKey(keys: HostKeys): HostKeys {
  const made = randomBytes(32).toString('base64url');
  return { ...keys, system: { [durableKeyName]: made, ...keys.system } };
}

/** Reads `{ "host": { "_master", "default" }, "functions": { "<name>": { "default" } }, "system": {} }`. */
export function readKeys(file: string): HostKeys {
  const read = readJsonFile(file);
  if ('fault' in read) throw new InvalidSettings([read.fault]);
  const faults: Fault[] = [];
  const keysOf = (value: unknown, path: string): Keys => {
    if (!isObject(value ?? {})) faults.push({ file, path, message: 'must be an object of texts' });
    const entries = Object.entries(isObject(value) ? value : {});
    for (const [name, key] of entries) {
      if (typeof key === 'string' && key !== '') continue;
      faults.push({ file, path: `${path}.${name}`, message: 'must be a text that is not empty' });
    }
    return Object.fromEntries(entries) as Keys;
  };
  const functions = isObject(read.value['functions']) ? read.value['functions'] : {};
  const keys: HostKeys = {
    host: keysOf(read.value['host'], 'host'),
    system: keysOf(read.value['system'], 'system'),
    functions: Object.fromEntries(
      Object.entries(functions).map(([name, value]) => [name, keysOf(value, `functions.${name}`)]),
    ),
  };
  if (keys.host['_master'] === undefined) {
    faults.push({
      file,
      path: 'host._master',
      message: 'is needed: the key that opens everything',
    });
  }
  if (faults.length > 0) throw new InvalidSettings(faults);
  return keys;
}

/** The key of a request: the header `x-functions-key`, else the query's `code`. */
export function keyOf(request: IncomingMessage): string | null {
  const header = request.headers['x-functions-key'];
  if (typeof header === 'string' && header !== '') return header;
  const code = Object.entries(queryOf(request)).find(([name]) => name.toLowerCase() === 'code');
  return code?.[1] ?? null;
}

/** Whether a key opens a function of a level. Without keys (null) every caller is the administrator. */
export function isAllowed(
  keys: HostKeys | null,
  key: string | null,
  /** `system`: the extension's own key, by the name that it has. */
  wanted: {
    readonly level: AuthLevel;
    readonly functionName?: string;
    readonly systemKey?: string;
  },
): boolean {
  if (keys === null || wanted.level === 'anonymous') return true;
  if (key === null) return false;
  const { _master, ...host } = keys.host;
  const own = wanted.functionName === undefined ? {} : (keys.functions[wanted.functionName] ?? {});
  const system = wanted.systemKey === undefined ? undefined : keys.system[wanted.systemKey];
  const opening =
    wanted.level === 'admin'
      ? [_master]
      : wanted.level === 'system'
        ? [_master, system]
        : [_master, ...Object.values({ ...host }), ...Object.values(own)];
  return opening.some((candidate) => candidate !== undefined && isSame(candidate, key));
}

function isSame(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}
