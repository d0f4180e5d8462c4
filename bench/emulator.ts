/**
 * What an event costs the emulator, log on disk: CPU time of its own process for each event in and
 * out, with SDK clients in another process (this one); how much of an SDK receiver's speed the disk
 * takes, against a log in memory (tmpfs) in the same rounds; and the emulator's memory with a backlog.
 *
 * npm run bench:emulator -- [events a round] [events of the backlog]
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  earliestEventPosition,
  EventHubConsumerClient,
  EventHubProducerClient,
} from '@azure/event-hubs';
import type { EmulatorProcess } from '../local/event-hubs/process';
import { startEmulatorProcess } from '../test/support/built';
import { machineLine, median } from './machine';

const rounds = 3;
const eventsPerSend = 500;
const sendsInFlight = 4;

interface Cost {
  readonly cpuMicrosecondsPerEvent: number;
  readonly eventsPerSecond: number;
}

async function usage(
  emulator: EmulatorProcess,
): Promise<{ cpuMicroseconds: number; residentBytes: number }> {
  const response = await fetch(`http://127.0.0.1:${emulator.controlPort}/hubs`);
  const { cpu, residentBytes } = (await response.json()) as {
    cpu: { user: number; system: number };
    residentBytes: number;
  };
  return { cpuMicroseconds: cpu.user + cpu.system, residentBytes };
}

async function measure(
  emulator: EmulatorProcess,
  events: number,
  work: () => Promise<void>,
): Promise<Cost> {
  const before = await usage(emulator);
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (await usage(emulator)).cpuMicroseconds - before.cpuMicroseconds;
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

/** An emulator with one hub for each name. */
async function anEmulator(directory: string, names: readonly string[]): Promise<EmulatorProcess> {
  const Entities = names.map((name) => ({ Name: name, PartitionCount: 1 }));
  const config = join(directory, 'config.json');
  writeFileSync(config, JSON.stringify({ UserConfig: { NamespaceConfig: [{ Entities }] } }));
  return startEmulatorProcess({ dataDirectory: join(directory, 'hubs'), config });
}

const line = (bytes: number, what: string, costs: readonly Cost[]): void => {
  const cpu = median(costs.map((cost) => cost.cpuMicrosecondsPerEvent));
  const rate = median(costs.map((cost) => cost.eventsPerSecond));
  console.log(
    `${String(bytes).padStart(5)} B ${what}  ${cpu.toFixed(1).padStart(6)} µs of emulator CPU per event   ${Math.round(rate)} events/s`,
  );
};

/** In and out, disk and memory taking turns, so that a noisy neighbour meets both. */
async function costs(
  directories: Record<'disk' | 'memory', string>,
  events: number,
): Promise<void> {
  const sizes = [256, 1024];
  const hub = (bytes: number, round: number): string => `hub-${bytes}-${round}`;
  const names = sizes.flatMap((bytes) =>
    Array.from({ length: rounds }, (_, round) => hub(bytes, round)),
  );
  const disk = await anEmulator(directories.disk, names);
  const memory = await anEmulator(directories.memory, names);
  try {
    for (const bytes of sizes) {
      const sent: Cost[] = [];
      const received: Record<'disk' | 'memory', Cost[]> = { disk: [], memory: [] };
      for (let round = 0; round < rounds; round += 1) {
        const name = hub(bytes, round);
        const from = (emulator: EmulatorProcess) => (): Promise<void> =>
          receive(emulator.connectionString, name, events);
        sent.push(
          await measure(disk, events, () => send(disk.connectionString, name, events, bytes)),
        );
        await send(memory.connectionString, name, events, bytes);
        received.disk.push(await measure(disk, events, from(disk)));
        received.memory.push(await measure(memory, events, from(memory)));
      }
      line(bytes, 'in             ', sent);
      line(bytes, 'out            ', received.disk);
      line(bytes, 'out, memory log', received.memory);
      const ratios = received.disk.map(
        ({ eventsPerSecond }, index) =>
          eventsPerSecond / (received.memory[index]?.eventsPerSecond ?? Number.NaN),
      );
      console.log(
        `        an SDK receiver gets ${median(ratios).toFixed(2)} of what a memory log gives it (median of rounds)`,
      );
    }
  } finally {
    await disk.close();
    await memory.close();
  }
}

async function backlog(directory: string, events: number): Promise<void> {
  const emulator = await anEmulator(directory, ['backlog']);
  let peakBytes = 0;
  const watching = setInterval(() => {
    void usage(emulator).then(({ residentBytes }) => {
      peakBytes = Math.max(peakBytes, residentBytes);
    });
  }, 200);
  try {
    await send(emulator.connectionString, 'backlog', events, 1024);
    await receive(emulator.connectionString, 'backlog', events);
    console.log(
      `${events} events of 1 KiB kept and read from the start: at most ${Math.round(peakBytes / 1024 / 1024)} MiB resident`,
    );
  } finally {
    clearInterval(watching);
    await emulator.close();
  }
}

async function main(): Promise<void> {
  const events = Number(process.argv[2] ?? 100_000);
  const backlogEvents = Number(process.argv[3] ?? 1_000_000);
  console.log(machineLine(0));
  console.log(`${events} events a round, one partition, median of ${rounds} rounds`);
  const directory = (parent: string): string =>
    mkdtempSync(join(parent, 'millrace-bench-emulator-'));
  const disk = directory(tmpdir());
  const memory = directory(existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
  try {
    await costs({ disk, memory }, events);
    rmSync(join(disk, 'hubs'), { recursive: true, force: true });
    await backlog(disk, backlogEvents);
  } finally {
    for (const one of [disk, memory]) rmSync(one, { recursive: true, force: true });
  }
}

void main();
