/**
 * The shapes of files that others read: as far as this repository uses them, and nothing besides, so
 * that a misspelt name is found. Sources: the Functions host's host.json reference and Event Hubs
 * extension, the schema of azd's azure.yaml, GitHub's workflow syntax, KEDA's azure-eventhub scaler.
 */
import Schema from 'typebox/schema';

export type JsonSchema = Readonly<Record<string, unknown>>;

const text = { type: 'string', minLength: 1 };
const positive = { type: 'integer', minimum: 1 };
const timeSpan = { type: 'string', pattern: '^\\d{2}:[0-5]\\d:[0-5]\\d$' };
const record = (values: JsonSchema): JsonSchema => ({
  type: 'object',
  additionalProperties: values,
});
/** An object with these properties, all of them but the optional ones, and no others. */
const exact = (properties: JsonSchema, optional: readonly string[] = []): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
});
const logLevel = {
  enum: ['Trace', 'Debug', 'Information', 'Warning', 'Error', 'Critical', 'None'],
};

export const hostJson = exact({
  version: { const: '2.0' },
  functionTimeout: timeSpan,
  logging: exact({
    logLevel: record(logLevel),
    applicationInsights: exact({
      samplingSettings: exact(
        {
          isEnabled: { type: 'boolean' },
          excludedTypes: {
            type: 'string',
            pattern:
              '^(Dependency|Event|Exception|PageView|Request|Trace)(;(Dependency|Event|Exception|PageView|Request|Trace))*$',
          },
          maxTelemetryItemsPerSecond: positive,
        },
        ['maxTelemetryItemsPerSecond'],
      ),
    }),
  }),
  extensionBundle: exact({
    id: { const: 'Microsoft.Azure.Functions.ExtensionBundle' },
    version: { type: 'string', pattern: '^\\[\\d+\\.(\\d+\\.\\d+|\\*), \\d+\\.\\d+\\.\\d+\\)$' },
  }),
  extensions: exact({
    eventHubs: exact(
      {
        maxEventBatchSize: positive,
        minEventBatchSize: positive,
        maxWaitTime: timeSpan,
        prefetchCount: positive,
        batchCheckpointFrequency: positive,
        targetUnprocessedEventThreshold: positive,
        initialOffsetOptions: exact({
          type: { enum: ['fromStart', 'fromEnd', 'fromEnqueuedTime'] },
        }),
      },
      ['minEventBatchSize', 'maxWaitTime'],
    ),
    durableTask: exact(
      {
        // What Azure Storage takes as the beginning of table, queue and container names.
        hubName: { type: 'string', pattern: '^[A-Za-z][A-Za-z0-9]{2,44}$' },
        maxConcurrentActivityFunctions: positive,
        maxConcurrentOrchestratorFunctions: positive,
        storageProvider: { type: 'object' },
      },
      ['storageProvider'],
    ),
  }),
});

/** Values must be texts, and IsEncrypted a boolean: as a text it is not understood. */
export const localSettings = exact(
  { IsEncrypted: { const: false }, Values: record({ type: 'string' }), Host: { type: 'object' } },
  ['Host'],
);

const shell = (name: string): JsonSchema => exact({ shell: { const: name }, run: text });
const hook = exact({ posix: shell('sh'), windows: shell('pwsh') });

export const azureYaml = exact({
  name: { type: 'string', pattern: '^[a-z][a-z0-9-]+$' },
  metadata: exact({ template: text }),
  requiredVersions: exact({ azd: { type: 'string', pattern: '^>= \\d+\\.\\d+\\.\\d+$' } }),
  infra: exact({ provider: { const: 'bicep' }, path: text }),
  services: record(
    exact({
      project: text,
      host: { const: 'function' },
      language: { enum: ['js', 'ts'] },
      remoteBuild: { type: 'boolean' },
    }),
  ),
  hooks: exact({ preprovision: hook, prepackage: hook, postprovision: hook, postdeploy: hook }, []),
});

const step = {
  ...exact(
    {
      name: text,
      id: text,
      uses: text,
      with: { type: 'object' },
      run: text,
      env: record({ type: 'string' }),
      if: text,
    },
    ['name', 'id', 'uses', 'with', 'run', 'env', 'if'],
  ),
  oneOf: [{ required: ['uses'] }, { required: ['run'] }],
};

export const workflow = exact(
  {
    name: text,
    on: { type: 'object', minProperties: 1 },
    permissions: record({ enum: ['read', 'write', 'none'] }),
    concurrency: exact({ group: text, 'cancel-in-progress': { type: 'boolean' } }),
    jobs: record(
      exact(
        {
          name: text,
          'runs-on': text,
          'timeout-minutes': positive,
          environment: text,
          strategy: exact({ 'fail-fast': { type: 'boolean' }, matrix: { type: 'object' } }),
          env: record({ type: 'string' }),
          steps: { type: 'array', minItems: 1, items: step },
        },
        ['name', 'environment', 'strategy', 'env'],
      ),
    ),
  },
  ['concurrency'],
);

/** KEDA takes every value as a text: a bare number is refused. */
export const kedaEventHubMetadata = exact({
  eventHubNamespace: text,
  eventHubName: text,
  consumerGroup: text,
  storageAccountName: text,
  blobContainer: { const: 'azure-webjobs-eventhub' },
  checkpointStrategy: { const: 'blobMetadata' },
  unprocessedEventThreshold: { type: 'string', pattern: '^\\d+$' },
});

export const scaledObject = exact({
  apiVersion: { const: 'keda.sh/v1alpha1' },
  kind: { const: 'ScaledObject' },
  metadata: exact({ name: text }),
  spec: exact({
    scaleTargetRef: exact({ name: text }),
    minReplicaCount: { type: 'integer', minimum: 0 },
    maxReplicaCount: positive,
    cooldownPeriod: positive,
    triggers: {
      type: 'array',
      minItems: 1,
      items: exact({
        type: { const: 'azure-eventhub' },
        authenticationRef: exact({ name: text }),
        metadata: kedaEventHubMetadata,
      }),
    },
  }),
});

/** Where a value has not the shape; empty when it has. */
export function shapeFaults(schema: JsonSchema, value: unknown): string[] {
  const [isRight, errors] = Schema.Errors(schema, value);
  return isRight ? [] : errors.map(({ instancePath, message }) => `${instancePath} ${message}`);
}
