/**
 * How long a partition stands still when its worker is killed with kill -9: from the kill to the next
 * commit of each task that the worker held, by another process, as the commit logs tell it. Events
 * keep coming all the while; the killed worker is started again as one that crashed.
 *
 *   npm run bench:recovery -- [kills] [lease in milliseconds]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventHubProducerClient } from '@azure/event-hubs';
import { startStack, type Stack } from '../cli/stack';
import { openStore } from '../cli/store';
import { listLogs, readLog } from '../shared/commit-log/log-reader';
import type { CommitRecord } from '../shared/model/commit';
import { buildApp } from '../test/support/build-app';
import { machineLine } from './machine';
import { partitionCount, someEvents } from './prefill';
import { topologies } from './topologies';
import { builtProcesses } from '../test/support/built';

const seed = 11;
const topology = 'one-stage';
const loadBalancingMs = 500;
const eventsPerSend = 100;
const sendEveryMs = 100;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

interface Kill {
  readonly atMs: number;
  readonly pid: number;
}

/** A steady stream to every partition, until `stop`. */
function sendSteadily(connectionString: string): { stop(): Promise<void> } {
  const producer = new EventHubProducerClient(connectionString, topology);
  let isStopped = false;
  const sending = (async () => {
    for (let first = 0; !isStopped; first += eventsPerSend) {
      const partitionId = String((first / eventsPerSend) % partitionCount);
      const events = someEvents(eventsPerSend, seed, first).map((body) => ({
        body: Buffer.from(body),
      }));
      await producer.sendBatch(events, { partitionId });
      await pause(sendEveryMs / partitionCount);
    }
  })();
  return {
    stop: async () => {
      isStopped = true;
      await sending;
      await producer.close();
    },
  };
}

/** Every commit of each task, in the log's order. */
async function commitsByTask(stack: Stack): Promise<CommitRecord[][]> {
  const { appends } = openStore(stack.azurite.connectionString);
  const paths = await listLogs(appends, topology);
  return Promise.all(
    paths.map(async (path) =>
      (await readLog(appends, path, null)).records.flatMap((record) =>
        record.kind === 'commit' ? [record] : [],
      ),
    ),
  );
}

/** From each kill to the next commit of the tasks that the killed process was the last to commit. */
function standstills(tasks: readonly CommitRecord[][], kills: readonly Kill[]): number[] {
  return kills.flatMap(({ atMs, pid }) =>
    tasks.flatMap((commits) => {
      const next = commits.findIndex(({ committedAtMs }) => committedAtMs > atMs);
      const last = commits[next - 1];
      const after = commits[next];
      const isHeld = last?.writer.split('/').at(-2) === String(pid);
      return isHeld && after !== undefined ? [after.committedAtMs - atMs] : [];
    }),
  );
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;

async function main(): Promise<void> {
  const [kills = 20, leaseMs = 5_000] = process.argv.slice(2).map(Number);
  console.log(machineLine(seed));
  const app = await buildApp({ topologies: 'bench/topologies.ts' });
  const dataDirectory = mkdtempSync(join(tmpdir(), 'millrace-bench-recovery-'));
  const stack = await startStack({
    app: { topologies, directory: app.directory, processes: builtProcesses },
    dataDirectory,
    workers: 2,
    ports: { amqp: 0, control: 0, blob: 0, http: 0 },
    leases: {
      partitionOwnershipExpirationIntervalMs: leaseMs,
      loadBalancingUpdateIntervalMs: loadBalancingMs,
    },
    settings: { MILLRACE_TOPOLOGIES: topology },
    log: () => undefined,
  });
  try {
    const sending = sendSteadily(stack.emulator.connectionString);
    const done: Kill[] = [];
    for (let kill = 0; kill < kills; kill += 1) {
      // Long enough for the partitions to be spread over both workers again.
      await pause(2 * leaseMs + 3_000);
      const worker = stack.host.workers[kill % 2];
      if (worker === undefined) continue;
      done.push({ atMs: Date.now(), pid: worker.pid });
      stack.host.killWorker(worker.id);
      console.log(`kill ${kill + 1} of ${kills}`);
    }
    await pause(2 * leaseMs + 3_000);
    await sending.stop();
    const times = standstills(await commitsByTask(stack), done).sort((left, right) => left - right);
    if (times.length === 0) throw new Error('no killed worker held a task: nothing was measured');
    const [median, worst99, max] = [
      quantile(times, 0.5),
      quantile(times, 0.99),
      times.at(-1) ?? NaN,
    ];
    console.log(
      `${done.length} kills, ${times.length} tasks stood still; lease ${leaseMs} ms, renewed every ${loadBalancingMs} ms`,
    );
    console.log(
      `kill -9 to the next commit: P50 ${median} ms, P99 ${worst99} ms, at most ${max} ms`,
    );
    console.log(
      `beyond the lease: P50 ${median - leaseMs} ms, P99 ${worst99 - leaseMs} ms, at most ${max - leaseMs} ms (target 2000)`,
    );
  } finally {
    await stack.close();
    app.remove();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
}

void main();
