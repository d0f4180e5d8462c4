import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { compileHostSettings, type HostSettings } from './host-settings';
import {
  InvalidSettings,
  isObject,
  readJsonFile,
  type Fault,
  type Json,
} from '../settings/json-file';
import { SettingReader } from '../settings/setting-reader';

export type { HostSettings } from './host-settings';
export { InvalidSettings } from '../settings/json-file';

export interface AppSettings {
  /** local.settings.json's Values under the environment's and those given. */
  readonly values: Readonly<Record<string, string>>;
  /** Values that the environment's stand before, as `func start` has it. */
  readonly overridden: readonly string[];
  /** Host.LocalHttpPort, where it is set. */
  readonly httpPort: number | null;
  /** Host.CORS: origins whose pages may call, in small letters; `*`: all. */
  readonly origins: readonly string[];
}

export interface SettingsSource {
  readonly appDirectory: string;
  /** Merged into host.json. */
  readonly hostJson?: Json;
  /** Before everything else. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** Reads host.json and local.settings.json; all faults of both are reported together. */
export function readSettings(source: SettingsSource): {
  readonly host: HostSettings;
  readonly app: AppSettings;
} {
  const faults: Fault[] = [];
  // Read first, since its settings may stand before host.json; told last.
  const appFaults: Fault[] = [];
  const app = readApp(source, appFaults);
  const overrides = merge(
    hostOverrides({ ...source.environment, ...app.values }),
    source.hostJson ?? {},
  );
  const host = readHost(source.appDirectory, overrides, faults);
  faults.push(...appFaults);
  if (faults.length > 0) throw new InvalidSettings(faults);
  return { host, app };
}

/** Reads host.json with overrides merged in; all its faults are reported together. */
export function readHostSettings(appDirectory: string, overrides: Json = {}): HostSettings {
  const faults: Fault[] = [];
  const host = readHost(appDirectory, overrides, faults);
  if (faults.length > 0) throw new InvalidSettings(faults);
  return host;
}

function readHost(appDirectory: string, overrides: Json, faults: Fault[]): HostSettings {
  const file = join(appDirectory, 'host.json');
  const read = readJsonFile(file);
  if ('fault' in read) faults.push(read.fault);
  const value = 'fault' in read ? { version: '2.0' } : read.value;
  return compileHostSettings(merge(value, overrides), file, faults);
}

function readApp(source: SettingsSource, faults: Fault[]): AppSettings {
  const file = join(source.appDirectory, 'local.settings.json');
  const found = existsSync(file) ? readJsonFile(file) : { value: {} };
  if ('fault' in found) faults.push(found.fault);
  const reader = new SettingReader('fault' in found ? {} : found.value, {
    ...{ file, path: '', faults },
  });
  reader.onlyKnows(['IsEncrypted', 'Values', 'Host', 'ConnectionStrings']);
  if (reader.flag('IsEncrypted', false)) {
    reader.fault(
      'IsEncrypted',
      'the values are encrypted: run `func settings decrypt`, or set it to false and write them plainly',
    );
    return { values: {}, overridden: [], httpPort: null, origins: [] };
  }
  const host = reader.section('Host');
  host.onlyKnows(['LocalHttpPort', 'CORS', 'CORSCredentials']);
  const values = { ...connectionStringsOf(reader), ...valuesOf(reader) };
  const overridden = Object.keys(values).filter(
    (name) => source.environment?.[name] !== undefined && source.settings?.[name] === undefined,
  );
  for (const name of overridden) values[name] = source.environment?.[name] ?? '';
  const runtime = settingOf({ ...values, ...source.settings }, 'FUNCTIONS_WORKER_RUNTIME');
  if (runtime !== undefined && runtime.toLowerCase() !== 'node') {
    reader
      .section('Values')
      .fault('FUNCTIONS_WORKER_RUNTIME', `must be "node": this host runs no ${runtime} apps`);
  }
  return {
    values: { FUNCTIONS_WORKER_RUNTIME: 'node', ...values, ...source.settings },
    overridden,
    httpPort: host.has('LocalHttpPort')
      ? host.whole('LocalHttpPort', { min: 0, max: 65_535, fallback: 7071 })
      : null,
    origins: host
      .text('CORS', '')
      .split(',')
      .map((origin) => origin.trim().replace(/\/$/, '').toLowerCase())
      .filter((origin) => origin !== ''),
  };
}

function valuesOf(reader: SettingReader): Record<string, string> {
  const section = reader.section('Values');
  const values = reader.raw('Values');
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(isObject(values) ? values : {})) {
    if (typeof value === 'string') texts[name] = value;
    else section.fault(name, `must be a text, not ${JSON.stringify(value)}: put it in quotes`);
  }
  return texts;
}

/**
 * Connections under the names that .NET's configuration gives them: `ConnectionStrings:<name>`. An entry
 * is a text, or an object with `ConnectionString`.
 */
function connectionStringsOf(reader: SettingReader): Record<string, string> {
  const section = reader.section('ConnectionStrings');
  const texts: Record<string, string> = {};
  for (const name of section.names) {
    const given = section.raw(name);
    const value = isObject(given) ? section.section(name).raw('ConnectionString') : given;
    if (typeof value === 'string') texts[`ConnectionStrings:${name}`] = value;
    else section.fault(name, 'must be a text, or an object with the text ConnectionString');
  }
  return texts;
}

const overridePrefix = /^AzureFunctionsJobHost(?:__|:)/i;
/** Sections of host.json on which this host acts. */
const overridable = ['extensions', 'functionTimeout', 'functions', 'retry'];

/** Settings `AzureFunctionsJobHost__<path>` stand before host.json; `:` or `__` between the names. */
function hostOverrides(settings: Readonly<Record<string, string | undefined>>): Json {
  let overrides: Json = {};
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined || !overridePrefix.test(name)) continue;
    const path = name.replace(overridePrefix, '').split(/__|:/);
    if (!overridable.some((known) => known.toLowerCase() === path[0]?.toLowerCase())) continue;
    overrides = merge(
      overrides,
      path.reduceRight<unknown>((inner, part) => ({ [part]: inner }), value) as Json,
    );
  }
  return overrides;
}

/**
 * A setting by its name in any case, as .NET's configuration finds it; `__` and `:` are the same.
 * Undefined: there is none.
 */
export function settingOf(
  settings: Readonly<Record<string, string>>,
  name: string,
): string | undefined {
  const exact = settings[name];
  if (exact !== undefined) return exact;
  const wanted = plainName(name);
  return Object.entries(settings).find(([one]) => plainName(one) === wanted)?.[1];
}

const plainName = (name: string): string => name.replaceAll('__', ':').toLowerCase();

/** Replaces each `%NAME%` by the setting of that name; a name that has none goes to `missing`. */
export function resolveSettings(
  text: string,
  settings: Readonly<Record<string, string>>,
  missing: (name: string) => never | void = (name) => {
    throw new Error(`'%${name}%' does not resolve to a setting`);
  },
): string {
  return text.replace(/%([^%]+)%/g, (whole, name: string) => {
    const value = settingOf(settings, name);
    if (value === undefined) missing(name);
    return value ?? whole;
  });
}

function merge(left: Json, right: Json): Json {
  const merged: Record<string, unknown> = { ...left };
  for (const [given, value] of Object.entries(right)) {
    const name =
      Object.keys(merged).find((one) => one.toLowerCase() === given.toLowerCase()) ?? given;
    const before = merged[name];
    if (Array.isArray(before) && isObject(value))
      merged[name] = Object.values(merge({ ...before }, value));
    else merged[name] = isObject(before) && isObject(value) ? merge(before, value) : value;
  }
  return merged;
}
