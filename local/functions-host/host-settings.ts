import { readDurableSettings, type DurableSettings } from '../durable-task/settings';
import { isObject, type Fault, type Json } from '../settings/json-file';
import type { RetryPolicy } from './retry';
import { SettingReader } from '../settings/setting-reader';
import type { SequenceNumberForm } from './trigger-metadata';

export interface EventHubsSettings {
  readonly maxEventBatchSize: number;
  readonly minEventBatchSize: number;
  readonly maxWaitTimeMs: number;
  readonly prefetchCount: number;
  readonly batchCheckpointFrequency: number;
  /** Events per instance that target-based scaling aims at. */
  readonly targetUnprocessedEventThreshold: number;
  readonly trackLastEnqueuedEventProperties: boolean;
  readonly partitionOwnershipExpirationIntervalMs: number;
  readonly loadBalancingUpdateIntervalMs: number;
  /** Where a partition without a checkpoint begins; the time is an ISO text. */
  readonly initialOffset: 'fromStart' | 'fromEnd' | { readonly enqueuedTimeUtc: string };
  readonly clientRetryOptions: {
    readonly mode: number;
    readonly maxRetries: number;
    readonly retryDelayInMs: number;
    readonly maxRetryDelayInMs: number;
    readonly timeoutInMs: number;
  };
  readonly sequenceNumberForm: SequenceNumberForm;
}

/** host.json as far as this host acts on it, with the real host's defaults. */
export interface HostSettings {
  /** The only functions that are loaded, by name in any case; null: all. */
  readonly functions: readonly string[] | null;
  /** Infinity: host.json says -1. */
  readonly functionTimeoutMs: number;
  readonly routePrefix: string;
  /** Added to every answer of an HTTP function. */
  readonly customHeaders: Readonly<Record<string, string>>;
  /** For functions without a policy of their own. */
  readonly retry: RetryPolicy | null;
  readonly eventHubs: EventHubsSettings;
  readonly durableTask: DurableSettings;
}

const hostNames = [
  ...['$schema', 'version', 'aggregator', 'concurrency', 'customHandler', 'extensionBundle'],
  ...['extensions', 'functions', 'functionTimeout', 'healthMonitor', 'logging', 'retry'],
  ...[
    'managedDependency',
    'managedDependencies',
    'sendCanceledInvocationsToWorker',
    'singleton',
    'telemetryMode',
    'watchDirectories',
    'watchFiles',
  ],
];
const httpNames = [
  ...['routePrefix', 'customHeaders', 'dynamicThrottlesEnabled', 'hsts'],
  ...['maxConcurrentRequests', 'maxOutstandingRequests'],
];
const hubNames = [
  ...['maxEventBatchSize', 'minEventBatchSize', 'maxWaitTime', 'prefetchCount'],
  ...['batchCheckpointFrequency', 'initialOffsetOptions', 'targetUnprocessedEventThreshold'],
  ...['partitionOwnershipExpirationInterval', 'loadBalancingUpdateInterval', 'transportType'],
  ...[
    'trackLastEnqueuedEventProperties',
    'clientRetryOptions',
    'webProxy',
    'customEndpointAddress',
  ],
  ...['enableCheckpointing', 'checkpointContainer'],
];

/** Compiles a parsed host.json; what is wrong with it goes into `faults`. */
export function compileHostSettings(host: Json, file: string, faults: Fault[]): HostSettings {
  const reader = new SettingReader(host, { file, path: '', faults });
  reader.onlyKnows(hostNames);
  if (reader.raw('version') !== '2.0') reader.fault('version', 'must be "2.0"');
  const extensions = reader.section('extensions');
  const http = extensions.section('http');
  http.onlyKnows(httpNames);
  // Read for what is wrong with them alone.
  http.flag('dynamicThrottlesEnabled', false);
  http.whole('maxConcurrentRequests', { min: -1, fallback: -1 });
  http.whole('maxOutstandingRequests', { min: -1, fallback: -1 });
  return {
    functions: reader.texts('functions'),
    functionTimeoutMs:
      String(reader.raw('functionTimeout')) === '-1'
        ? Number.POSITIVE_INFINITY
        : timeoutMsOf(reader),
    routePrefix: http.text('routePrefix', 'api').replace(/^\/+|\/+$/g, ''),
    customHeaders: headersOf(http),
    retry: reader.has('retry') ? retryOf(reader.section('retry')) : null,
    eventHubs: eventHubsOf(extensions.section('eventHubs')),
    durableTask: readDurableSettings(extensions.section('durableTask')),
  };
}

function timeoutMsOf(host: SettingReader): number {
  const timeoutMs = host.span('functionTimeout', 30 * 60_000);
  if (timeoutMs === 0) host.fault('functionTimeout', 'must be longer than no time at all');
  return timeoutMs;
}

function eventHubsOf(hubs: SettingReader): EventHubsSettings {
  hubs.onlyKnows(hubNames);
  const maxEventBatchSize = hubs.whole('maxEventBatchSize', { min: 1, fallback: 100 });
  const minEventBatchSize = hubs.whole('minEventBatchSize', { min: 1, fallback: 1 });
  if (minEventBatchSize > maxEventBatchSize) {
    hubs.fault('minEventBatchSize', `must not be above maxEventBatchSize (${maxEventBatchSize})`);
  }
  hubs.choice('transportType', ['amqpTcp'], 'amqpTcp');
  if (hubs.raw('enableCheckpointing') === false) {
    hubs.fault('enableCheckpointing', 'this host always checkpoints: take the line out');
  }
  const retry = hubs.section('clientRetryOptions');
  retry.onlyKnows(['mode', 'tryTimeout', 'delay', 'maximumDelay', 'maximumRetries']);
  return {
    maxEventBatchSize,
    minEventBatchSize,
    maxWaitTimeMs: hubs.span('maxWaitTime', 60_000, 600_000),
    prefetchCount: hubs.whole('prefetchCount', { min: 0, fallback: 300 }),
    batchCheckpointFrequency: hubs.whole('batchCheckpointFrequency', { min: 1, fallback: 1 }),
    targetUnprocessedEventThreshold: hubs.whole('targetUnprocessedEventThreshold', {
      min: 1,
      fallback: maxEventBatchSize,
    }),
    trackLastEnqueuedEventProperties: hubs.flag('trackLastEnqueuedEventProperties', false),
    partitionOwnershipExpirationIntervalMs: hubs.span(
      'partitionOwnershipExpirationInterval',
      120_000,
    ),
    loadBalancingUpdateIntervalMs: hubs.span('loadBalancingUpdateInterval', 30_000),
    initialOffset: initialOffsetOf(hubs.section('initialOffsetOptions')),
    clientRetryOptions: {
      // The SDK's enumeration: exponential is 0, fixed is 1.
      mode: retry.choice('mode', ['exponential', 'fixed'], 'exponential') === 'fixed' ? 1 : 0,
      maxRetries: retry.whole('maximumRetries', { min: 0, max: 100, fallback: 5 }),
      retryDelayInMs: retry.span('delay', 200),
      maxRetryDelayInMs: retry.span('maximumDelay', 2_000),
      timeoutInMs: retry.span('tryTimeout', 60_000),
    },
    sequenceNumberForm: 'number',
  };
}

function initialOffsetOf(options: SettingReader): EventHubsSettings['initialOffset'] {
  options.onlyKnows(['type', 'enqueuedTimeUtc']);
  const types = ['fromStart', 'fromEnd', 'fromEnqueuedTime'] as const;
  const type = options.choice('type', types, 'fromStart');
  if (type !== 'fromEnqueuedTime') return type;
  const text = options.text('enqueuedTimeUtc', '');
  const time = new Date(/Z$|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`);
  if (!Number.isNaN(time.getTime())) return { enqueuedTimeUtc: time.toISOString() };
  options.fault(
    'enqueuedTimeUtc',
    `must be a time such as "2026-01-31T12:00:00Z", not ${JSON.stringify(text)}`,
  );
  return 'fromStart';
}

function retryOf(retry: SettingReader): RetryPolicy {
  retry.onlyKnows([
    'strategy',
    'maxRetryCount',
    'delayInterval',
    'minimumInterval',
    'maximumInterval',
  ]);
  const seconds = (name: string): { readonly seconds: number } => {
    if (!retry.has(name)) retry.fault(name, 'is needed for this strategy, as in "00:00:05"');
    return { seconds: Math.round(retry.span(name, 0) / 1000) };
  };
  const strategies = ['fixedDelay', 'exponentialBackoff'] as const;
  const retryStrategy = retry.choice('strategy', strategies, 'fixedDelay');
  const maxRetryCount = retry.whole('maxRetryCount', { min: -1, fallback: 0 });
  return retryStrategy === 'fixedDelay'
    ? { retryStrategy, maxRetryCount, delayInterval: seconds('delayInterval') }
    : {
        retryStrategy,
        maxRetryCount,
        minimumInterval: seconds('minimumInterval'),
        maximumInterval: seconds('maximumInterval'),
      };
}

function headersOf(http: SettingReader): Record<string, string> {
  const headers = http.raw('customHeaders') ?? {};
  const areTexts =
    isObject(headers) && Object.values(headers).every((value) => typeof value === 'string');
  if (areTexts) return headers as Record<string, string>;
  http.fault('customHeaders', 'must be an object of texts');
  return {};
}
