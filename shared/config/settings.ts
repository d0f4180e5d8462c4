import { choice, compileSettings, integer, optionalText, text, type Compiled } from './spec';

/** Every setting of the function app. */
export const settingsSpec = {
  hubConnectionString: optionalText({
    environment: 'EventHubConnection',
    description: 'Event Hubs connection string (the emulator); in Azure leave it out',
  }),
  hubNamespace: optionalText({
    environment: 'EventHubConnection__fullyQualifiedNamespace',
    description: 'Event Hubs namespace, reached with the managed identity',
  }),
  storageConnectionString: optionalText({
    environment: 'LakeStorage',
    description: 'Storage connection string (Azurite); in Azure leave it out',
  }),
  storageUri: optionalText({
    environment: 'LakeStorage__blobServiceUri',
    description: 'Blob endpoint of lake and commit logs, reached with the managed identity',
  }),
  hostStorageConnectionString: optionalText({
    environment: 'AzureWebJobsStorage',
    description: 'Storage of the Functions host (Azurite); in Azure leave it out',
  }),
  hostStorageAccount: optionalText({
    environment: 'AzureWebJobsStorage__accountName',
    description: 'Storage account of the Functions host, reached with the managed identity',
  }),
  hostStorageUri: optionalText({
    environment: 'AzureWebJobsStorage__blobServiceUri',
    description: 'Its blob endpoint, where that does not follow from the name of the account',
  }),
  topologies: optionalText({
    environment: 'MILLRACE_TOPOLOGIES',
    description: 'Topologies that this app runs, by name with commas between; default: all',
  }),
  commitContainer: text({
    environment: 'MILLRACE_COMMIT_CONTAINER',
    description: 'Container of commit logs and snapshots',
    default: 'millrace',
  }),
  lakeContainer: text({
    environment: 'MILLRACE_LAKE_CONTAINER',
    description: 'Container of the lake tables',
    default: 'lake',
  }),
  flushRowsMax: integer({
    environment: 'MILLRACE_FLUSH_ROWS_MAX',
    description:
      'Rows of one task that are gathered before a file is written; 0: as the table says',
    minimum: 0,
    maximum: 5_000_000,
    default: 0,
  }),
  flushAgeMaxMs: integer({
    environment: 'MILLRACE_FLUSH_AGE_MAX_MS',
    description: 'Age of gathered rows at which a file is written; 0: as the table says',
    minimum: 0,
    maximum: 86_400_000,
    default: 0,
  }),
  tendIntervalMs: integer({
    environment: 'MILLRACE_TEND_INTERVAL_MS',
    description: 'How often a worker looks after the tasks it holds',
    minimum: 100,
    maximum: 3_600_000,
    default: 2_000,
  }),
  stallAfterMs: integer({
    environment: 'MILLRACE_STALL_AFTER_MS',
    description: 'Input waiting this long without a commit is read from the hub itself',
    minimum: 100,
    maximum: 3_600_000,
    default: 15_000,
  }),
  claimEveryMs: integer({
    environment: 'MILLRACE_CLAIM_EVERY_MS',
    description:
      'How often idle source partitions are claimed: what one adds to the delay of results, at most',
    minimum: 100,
    maximum: 3_600_000,
    default: 5_000,
  }),
  maxDriftMs: integer({
    environment: 'MILLRACE_MAX_DRIFT_MS',
    description:
      'Event time that a source partition with a backlog may be ahead of the slowest before it waits; 0: no limit',
    minimum: 0,
    maximum: 1_000_000_000_000,
    default: 3_600_000,
  }),
  hubCheckIntervalMs: integer({
    environment: 'MILLRACE_HUB_CHECK_INTERVAL_MS',
    description: 'How often a worker asks whether a hub was recreated',
    minimum: 100,
    maximum: 3_600_000,
    default: 10_000,
  }),
  logBlocksMax: integer({
    environment: 'MILLRACE_LOG_BLOCKS_MAX',
    description: 'Commits in one generation of a log before it rolls (the service stops at 50,000)',
    minimum: 4,
    maximum: 49_000,
    default: 40_000,
  }),
  stateBytesMax: integer({
    environment: 'MILLRACE_STATE_BYTES_MAX',
    description:
      'Encoded state of one task: a commit that would pass it is refused, the task halts',
    minimum: 1_000,
    maximum: 8_000_000_000,
    default: 500_000_000,
  }),
  workerStateBytesMax: integer({
    environment: 'MILLRACE_WORKER_STATE_BYTES_MAX',
    description:
      'Memory that the state of all tasks of one worker may take; 0: half of what its heap may grow to',
    minimum: 0,
    maximum: 64_000_000_000,
    default: 0,
  }),
  supervisor: choice({
    environment: 'MILLRACE_SUPERVISOR',
    description:
      'Who looks after tasks that no worker holds: a plain timer, or the Durable orchestration',
    words: ['timer', 'durable'],
    default: 'timer',
  }),
  supervisorPeriodMs: integer({
    environment: 'MILLRACE_SUPERVISOR_PERIOD_MS',
    description: 'From one survey of all tasks to the next',
    minimum: 500,
    maximum: 3_600_000,
    default: 15_000,
  }),
  faultPoint: optionalText({
    environment: 'MILLRACE_FAULT_POINT',
    description: 'Tests only, in the Development environment: where this process kills itself',
  }),
  faultToken: optionalText({
    environment: 'MILLRACE_FAULT_TOKEN',
    description: 'Tests only: the file whose removal makes a fault happen once',
  }),
  hostEnvironment: text({
    environment: 'AZURE_FUNCTIONS_ENVIRONMENT',
    description: 'Set by the host: Development on a laptop',
    default: 'Production',
  }),
};

export type AppSettings = Compiled<typeof settingsSpec>;

export function compileAppSettings(
  environment: Readonly<Record<string, string | undefined>>,
): AppSettings {
  return compileSettings(settingsSpec, environment);
}
