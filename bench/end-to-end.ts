/**
 * From hubs filled beforehand to Delta tables, over real AMQP with exactly-once commits, beside what
 * a bare SDK consumer reads from the same hub in the same run.
 *
 * npm run bench:end-to-end -- [events] [workers] [folder for CPU profiles of the workers]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { earliestEventPosition, EventHubConsumerClient } from '@azure/event-hubs';
import { startStack, type Stack } from '../cli/stack';
import { openStore } from '../cli/store';
import type { FunctionsHost } from '../local/functions-host';
import { builtProcesses, startFunctionsHost } from '../test/support/built';
import { readLog, listLogs } from '../shared/commit-log/log-reader';
import { buildApp } from '../test/support/build-app';
import { machineLine } from './machine';
import { fill, partitionCount, someEvents } from './prefill';
import { topologies } from './topologies';

const seed = 11;
const eventsPerMessagePacked = 100;
const pollIntervalMs = 200;

interface Measure {
  readonly events: number;
  readonly elapsedMs: number;
}

/** In a thread of its own: what the SDK alone reads. */
async function bareConsumer(
  connectionString: string,
  hub: string,
  messages: number,
): Promise<number> {
  const client = new EventHubConsumerClient('$Default', connectionString, hub);
  let seen = 0;
  let startedAtMs = 0;
  await new Promise<void>((resolve, reject) => {
    client.subscribe(
      {
        processEvents: async (events) => {
          if (startedAtMs === 0 && events.length > 0) startedAtMs = performance.now();
          seen += events.length;
          if (seen >= messages) resolve();
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
  const elapsedMs = performance.now() - startedAtMs;
  await client.close();
  return elapsedMs;
}

async function inThread(connectionString: string, hub: string, messages: number): Promise<number> {
  const worker = new Worker(__filename, { workerData: { connectionString, hub, messages } });
  return new Promise((resolve, reject) => {
    worker.on('message', resolve);
    worker.on('error', reject);
  });
}

/** From the first to the last commit of a topology's tasks, by the log's own times. */
async function measured(
  storage: string,
  topology: string,
  events: number,
  stages: number,
): Promise<Measure> {
  const store = openStore(storage);
  const ledger = store.ledger(topology);
  for (;;) {
    const accounts = await ledger.refresh();
    const read = accounts.reduce((total, account) => total + account.ledger.read, 0);
    if (read >= events * stages) break;
    await new Promise((resolve) => setTimeout(resolve, pollIntervalMs));
  }
  let firstMs = Infinity;
  let lastMs = 0;
  for (const path of await listLogs(store.appends, topology)) {
    for (const record of (await readLog(store.appends, path, null)).records) {
      if (record.kind === 'attempt') firstMs = Math.min(firstMs, record.startedAtMs);
      if (record.kind === 'commit') lastMs = Math.max(lastMs, record.committedAtMs);
    }
  }
  return { events, elapsedMs: lastMs - firstMs };
}

async function main(): Promise<void> {
  const events = Number(process.argv[2] ?? 200_000);
  const workers = Number(process.argv[3] ?? 2);
  console.log(machineLine(seed));
  console.log(
    `${events} events of 256 B, ${partitionCount} partitions, ${workers} workers; emulator, storage, workers and reader share this machine`,
  );
  const texts = someEvents(events, seed);
  const app = await buildApp({
    topologies: 'bench/topologies.ts',
    hostJson: {
      functionTimeout: '00:05:00',
      extensions: { eventHubs: { maxEventBatchSize: 1000, prefetchCount: 3000 } },
    },
  });
  const dataDirectory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const base = {
    app: { topologies, directory: app.directory, processes: builtProcesses },
    dataDirectory,
    ports: { amqp: 0, control: 0, blob: 0, http: 0 },
    leases: { partitionOwnershipExpirationIntervalMs: 10_000, loadBalancingUpdateIntervalMs: 500 },
    log: () => undefined,
  };
  // Without workers first: the hubs are filled and read bare.
  const stack = await startStack({ ...base, workers: 0 });
  try {
    const { connectionString } = stack.emulator;
    const bare: number[] = [];
    await fill(connectionString, 'one-stage', texts, 1);
    for (let round = 0; round < 3; round += 1) {
      const elapsedMs = await inThread(connectionString, 'one-stage', events);
      bare.push(events / (elapsedMs / 1000));
    }
    const bareRate = bare.sort((a, b) => a - b)[1] ?? NaN;
    const say = (name: string, { elapsedMs }: Measure): void => {
      const rate = events / (elapsedMs / 1000);
      console.log(
        `${name.padEnd(58)} ${String(Math.round(rate)).padStart(8)} events/s   ${(rate / bareRate).toFixed(2)} × bare`,
      );
    };
    say('bare SDK consumer, one event per message (median of 3)', {
      events,
      elapsedMs: (events / bareRate) * 1000,
    });
    await fill(connectionString, 'two-stages', texts, 1);
    await fill(connectionString, 'packed', texts, eventsPerMessagePacked);
    for (const [topology, stages, name] of [
      ['one-stage', 1, 'one stage to a Delta table, one event per message'],
      ['two-stages', 2, 'two stages through an exchange, one event per message'],
      ['packed', 1, `one stage, keyed windows, ${eventsPerMessagePacked} events per message`],
    ] as const) {
      const host = await startOnly(stack, app.directory, topology, workers);
      const before = cpuSeconds(stack, host);
      say(name, await measured(stack.azurite.connectionString, topology, events, stages));
      const after = cpuSeconds(stack, host);
      const share = (part: keyof typeof after): string =>
        `${part} ${(((after[part] - before[part]) * 1e6) / events).toFixed(1)}`;
      console.log(
        `  CPU µs per event: ${share('workers')}, ${share('emulator')}, ${share('storage')}`,
      );
      await host.close();
    }
  } finally {
    await stack.close();
    app.remove();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
}

/** CPU that a process has used, threads and all, as Linux tells it (man 5 proc, 100 ticks a second). */
function cpuSecondsOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function cpuSeconds(
  stack: Stack,
  host: FunctionsHost,
): Record<'workers' | 'emulator' | 'storage', number> {
  return {
    workers: host.workers.reduce((total, { pid }) => total + cpuSecondsOf(pid), 0),
    emulator: cpuSecondsOf(stack.emulator.child.pid),
    storage: cpuSecondsOf(stack.azurite.pid),
  };
}

const profiles = process.argv[4];

/** A host with the functions of one topology alone: others would take its cores. */
async function startOnly(
  stack: Awaited<ReturnType<typeof startStack>>,
  appDirectory: string,
  topology: string,
  workers: number,
): Promise<FunctionsHost> {
  return startFunctionsHost({
    appDirectory,
    workers,
    httpPort: 0,
    ...(profiles !== undefined && {
      workerExecArgv: ['--cpu-prof', `--cpu-prof-dir=${join(profiles, topology)}`],
    }),
    leases: { partitionOwnershipExpirationIntervalMs: 10_000, loadBalancingUpdateIntervalMs: 500 },
    settings: {
      AzureWebJobsStorage: stack.azurite.connectionString,
      LakeStorage: stack.azurite.connectionString,
      EventHubConnection: stack.emulator.connectionString,
      MILLRACE_TOPOLOGIES: topology,
    },
    log: (line) => {
      if (line.includes(' erro')) console.error(line);
    },
  });
}

if (isMainThread) {
  void main();
} else {
  const { connectionString, hub, messages } = workerData as {
    connectionString: string;
    hub: string;
    messages: number;
  };
  void bareConsumer(connectionString, hub, messages).then((elapsedMs) =>
    parentPort?.postMessage(elapsedMs),
  );
}
