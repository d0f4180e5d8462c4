// Goal: every piece of a job is done, whoever dies; results count once; the history of the
// orchestration stays as short as the number of workers.
// Method: a kind that notes what it did, on memory stores under a clock of the test; workers die at
// every named point, hang, fail and race; the orchestration is replayed by the real package.
import { Type } from 'typebox';
import { MemoryAppendStore } from '../../../shared/adapters/memory-stores';
import { StreamError } from '../../../shared/model/errors';
import type { AppendStore } from '../../../shared/model/ports';
import type { JobKind } from '../../../shared/operations/jobs/job-kind';
import { JobStore } from '../../../shared/operations/jobs/job-store';
import { JobState } from '../../../shared/operations/jobs/job-state';
import { jobFaultPoints } from '../../../shared/operations/jobs/work-on-job';
import { job, jobActivity, type JobInput } from '../../../shared/operations/jobs/orchestration';
import { runOrchestration } from '../../support/durable-replay';
import { delegating } from '../../support/log-world';
import { aJobWorker, createJob, reportOf, work } from '../../support/job-world';
import { Mendable } from '../../support/mendable';
import { StageWorld, WorkerDied } from '../../support/stage-world';

interface Numbers {
  readonly from: number;
  readonly to: number;
}

/** Adds numbers up; what each run did is noted. */
class Summing {
  readonly runs: Numbers[] = [];
  readonly kind: JobKind;

  constructor(pieces: number, onRun: (range: Numbers) => Promise<void> = async () => undefined) {
    const numbersPerPiece = 8;
    this.kind = {
      name: 'sum',
      options: Type.Object({}),
      plan: async () => ({
        pieces: Array.from({ length: pieces }, (_, index) => ({
          phase: 0,
          work: { from: index * numbersPerPiece, to: (index + 1) * numbersPerPiece },
        })),
        summary: {},
      }),
      run: async (given, context) => {
        const range = given as Numbers;
        this.runs.push(range);
        await onRun(range);
        await context.beat();
        let sum = 0;
        for (let number = range.from; number < range.to; number += 1) sum += number;
        return sum;
      },
      split: (given) => {
        const { from, to } = given as Numbers;
        if (to - from < 2) return null;
        const middle = Math.ceil((from + to) / 2);
        return [
          { from, to: middle },
          { from: middle, to },
        ];
      },
      report: async (_options, { results }) => ({
        summary: { sum: (results as number[]).reduce((total, sum) => total + sum, 0) },
        isRight: true,
      }),
    };
  }
}

const sumTo = (count: number): number => (count * (count - 1)) / 2;

function aWorld(): StageWorld {
  return new StageWorld({ topologies: [new Mendable().topology], partitionCount: 1 });
}

describe('a job', () => {
  it('whose options its kind cannot have is over at once, and says what is wrong', async () => {
    const world = aWorld();
    const kind = { ...new Summing(3).kind, options: Type.Object({ upTo: Type.Integer() }) };
    const id = await createJob(world, 'sum', { upTo: 'ten' });
    const worker = aJobWorker(world, { kinds: [kind] });
    await expect(work(worker, id)).rejects.toThrow(
      'a job of kind sum cannot have these options: options.upTo must be integer',
    );
    expect(await work(worker, id)).toMatchObject({ status: 'failed' });
    expect(await reportOf(world, id)).toMatchObject({
      error: expect.stringContaining('options.upTo must be integer') as string,
    });
  });

  it('that cannot be planned now is tried again; one that never can is over', async () => {
    const world = aWorld();
    const { kind } = new Summing(3);
    let code: 'STREAM_STORE_UNAVAILABLE' | 'STREAM_STATE_MISMATCH' = 'STREAM_STORE_UNAVAILABLE';
    const failing = {
      ...kind,
      plan: async () => {
        throw new StreamError(code, 'not now');
      },
    };
    const id = await createJob(world, 'sum', {});
    const worker = aJobWorker(world, { kinds: [failing] });
    await expect(work(worker, id)).rejects.toMatchObject({ code });
    code = 'STREAM_STATE_MISMATCH';
    await expect(work(worker, id)).rejects.toMatchObject({ code });
    expect(await work(worker, id)).toMatchObject({ status: 'failed' });
  });

  it('is done once by many workers', async () => {
    const world = aWorld();
    const summing = new Summing(100);
    const id = await createJob(world, 'sum', {});
    const workers = Array.from({ length: 5 }, () => aJobWorker(world, { kinds: [summing.kind] }));
    const answers = await Promise.all(workers.map((worker) => work(worker, id)));
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill('completed'));
    expect(await reportOf(world, id)).toMatchObject({ sum: sumTo(800), isRight: true });
    expect(summing.runs).toHaveLength(100);
  });

  it('gives no piece to two activities of one worker that begin in the same millisecond', async () => {
    const inner = new MemoryAppendStore();
    const moment = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    // Both read, then both append: neither has seen the other's claim.
    const appends: AppendStore = {
      ...delegating(inner),
      readFrom: (name, from) => moment().then(() => inner.readFrom(name, from)),
      append: (request) => moment().then(() => inner.append(request)),
    };
    const { topology } = new Mendable();
    const world = new StageWorld({ topologies: [topology], partitionCount: 1, appends });
    const summing = new Summing(20);
    const id = await createJob(world, 'sum', {});
    const worker = aJobWorker(world, { kinds: [summing.kind] });
    const answers = await Promise.all([work(worker, id), work(worker, id), work(worker, id)]);
    expect(answers.map(({ status }) => status)).toEqual(Array(3).fill('completed'));
    expect(summing.runs).toHaveLength(20);
  });

  it('goes on with what is open when a piece is told to be finished twice', () => {
    const state = new JobState();
    const by = { atMs: 0, worker: 'one' };
    const plan = { plan: 'plan', phases: [2], summary: null };
    state.apply({ kind: 'planned', ...by, ...plan });
    state.apply({ kind: 'claimed', ...by, piece: '0', attempt: 1, untilMs: 10 });
    state.apply({ kind: 'claimed', ...by, worker: 'two', piece: '0', attempt: 2, untilMs: 20 });
    state.apply({ kind: 'finished', ...by, worker: 'two', piece: '0', result: 1 });
    state.apply({ kind: 'finished', ...by, piece: '0', result: 1 });
    expect(state.phase).toBe(0);
    expect(state.progress()).toMatchObject({ pieces: 2, finished: 1 });
  });

  it.each(jobFaultPoints)('goes on when its worker dies at %s', async (point) => {
    const world = aWorld();
    const summing = new Summing(20);
    const id = await createJob(world, 'sum', {});
    const dying = aJobWorker(world, {
      kinds: [summing.kind],
      dieAt: (reached) => reached === point,
    });
    await expect(work(dying, id)).rejects.toThrow(WorkerDied);
    const progress = await work(aJobWorker(world, { kinds: [summing.kind] }), id);
    expect(progress).toMatchObject({ status: 'completed', failed: 0 });
    expect(await reportOf(world, id)).toMatchObject({ sum: sumTo(160) });
  });

  it('splits a piece that failed, until what fails is alone, and says so in its report', async () => {
    const world = aWorld();
    const summing = new Summing(4, async ({ from, to }) => {
      if (from <= 13 && 13 < to) throw new Error('thirteen');
    });
    const id = await createJob(world, 'sum', {});
    const progress = await work(aJobWorker(world, { kinds: [summing.kind] }), id);
    expect(progress).toMatchObject({ status: 'failed', failed: 1 });
    const report = await reportOf(world, id);
    expect(report).toMatchObject({ sum: sumTo(32) - 13, isRight: false });
    expect(report['failures']).toEqual([{ piece: '1.1.0.1', error: 'thirteen' }]);
  });

  it('gives the piece of a worker that hangs to another, split, once its lease is over', async () => {
    const world = aWorld();
    let release = (): void => undefined;
    const hanging = new Summing(3, ({ from }) =>
      from === 8 ? new Promise((resolve) => (release = resolve)) : Promise.resolve(),
    );
    const healthy = new Summing(3);
    const id = await createJob(world, 'sum', {});
    const stuck = work(aJobWorker(world, { kinds: [hanging.kind] }), id, { claimMax: 3 });
    while (hanging.runs.length < 2) await new Promise((resolve) => setImmediate(resolve));
    const progress = await work(aJobWorker(world, { kinds: [healthy.kind] }), id);
    expect(progress.status).toBe('completed');
    expect(progress.splits).toBeGreaterThan(0);
    // It wakes up and tells of a piece that is not its own any more: nothing counts twice.
    release();
    expect((await stuck).status).toBe('completed');
    expect(await reportOf(world, id)).toMatchObject({ sum: sumTo(24) });
  });

  it('can be cancelled while it runs: no new piece begins', async () => {
    const world = aWorld();
    const { appends, objects } = world;
    const store = new JobStore({ appends, objects, clock: { nowMs: () => world.nowMs } });
    const id = await createJob(world, 'sum', {});
    const summing = new Summing(100, async () => {
      if (summing.runs.length === 10) await store.cancel(id, 'somebody', 'not needed');
    });
    const progress = await work(aJobWorker(world, { kinds: [summing.kind] }), id);
    expect(progress.status).toBe('cancelled');
    expect(summing.runs.length).toBeLessThan(20);
    expect((await store.list()).find((one) => one.id === id)?.status).toBe('cancelled');
  });

  it('is driven by an orchestration whose history does not grow with its pieces', async () => {
    const lengths: number[] = [];
    for (const pieces of [10, 1_000]) {
      const world = aWorld();
      const summing = new Summing(pieces);
      const id = await createJob(world, 'sum', {});
      const clock = {
        get nowMs() {
          return world.nowMs;
        },
        set nowMs(nowMs: number) {
          world.nowMs = nowMs;
        },
      };
      let input: JobInput = { jobId: id, workersMax: 4, budgetMs: 20_000, wave: 1 };
      for (;;) {
        const result = await runOrchestration({
          orchestrator: job,
          input,
          clock,
          activities: {
            [jobActivity]: ({ budgetMs, jobId }: { budgetMs: number; jobId: string }) =>
              work(aJobWorker(world, { kinds: [summing.kind] }), jobId, {
                deadlineMs: world.nowMs + budgetMs,
                isPassing: true,
              }),
          },
        });
        lengths.push(result.history.length);
        if (!result.isContinued) {
          expect(result.output).toMatchObject({ status: 'completed', finished: pieces });
          break;
        }
        input = result.continuedWith as JobInput;
      }
      expect(await reportOf(world, id)).toMatchObject({ sum: sumTo(pieces * 8) });
    }
    expect(Math.max(...lengths)).toBeLessThan(40);
  });

  it('refuses an id that makes no name', async () => {
    const world = aWorld();
    const { appends, objects } = world;
    const store = new JobStore({ appends, objects, clock: { nowMs: () => 0 } });
    await expect(
      store.create({ id: '../x', kind: 'sum', options: {}, by: 'test' }),
    ).rejects.toThrow('3 to 61 of a-z');
  });
});
