/**
 * A job of many small pieces in memory: time, waves, the longest history of one execution of its
 * orchestration, and the journal. The orchestration is replayed by the real durable-functions package.
 *
 * npm run bench:jobs -- [pieces] [workers]
 */
import { Type } from 'typebox';
import { MemoryAppendStore, MemoryObjectStore } from '../shared/adapters/memory-stores';
import type { JobKind } from '../shared/operations/jobs/job-kind';
import { JobStore } from '../shared/operations/jobs/job-store';
import { workOnJob, type JobWorld } from '../shared/operations/jobs/work-on-job';
import { job, jobActivity, type JobInput } from '../shared/operations/jobs/orchestration';
import { runOrchestration } from '../test/support/durable-replay';
import { machineLine } from './machine';

const seed = 1;
const claimMax = 8;

/** Pieces that only count themselves: what is measured is the work about them. */
function counting(pieces: number): JobKind {
  return {
    name: 'count',
    options: Type.Object({}),
    plan: async () => ({
      pieces: Array.from({ length: pieces }, (_, index) => ({ phase: 0, work: { index } })),
      summary: {},
    }),
    run: async () => 1,
    split: () => null,
    report: async (_options, { results }) => ({
      summary: { counted: results.length },
      isRight: results.length === pieces,
    }),
  };
}

async function measure(pieces: number, workersMax: number): Promise<void> {
  const clock = { nowMs: Date.now() };
  const appends = new MemoryAppendStore();
  const stores = { appends, objects: new MemoryObjectStore() };
  let workers = 0;
  const worldOf = (): JobWorld => ({
    ...stores,
    clock: { nowMs: () => Date.now() },
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    randomness: { uniqueId: () => `id-${workers}` },
    telemetry: { emit: () => undefined },
    faultPoint: () => undefined,
    worker: `worker-${(workers += 1)}`,
    kinds: [counting(pieces)],
  });
  const store = new JobStore(worldOf());
  await store.create({ id: 'job', kind: 'count', options: {}, by: 'bench' });
  const startedAt = performance.now();
  let input: JobInput = { jobId: 'job', workersMax, budgetMs: 500, wave: 1 };
  let [waves, events, bytes] = [0, 0, 0];
  for (;;) {
    waves += 1;
    const result = await runOrchestration({
      orchestrator: job,
      input,
      clock,
      activities: {
        [jobActivity]: ({ budgetMs, jobId }: { budgetMs: number; jobId: string }) =>
          workOnJob(worldOf(), {
            ...{ jobId, deadlineMs: Date.now() + budgetMs, leaseMs: 30_000 },
            ...{ claimMax, isPassing: true },
          }),
      },
    });
    events = Math.max(events, result.history.length);
    bytes = Math.max(bytes, JSON.stringify(result.history).length);
    if (!result.isContinued) break;
    input = result.continuedWith as JobInput;
  }
  const tookMs = performance.now() - startedAt;
  const { failed, finished, status } = (await store.open('job').catchUp()).progress();
  const journal = await appends.stat('jobs/job/journal');
  console.log(
    `${pieces} pieces, ${workersMax} workers: ${status}, ${finished} finished, ${failed} failed in ` +
      `${(tookMs / 1000).toFixed(1)} s (${Math.round((pieces * 1000) / tookMs)} pieces/s), ${waves} waves; ` +
      `longest history ${events} events, ${bytes} B; journal ${journal?.bytes ?? 0} B`,
  );
}

async function main(): Promise<void> {
  console.log(machineLine(seed));
  const most = Number(process.argv[2] ?? 10_000);
  const workers = Number(process.argv[3] ?? 4);
  for (const pieces of [Math.ceil(most / 100), Math.ceil(most / 10), most]) {
    await measure(pieces, workers);
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
