import type { DefaultAzureCredential } from '@azure/identity';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { EventHubConsumerClient, EventHubProducerClient } from '@azure/event-hubs';
import type { AppSettings } from '../shared/config/settings';
import { StreamError } from '../shared/model/errors';
import type { Clock, FaultPoint, Telemetry } from '../shared/model/ports';
import type { StagePlan } from '../shared/model/program';
import type { TablePlan } from '../shared/model/table';
import { EventHubReader, EventHubSender, hubRetryOptions } from '../shared/adapters/event-hubs';
import { BlobAppendStore } from '../shared/adapters/blob-append-store';
import { BlobObjectStore } from '../shared/adapters/blob-object-store';
import { connectContainer } from '../shared/adapters/blob-container';
import { openLakeTable, type LakeTable } from '../shared/lake/lake-table';
import { defaultStageLimits, type StageServices } from '../shared/stage/services';
import { lineTelemetry } from '../shared/telemetry/line-telemetry';

/** The concrete world: Azure SDK clients behind the engine's ports. Nothing connects before use. */
export interface World {
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly control: BlobObjectStore;
  servicesOf(plan: StagePlan): StageServices;
}

export function createWorld(settings: AppSettings, faultPoint: FaultPoint): World {
  const clock: Clock = { nowMs: () => Date.now() };
  const randomness = { uniqueId: () => randomUUID() };
  const telemetry = lineTelemetry({
    clock,
    minimumLevel: 'info',
    write: (level, line) => (level === 'error' ? console.error(line) : console.log(line)),
  });
  const storage = storageOf(settings);
  const commits = connectContainer({ ...storage, container: settings.commitContainer });
  const lake = connectContainer({ ...storage, container: settings.lakeContainer });
  const control = new BlobObjectStore(commits);
  const lakeObjects = new BlobObjectStore(lake);
  const appends = new BlobAppendStore(commits);
  const sender = new EventHubSender((hub) => producerClient(settings, hub));
  const tables = new Map<string, LakeTable>();

  function lakeTable(plan: TablePlan): LakeTable {
    let table = tables.get(plan.name);
    if (table === undefined) {
      table = openLakeTable({
        objects: lakeObjects,
        plan,
        folder: `tables/${plan.name}`,
        clock,
        randomness,
        telemetry,
        faultPoint,
      });
      tables.set(plan.name, table);
    }
    return table;
  }

  const shared = {
    appends,
    objects: control,
    sender,
    lakeTable,
    clock,
    sleep: (milliseconds: number) => new Promise<void>((done) => setTimeout(done, milliseconds)),
    randomness,
    telemetry,
    faultPoint,
    writer: `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`,
    limits: {
      ...defaultStageLimits,
      stallAfterMs: settings.stallAfterMs,
      log: { ...defaultStageLimits.log, blocksMax: settings.logBlocksMax },
    },
  };
  return {
    telemetry,
    clock,
    control,
    servicesOf: (plan) => ({ ...shared, hub: new EventHubReader(consumerClient(settings, plan)) }),
  };
}

function storageOf(
  settings: AppSettings,
): { connectionString: string } | { blobServiceUri: string } {
  if (settings.storageConnectionString !== null) {
    return { connectionString: settings.storageConnectionString };
  }
  if (settings.storageUri !== null) return { blobServiceUri: settings.storageUri };
  throw new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    'set LakeStorage (a connection string) or LakeStorage__blobServiceUri (managed identity)',
  );
}

function consumerClient(settings: AppSettings, plan: StagePlan): EventHubConsumerClient {
  const options = { retryOptions: hubRetryOptions };
  const { recoveryConsumerGroup: consumerGroup, input } = plan;
  if (settings.hubConnectionString !== null) {
    return new EventHubConsumerClient(
      consumerGroup,
      settings.hubConnectionString,
      input.hub,
      options,
    );
  }
  return new EventHubConsumerClient(
    consumerGroup,
    namespaceOf(settings),
    input.hub,
    managedIdentity(),
    options,
  );
}

function producerClient(settings: AppSettings, hub: string): EventHubProducerClient {
  const options = { retryOptions: hubRetryOptions };
  if (settings.hubConnectionString !== null) {
    return new EventHubProducerClient(settings.hubConnectionString, hub, options);
  }
  return new EventHubProducerClient(namespaceOf(settings), hub, managedIdentity(), options);
}

function namespaceOf(settings: AppSettings): string {
  if (settings.hubNamespace !== null) return settings.hubNamespace;
  throw new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    'set EventHubConnection (a connection string) or EventHubConnection__fullyQualifiedNamespace (managed identity)',
  );
}

/** Loaded only where it is needed: it costs a quarter of a second of every cold start. */
function managedIdentity(): DefaultAzureCredential {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- lazily, see above
  const identity = require('@azure/identity') as {
    DefaultAzureCredential: new () => DefaultAzureCredential;
  };
  return new identity.DefaultAzureCredential();
}
