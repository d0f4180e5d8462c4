/* eslint-disable @typescript-eslint/no-explicit-any -- what apps note has a shape each test knows */
/** Fixture apps in real worker processes, with the emulator and Azurite in processes of their own. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { EventHubProducerClient } from '@azure/event-hubs';
import { ContainerClient } from '@azure/storage-blob';
import type { EmulatorProcess } from '../../../local/event-hubs/process';
import { startAzurite, startEmulatorProcess, startFunctionsHost } from '../../support/built';
import type { FunctionsHost, FunctionsHostOptions } from '../../../local/functions-host';
import type { Azurite } from '../../../local/storage';

const repository = resolve(__dirname, '../../..');

/** Short enough for tests; the rules are the same. */
const quickLeases = {
  partitionOwnershipExpirationIntervalMs: 3_000,
  loadBalancingUpdateIntervalMs: 300,
};

export interface Place {
  readonly azurite: Azurite;
  readonly emulator: EmulatorProcess;
  readonly folder: string;
  close(): Promise<void>;
}

/** Storage and hubs for a file of tests. */
export async function startPlace(hubs: Readonly<Record<string, number>> = {}): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-host-'));
  const entities = Object.entries(hubs).map(([Name, PartitionCount]) => ({
    ...{ Name, PartitionCount },
    ConsumerGroups: [{ Name: 'readers' }],
  }));
  const config = join(folder, 'config.json');
  const NamespaceConfig = [{ Type: 'EventHub', Name: 'emulatorNs1', Entities: entities }];
  writeFileSync(config, JSON.stringify({ UserConfig: { NamespaceConfig } }));
  const azurite = await startAzurite();
  const emulator = await startEmulatorProcess({ dataDirectory: join(folder, 'hubs'), config });
  return {
    ...{ azurite, emulator, folder },
    close: async () => {
      await emulator.close();
      await azurite.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A copy of a fixture app where its packages are found; `files` replaces or adds. */
export function appFolder(name: string, files: Readonly<Record<string, string>> = {}): string {
  const parent = join(repository, 'dist', 'test-apps');
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, `${name}-`));
  cpSync(join(__dirname, 'apps', name), folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return folder;
}

/** One host of a fixture app: what it logged and what its functions noted. */
export class Run {
  readonly host: FunctionsHost;
  readonly lines: string[];
  readonly #notes: string;
  readonly #folder: string;

  constructor(options: { host: FunctionsHost; lines: string[]; notes: string; folder: string }) {
    this.host = options.host;
    this.lines = options.lines;
    this.#notes = options.notes;
    this.#folder = options.folder;
  }

  /** What the app noted (`note(...)` of its file), in order. */
  notes<Note = Record<string, any>>(): Note[] {
    if (!existsSync(this.#notes)) return [];
    return readFileSync(this.#notes, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Note);
  }

  async close(): Promise<void> {
    await this.host.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

let runs = 0;

export async function startRun(
  place: Pick<Place, 'folder'> & Partial<Place>,
  app: string,
  options: Partial<FunctionsHostOptions> & { readonly files?: Record<string, string> } = {},
): Promise<Run> {
  runs += 1;
  const { files, settings, ...rest } = options;
  const folder = appFolder(app, files);
  const notes = join(place.folder, `notes-${runs}.ndjson`);
  const lines: string[] = [];
  const host = await startFunctionsHost({
    appDirectory: folder,
    workers: 1,
    httpPort: 0,
    leases: quickLeases,
    log: (line) => lines.push(line),
    ...rest,
    settings: {
      NOTES: notes,
      ...(place.azurite && { AzureWebJobsStorage: place.azurite.connectionString }),
      ...(place.emulator && { Hubs: place.emulator.connectionString }),
      ...settings,
    },
  });
  return new Run({ host, lines, notes, folder });
}

/** A body that the test knows the shape of. */
export const jsonOf = (response: Response): Promise<any> => response.json() as Promise<any>;

/** Waits for a condition, which says by returning something that it is met. */
export async function until<Found>(
  what: string,
  look: () => Found | Promise<Found>,
  timeoutMs = 40_000,
): Promise<NonNullable<Exclude<Found, false>>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found) return found as NonNullable<Exclude<Found, false>>;
    if (Date.now() > deadline) throw new Error(`it never came to this: ${what}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((wake) => setTimeout(wake, milliseconds));

/** Sends texts to one partition, in one batch, so that they arrive together. */
export async function send(
  place: Place,
  hub: string,
  partitionId: string,
  events: readonly (string | { body: unknown; properties?: Record<string, unknown> })[],
): Promise<void> {
  const producer = new EventHubProducerClient(place.emulator.connectionString, hub);
  try {
    await producer.sendBatch(
      events.map((event) => {
        const { body, ...others } = typeof event === 'string' ? { body: event } : event;
        return { ...others, body: typeof body === 'string' ? Buffer.from(body) : body };
      }),
      { partitionId },
    );
  } finally {
    await producer.close();
  }
}

/** Blobs of the extension's container under a hub, by name, with their metadata. */
export async function hubBlobs(
  place: Place,
  hub: string,
): Promise<Record<string, Record<string, string>>> {
  const container = new ContainerClient(place.azurite.connectionString, 'azure-webjobs-eventhub');
  const found: Record<string, Record<string, string>> = {};
  for await (const blob of container.listBlobsFlat({ includeMetadata: true })) {
    if (blob.name.includes(`/${hub}/`)) found[blob.name] = blob.metadata ?? {};
  }
  return found;
}

/** Sequence number of a partition's checkpoint; null: there is none. */
export async function checkpointOf(
  place: Place,
  hub: string,
  partitionId: string,
): Promise<number | null> {
  const blobs = await hubBlobs(place, hub);
  const name = Object.keys(blobs).find((one) => one.endsWith(`/checkpoint/${partitionId}`));
  return name === undefined ? null : Number(blobs[name]?.['sequencenumber']);
}
