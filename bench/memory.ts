/**
 * The memory of one worker that runs a stage on four partitions at full load, sampled every second
 * from the first commit to the last: does it stay flat?
 *
 * npm run bench:memory -- [events]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack } from '../cli/stack';
import { openStore } from '../cli/store';
import { buildApp } from '../test/support/build-app';
import { machineLine, median } from './machine';
import { fill, partitionCount, someEvents } from './prefill';
import { topologies } from './topologies';
import { builtProcesses } from '../test/support/built';

const seed = 11;
const chunkEvents = 100_000;
const sampleIntervalMs = 1_000;
const topology = 'one-stage';

/** Resident memory as Linux tells it. */
function residentMebibytes(pid: number): number {
  const [, kibibytes = ''] =
    /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) / 1024;
}

async function main(): Promise<void> {
  const events = Number(process.argv[2] ?? 3_000_000);
  console.log(machineLine(seed));
  const app = await buildApp({
    topologies: 'bench/topologies.ts',
    hostJson: {
      functionTimeout: '00:05:00',
      extensions: { eventHubs: { maxEventBatchSize: 1000, prefetchCount: 3000 } },
    },
  });
  const dataDirectory = mkdtempSync(join(tmpdir(), 'millrace-bench-memory-'));
  const stack = await startStack({
    app: { topologies, directory: app.directory, processes: builtProcesses },
    dataDirectory,
    workers: 1,
    ports: { amqp: 0, control: 0, blob: 0, http: 0 },
    leases: { partitionOwnershipExpirationIntervalMs: 10_000, loadBalancingUpdateIntervalMs: 500 },
    settings: { MILLRACE_TOPOLOGIES: topology },
    log: () => undefined,
  });
  try {
    const ledger = openStore(stack.azurite.connectionString).ledger(topology);
    const filling = (async () => {
      for (let first = 0; first < events; first += chunkEvents) {
        const texts = someEvents(Math.min(chunkEvents, events - first), seed, first);
        await fill(stack.emulator.connectionString, topology, texts, 1);
      }
    })();
    const samples: number[] = [];
    const startedAtMs = performance.now();
    for (let read = 0; read < events;) {
      const accounts = await ledger.refresh();
      read = accounts.reduce((total, account) => total + account.ledger.read, 0);
      const [worker] = stack.host.workers;
      if (worker !== undefined && read > 0) samples.push(residentMebibytes(worker.pid));
      await new Promise((resolve) => setTimeout(resolve, sampleIntervalMs));
    }
    await filling;
    const seconds = (performance.now() - startedAtMs) / 1000;
    const third = Math.ceil(samples.length / 3);
    const [first, second, last] = [0, 1, 2].map((part) =>
      Math.round(median(samples.slice(part * third, (part + 1) * third))),
    );
    console.log(
      `${events} events of 256 B on ${partitionCount} partitions in ${Math.round(seconds)} s, ${samples.length} samples`,
    );
    console.log(
      `worker: at most ${Math.round(Math.max(...samples))} MiB resident; median of the first third ${first}, of the second ${second}, of the last ${last} MiB`,
    );
  } finally {
    await stack.close();
    app.remove();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
}

void main();
