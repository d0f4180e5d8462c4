import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** host.json as far as this host acts on it, with the real host's defaults. */
export interface HostSettings {
  readonly functionTimeoutMs: number;
  readonly routePrefix: string;
  readonly eventHubs: {
    readonly maxEventBatchSize: number;
    readonly minEventBatchSize: number;
    readonly maxWaitTimeMs: number;
    readonly prefetchCount: number;
    readonly batchCheckpointFrequency: number;
    readonly initialOffset: 'fromStart' | 'fromEnd' | { readonly enqueuedTimeUtc: Date };
  };
}

export class InvalidSettings extends Error {
  readonly faults: readonly string[];

  constructor(file: string, faults: readonly string[]) {
    super(`${file} is not valid:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
    this.faults = faults;
  }
}

type Json = Readonly<Record<string, unknown>>;

/** Reads host.json with overrides merged in; all faults are reported together. */
export function readHostSettings(appDirectory: string, overrides: Json = {}): HostSettings {
  const host = merge(readJson(join(appDirectory, 'host.json')), overrides);
  const faults: string[] = [];
  if (host['version'] !== '2.0') faults.push('version: must be "2.0"');
  const hubs = section(host, 'extensions', 'eventHubs');
  const http = section(host, 'extensions', 'http');
  const whole = (name: string, minimum: number, fallback: number): number => {
    const value = hubs[name] ?? fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value >= minimum) return value;
    faults.push(`extensions.eventHubs.${name}: must be a whole number of at least ${minimum}`);
    return fallback;
  };
  const maxEventBatchSize = whole('maxEventBatchSize', 1, 100);
  const minEventBatchSize = whole('minEventBatchSize', 1, 1);
  if (minEventBatchSize > maxEventBatchSize) {
    faults.push('extensions.eventHubs.minEventBatchSize: must not be above maxEventBatchSize');
  }
  const settings: HostSettings = {
    functionTimeoutMs: span(host['functionTimeout'] ?? '00:30:00', 'functionTimeout', faults),
    routePrefix: typeof http['routePrefix'] === 'string' ? http['routePrefix'] : 'api',
    eventHubs: {
      maxEventBatchSize,
      minEventBatchSize,
      maxWaitTimeMs: span(
        hubs['maxWaitTime'] ?? '00:01:00',
        'extensions.eventHubs.maxWaitTime',
        faults,
      ),
      prefetchCount: whole('prefetchCount', 1, 300),
      batchCheckpointFrequency: whole('batchCheckpointFrequency', 1, 1),
      initialOffset: initialOffset(section(hubs, 'initialOffsetOptions'), faults),
    },
  };
  if (faults.length > 0) throw new InvalidSettings(join(appDirectory, 'host.json'), faults);
  return settings;
}

/** Values of local.settings.json under those given. */
export function readAppSettings(
  appDirectory: string,
  overrides: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const file = join(appDirectory, 'local.settings.json');
  const values = existsSync(file) ? (readJson(file)['Values'] ?? {}) : {};
  const faults = Object.entries(values as Json)
    .filter(([, value]) => typeof value !== 'string')
    .map(([name]) => `Values.${name}: must be a string`);
  if (faults.length > 0) throw new InvalidSettings(file, faults);
  return { ...(values as Record<string, string>), ...overrides };
}

/** Replaces each `%NAME%` by the setting of that name. */
export function resolveSettings(text: string, settings: Readonly<Record<string, string>>): string {
  return text.replace(/%([^%]+)%/g, (_whole, name: string) => {
    const value = settings[name];
    if (value === undefined) throw new Error(`'%${name}%' does not resolve to a setting`);
    return value;
  });
}

function initialOffset(
  options: Json,
  faults: string[],
): HostSettings['eventHubs']['initialOffset'] {
  const type = String(options['type'] ?? 'fromStart').toLowerCase();
  if (type === 'fromstart') return 'fromStart';
  if (type === 'fromend') return 'fromEnd';
  const time = new Date(String(options['enqueuedTimeUtc']));
  if (type === 'fromenqueuedtime' && !Number.isNaN(time.getTime()))
    return { enqueuedTimeUtc: time };
  faults.push(
    'extensions.eventHubs.initialOffsetOptions: type must be fromStart, fromEnd or fromEnqueuedTime with enqueuedTimeUtc',
  );
  return 'fromStart';
}

/** [d.]hh:mm:ss[.fff] as milliseconds. */
export function parseTimeSpan(text: string): number | null {
  const match = /^(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d+)?)$/.exec(text);
  if (match === null) return null;
  const [, days = '0', hours = '0', minutes = '0', seconds = '0'] = match;
  return (
    (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000
  );
}

function span(value: unknown, path: string, faults: string[]): number {
  const milliseconds = typeof value === 'string' ? parseTimeSpan(value) : null;
  if (milliseconds !== null) return milliseconds;
  faults.push(`${path}: must be a time span such as "00:05:00"`);
  return 0;
}

function section(value: Json, ...path: readonly string[]): Json {
  let at: unknown = value;
  for (const name of path) at = (at as Json | undefined)?.[name];
  return typeof at === 'object' && at !== null ? (at as Json) : {};
}

function merge(left: Json, right: Json): Json {
  const merged: Record<string, unknown> = { ...left };
  for (const [name, value] of Object.entries(right)) {
    const before = merged[name];
    const areObjects = isObject(before) && isObject(value);
    merged[name] = areObjects ? merge(before, value) : value;
  }
  return merged;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readJson(file: string): Json {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Json;
  } catch (error) {
    throw new InvalidSettings(file, [(error as Error).message]);
  }
}
