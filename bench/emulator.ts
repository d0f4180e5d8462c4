/**
 * What an event costs the emulator, log on disk: CPU time of its own process for each event in and
 * out, with SDK clients in another process (this one).
 *
 * npm run bench:emulator -- [events]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  earliestEventPosition,
  EventHubConsumerClient,
  EventHubProducerClient,
} from '@azure/event-hubs';
import { startEmulatorProcess, type EmulatorProcess } from '../local/event-hubs/process';
import { machineLine, median } from './machine';

const rounds = 3;
const eventsPerSend = 500;
const sendsInFlight = 4;

interface Cost {
  readonly cpuMicrosecondsPerEvent: number;
  readonly eventsPerSecond: number;
}

async function cpuMicroseconds(emulator: EmulatorProcess): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${emulator.controlPort}/hubs`);
  const { cpu } = (await response.json()) as { cpu: { user: number; system: number } };
  return cpu.user + cpu.system;
}

async function measure(
  emulator: EmulatorProcess,
  events: number,
  work: () => Promise<void>,
): Promise<Cost> {
  const cpuBefore = await cpuMicroseconds(emulator);
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (await cpuMicroseconds(emulator)) - cpuBefore;
  return { cpuMicrosecondsPerEvent: cpu / events, eventsPerSecond: events / seconds };
}

async function send(
  connectionString: string,
  hub: string,
  events: number,
  bytes: number,
): Promise<void> {
  const producer = new EventHubProducerClient(connectionString, hub);
  const body = Buffer.alloc(bytes, 'x');
  let left = Math.ceil(events / eventsPerSend);
  await Promise.all(
    Array.from({ length: sendsInFlight }, async () => {
      while (left > 0) {
        left -= 1;
        const batch = await producer.createBatch({ partitionId: '0' });
        for (let index = 0; index < eventsPerSend; index += 1) batch.tryAdd({ body });
        await producer.sendBatch(batch);
      }
    }),
  );
  await producer.close();
}

async function receive(connectionString: string, hub: string, events: number): Promise<void> {
  const consumer = new EventHubConsumerClient('$Default', connectionString, hub);
  let seen = 0;
  await new Promise<void>((resolve, reject) => {
    consumer.subscribe(
      '0',
      {
        processEvents: async (batch) => {
          seen += batch.length;
          if (seen >= events) resolve();
        },
        processError: async (error) => reject(error),
      },
      {
        startPosition: earliestEventPosition,
        maxBatchSize: 1_000,
        prefetchCount: 3_000,
        skipParsingBodyAsJson: true,
      },
    );
  });
  await consumer.close();
}

async function main(): Promise<void> {
  const events = Number(process.argv[2] ?? 100_000);
  console.log(machineLine(0));
  console.log(`${events} events a round, one partition, log on disk, median of ${rounds} rounds`);
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-emulator-'));
  const names = [256, 1024].flatMap((bytes) =>
    Array.from({ length: rounds }, (_, round) => ({ bytes, name: `hub-${bytes}-${round}` })),
  );
  const Entities = names.map(({ name }) => ({ Name: name, PartitionCount: 1 }));
  const config = join(directory, 'config.json');
  writeFileSync(config, JSON.stringify({ UserConfig: { NamespaceConfig: [{ Entities }] } }));
  const emulator = await startEmulatorProcess({ dataDirectory: join(directory, 'hubs'), config });
  try {
    for (const bytes of [256, 1024]) {
      const costs: { sent: Cost; received: Cost }[] = [];
      for (const { name } of names.filter((one) => one.bytes === bytes)) {
        const { connectionString } = emulator;
        const sent = await measure(emulator, events, () =>
          send(connectionString, name, events, bytes),
        );
        const received = await measure(emulator, events, () =>
          receive(connectionString, name, events),
        );
        costs.push({ sent, received });
      }
      for (const way of ['sent', 'received'] as const) {
        const cpu = median(costs.map((cost) => cost[way].cpuMicrosecondsPerEvent));
        const rate = median(costs.map((cost) => cost[way].eventsPerSecond));
        console.log(
          `${String(bytes).padStart(5)} B ${way === 'sent' ? 'in ' : 'out'}  ${cpu.toFixed(1).padStart(6)} µs of emulator CPU per event   ${Math.round(rate)} events/s`,
        );
      }
    }
  } finally {
    await emulator.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

void main();
