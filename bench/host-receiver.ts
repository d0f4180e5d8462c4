/**
 * What receiving an event costs the local Functions host: CPU of a process that does nothing else, with
 * the host's own reader and with the JS SDK's EventHubConsumerClient, in turns, from the same hub.
 * Emulator and Azurite are processes of their own.
 *
 *   npm run bench:host-receiver -- [events a round] [body bytes] [folder for CPU profiles]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  earliestEventPosition,
  EventHubConsumerClient,
  EventHubProducerClient,
} from '@azure/event-hubs';
import { BlobCheckpointStore } from '@azure/eventhubs-checkpointstore-blob';
import { ContainerClient } from '@azure/storage-blob';
import { startAzurite, startEmulatorProcess } from '../test/support/built';
import { EventProcessor } from '../local/functions-host/hub-reading/event-processor';
import { machineLine, median } from './machine';

const rounds = 3;
const partitionCount = 4;
const eventsPerSend = 500;
const hub = 'receiving';
const batch = { maxBatchSize: 1_000, prefetchCount: 3_000 };

interface Task {
  readonly reader: Reader;
  readonly connectionString: string;
  readonly storage: string;
  readonly events: number;
}
type Reader = 'own' | 'sdk';

interface Cost {
  readonly cpuMicrosecondsPerEvent: number;
  readonly eventsPerSecond: number;
}

/** From the first batch to the last: connecting and claiming are not what is measured. */
async function measured(task: Task): Promise<Cost> {
  const container = new ContainerClient(task.storage, `bench-${process.pid}`);
  await container.create();
  const checkpointStore = new BlobCheckpointStore(container);
  let seen = 0;
  let before: {
    readonly cpu: NodeJS.CpuUsage;
    readonly atMs: number;
    readonly seen: number;
  } | null = null;
  const cost = await new Promise<Cost>((resolve, reject) => {
    const take = (events: number): void => {
      seen += events;
      before ??= { cpu: process.cpuUsage(), atMs: performance.now(), seen };
      if (seen < task.events) return;
      const { system, user } = process.cpuUsage(before.cpu);
      const counted = seen - before.seen;
      resolve({
        cpuMicrosecondsPerEvent: (user + system) / counted,
        eventsPerSecond: counted / ((performance.now() - before.atMs) / 1000),
      });
    };
    if (task.reader === 'own') readOwn(task, checkpointStore, take);
    else readSdk(task, checkpointStore, take, reject);
  });
  return cost;
}

function readOwn(
  { connectionString }: Task,
  checkpointStore: BlobCheckpointStore,
  take: (events: number) => void,
): void {
  new EventProcessor(
    {
      connectionString,
      eventHubName: hub,
      consumerGroup: '$Default',
      checkpointStore,
      ...batch,
      startPosition: 'start',
      loadBalancingUpdateIntervalMs: 10_000,
      partitionOwnershipExpirationIntervalMs: 60_000,
      retry: { isFixed: false, maxRetries: 5, delayMs: 200, maxDelayMs: 2_000 },
      timeoutMs: 60_000,
    },
    {
      processInitialize: async () => undefined,
      processEvents: async (events) => take(events.length),
      processClose: () => undefined,
      processError: (error) => console.error(error.message),
    },
  ).start();
}

function readSdk(
  { connectionString }: Task,
  checkpointStore: BlobCheckpointStore,
  take: (events: number) => void,
  reject: (error: Error) => void,
): void {
  new EventHubConsumerClient('$Default', connectionString, hub, checkpointStore, {
    loadBalancingOptions: { strategy: 'greedy' },
  }).subscribe(
    {
      processEvents: async (events) => take(events.length),
      processError: async (error) => reject(error),
    },
    { startPosition: earliestEventPosition, skipParsingBodyAsJson: true, ...batch },
  );
}

function inProcess(task: Task, profiles: string | undefined): Cost {
  const flags = ['--max-semi-space-size=32'];
  if (profiles !== undefined) {
    flags.push('--cpu-prof', `--cpu-prof-dir=${join(profiles, task.reader)}`);
  }
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [...flags, __filename, JSON.stringify(task)],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`the ${task.reader} reader ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as Cost;
}

async function fill(connectionString: string, events: number, bytes: number): Promise<void> {
  const producer = new EventHubProducerClient(connectionString, hub);
  const body = Buffer.alloc(bytes, 'x');
  await Promise.all(
    Array.from({ length: partitionCount }, async (_, partition) => {
      for (let left = events / partitionCount; left > 0; left -= eventsPerSend) {
        const sending = await producer.createBatch({ partitionId: String(partition) });
        for (let index = 0; index < Math.min(left, eventsPerSend); index += 1) {
          sending.tryAdd({ body });
        }
        await producer.sendBatch(sending);
      }
    }),
  );
  await producer.close();
}

async function main(): Promise<void> {
  const asked = Number(process.argv[2] ?? 200_000);
  const events = asked - (asked % partitionCount);
  const bytes = Number(process.argv[3] ?? 256);
  console.log(machineLine(0));
  console.log(
    `${events} events of ${bytes} B, ${partitionCount} partitions, ${rounds} rounds each in turns`,
  );
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-receiver-'));
  const config = join(directory, 'config.json');
  const Entities = [{ Name: hub, PartitionCount: partitionCount }];
  writeFileSync(config, JSON.stringify({ UserConfig: { NamespaceConfig: [{ Entities }] } }));
  const emulator = await startEmulatorProcess({ dataDirectory: join(directory, 'hubs'), config });
  const azurite = await startAzurite();
  try {
    await fill(emulator.connectionString, events, bytes);
    const costs: Record<Reader, Cost[]> = { sdk: [], own: [] };
    for (let round = 0; round < rounds; round += 1) {
      for (const reader of ['sdk', 'own'] as const) {
        const task: Task = {
          reader,
          connectionString: emulator.connectionString,
          storage: azurite.connectionString,
          events,
        };
        costs[reader].push(inProcess(task, process.argv[4]));
      }
    }
    for (const reader of ['sdk', 'own'] as const) {
      const cpu = costs[reader].map((cost) => cost.cpuMicrosecondsPerEvent);
      const rate = median(costs[reader].map((cost) => cost.eventsPerSecond));
      const name = reader === 'own' ? 'the host’s own reader' : 'EventHubConsumerClient';
      console.log(
        `${name.padEnd(24)} ${median(cpu).toFixed(1).padStart(6)} µs of CPU per event (${cpu.map((one) => one.toFixed(1)).join(', ')})   ${Math.round(rate)} events/s`,
      );
    }
  } finally {
    await emulator.close();
    await azurite.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const task = process.argv[2] ?? '';
if (task.startsWith('{')) {
  void measured(JSON.parse(task) as Task).then((cost) => {
    console.log(JSON.stringify(cost));
    // Nothing is given back: the process ends, and its container is its own.
    process.exit(0);
  });
} else {
  void main();
}
