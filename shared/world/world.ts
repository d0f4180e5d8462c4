import type { AppSettings } from '../config/settings';
import { StreamError } from '../model/errors';
import type { Clock, FaultPoint, Randomness, Telemetry } from '../model/ports';
import type { StagePlan } from '../model/program';
import type { TablePlan } from '../model/table';
import type { EventHubReader } from '../adapters/event-hubs';
import { connectReader, connectSender, namespaceHost } from '../adapters/hub-clients';
import {
  heapBytesMax,
  processName,
  systemClock,
  systemRandomness,
} from '../adapters/process-world';
import { BlobAppendStore } from '../adapters/blob-append-store';
import { BlobHostCheckpoints, hostCheckpointContainer } from '../adapters/blob-host-checkpoints';
import { BlobObjectStore } from '../adapters/blob-object-store';
import { connectContainer, type BlobAccount } from '../adapters/blob-container';
import { captureContainer } from '../operations/backfill/capture-file';
import { openLakeTable, type LakeTable } from '../lake/lake-table';
import { tableFolder, tableShape } from '../lake/names';
import { guardedSender, guardedTable } from '../breaker/guarded-sinks';
import { StateBudget } from '../state/state-budget';
import { defaultStageLimits, type StageServices } from '../task/services';
import { lineTelemetry } from '../telemetry/line-telemetry';

/** The concrete world: Azure SDK clients behind the engine's ports. Nothing connects before use. */
export interface World {
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly control: BlobObjectStore;
  readonly appends: BlobAppendStore;
  readonly lake: BlobObjectStore;
  /** What Event Hubs Capture wrote. */
  readonly capture: BlobObjectStore;
  readonly randomness: Randomness;
  /** This process, for records. */
  readonly writer: string;
  sleep(milliseconds: number): Promise<void>;
  /** What every stage is given, apart from its hub. */
  readonly services: Omit<StageServices, 'hub' | 'checkpoints'>;
  servicesOf(plan: StagePlan): StageServices;
  /** Ends the connections to the hubs: a process that ends by itself needs it. */
  close(): Promise<void>;
}

/** @param given telemetry that goes elsewhere than to the console, as lines */
export function createWorld(
  settings: AppSettings,
  faultPoint: FaultPoint,
  given: { readonly telemetry?: Telemetry } = {},
): World {
  const clock = systemClock;
  const randomness = systemRandomness;
  const hubs = { connectionString: settings.hubConnectionString, namespace: settings.hubNamespace };
  const telemetry =
    given.telemetry ??
    lineTelemetry({
      clock,
      minimumLevel: 'info',
      write: (level, line) => (level === 'error' ? console.error(line) : console.log(line)),
    });
  const storage = storageOf(settings);
  const commits = connectContainer({ ...storage, container: settings.commitContainer });
  const lake = connectContainer({ ...storage, container: settings.lakeContainer });
  const control = new BlobObjectStore(commits);
  const lakeObjects = new BlobObjectStore(lake);
  const capture = new BlobObjectStore(
    connectContainer({ ...storage, container: captureContainer }),
  );
  const appends = new BlobAppendStore(commits);
  const writer = processName();
  const breakers = { appends, clock, telemetry, worker: writer };
  const sender = connectSender(hubs);
  const tables = new Map<string, LakeTable>();
  const readers: EventHubReader[] = [];

  function lakeTable(plan: TablePlan): LakeTable {
    const shape = tableShape(plan);
    let table = tables.get(shape);
    if (table === undefined) {
      const opened = openLakeTable({
        ...{ objects: lakeObjects, plan, folder: tableFolder(plan.name) },
        ...{ clock, randomness, telemetry, faultPoint },
      });
      table = guardedTable(opened, plan.name, breakers);
      tables.set(shape, table);
    }
    return table;
  }

  const namespace = namespaceHost(hubs);
  const hostAccount = hostStorageOf(settings);
  const hostContainer =
    hostAccount && connectContainer({ ...hostAccount, container: hostCheckpointContainer });
  const hostCheckpoints = (hub: string, consumerGroup: string): BlobHostCheckpoints | null =>
    namespace && hostContainer
      ? new BlobHostCheckpoints(hostContainer, { namespace, hub, consumerGroup })
      : null;

  const shared = {
    appends,
    objects: control,
    sender: guardedSender(sender, breakers),
    lakeTable,
    clock,
    sleep: (milliseconds: number) => new Promise<void>((done) => setTimeout(done, milliseconds)),
    randomness,
    telemetry,
    faultPoint,
    writer,
    stateBudget: new StateBudget({
      taskBytesMax: settings.stateBytesMax,
      processBytesMax: settings.workerStateBytesMax || Math.floor(heapBytesMax() / 2),
    }),
    limits: {
      ...defaultStageLimits,
      stallAfterMs: settings.stallAfterMs,
      claimEveryMs: settings.claimEveryMs,
      maxDriftMs: settings.maxDriftMs === 0 ? Infinity : settings.maxDriftMs,
      log: { ...defaultStageLimits.log, blocksMax: settings.logBlocksMax },
    },
  };
  return {
    ...{ telemetry, clock, control, appends, randomness, lake: lakeObjects, capture },
    writer,
    sleep: shared.sleep,
    services: shared,
    servicesOf: ({ consumerGroup, input, recoveryConsumerGroup }) => {
      const hub = connectReader(hubs, input.hub, recoveryConsumerGroup);
      readers.push(hub);
      return { ...shared, hub, checkpoints: hostCheckpoints(input.hub, consumerGroup) };
    },
    close: async () => {
      await Promise.all([sender.close(), ...readers.map((reader) => reader.close())]);
    },
  };
}

/** As the host itself reads its settings; null: none is set, as in the command. */
function hostStorageOf(settings: AppSettings): BlobAccount | null {
  const { hostStorageAccount, hostStorageConnectionString, hostStorageUri } = settings;
  if (hostStorageConnectionString !== null)
    return { connectionString: hostStorageConnectionString };
  if (hostStorageUri !== null) return { blobServiceUri: hostStorageUri };
  if (hostStorageAccount === null) return null;
  return { blobServiceUri: `https://${hostStorageAccount}.blob.core.windows.net` };
}

function storageOf(settings: AppSettings): BlobAccount {
  if (settings.storageConnectionString !== null) {
    return { connectionString: settings.storageConnectionString };
  }
  if (settings.storageUri !== null) return { blobServiceUri: settings.storageUri };
  throw new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    'set LakeStorage (a connection string) or LakeStorage__blobServiceUri (managed identity)',
  );
}
