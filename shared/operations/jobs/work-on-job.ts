import { isTransient, StreamError } from '../../model/errors';
import type {
  AppendStore,
  Clock,
  FaultPoint,
  ObjectStore,
  Randomness,
  Telemetry,
} from '../../model/ports';
import { jobFolder, JobStore, type OpenJob } from './job-store';
import type { JobKind, PieceContext } from './job-kind';
import { assertOptions } from './job-options';
import { pieceAttemptsMax, type JobLine, type JobProgress, type Piece } from './job-state';

/** Where tests kill a worker in the middle of a job. */
export const jobFaultPoints = [
  'job.after-plan',
  'job.after-claim',
  'job.after-piece',
  'job.after-finish',
  'job.before-report',
] as const;

export interface JobWorld {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly sleep: (milliseconds: number) => Promise<void>;
  readonly randomness: Randomness;
  readonly telemetry: Telemetry;
  readonly faultPoint: FaultPoint;
  readonly worker: string;
  readonly kinds: readonly JobKind[];
}

export interface WorkOptions {
  readonly jobId: string;
  /** No new piece is begun after it; pieces see it too. */
  readonly deadlineMs: number;
  /** A piece that shows no life for so long is given to another worker. */
  readonly leaseMs: number;
  /** Pieces claimed at once, at most: more for small ones. */
  readonly claimMax: number;
  /** True: come back when others hold all that is left, rather than wait for them. */
  readonly isPassing?: boolean;
  readonly onProgress?: (progress: JobProgress) => void;
}

const waitMs = 500;
/** Finished pieces are told of together when they come faster than this. */
const tellAfterMs = 1_000;

interface Claim {
  readonly piece: Piece;
  readonly attempt: number;
  readonly atMs: number;
}

/** Thrown by `beat`: the piece is not this worker's any more, or the job is over. */
class PieceGivenUp extends Error {}

/**
 * Works on a job: plans it if nobody has, claims pieces, runs them, reports when all are over. Any
 * number of processes may do so at once, and any of them may die: the journal decides who has what.
 */
export async function workOnJob(world: JobWorld, options: WorkOptions): Promise<JobProgress> {
  const worker = new JobWorker(world, options);
  return worker.work();
}

class JobWorker {
  readonly #world: JobWorld;
  readonly #options: WorkOptions;
  readonly #job: OpenJob;
  /**
   * Who holds a piece: this call, not its process. Two calls of one process, begun in the same
   * millisecond, would else write the same claim, and both would find it in the journal as theirs.
   */
  readonly #holder: string;
  #untold: JobLine[] = [];
  #toldAtMs: number;

  constructor(world: JobWorld, options: WorkOptions) {
    this.#world = world;
    this.#options = options;
    this.#job = new JobStore(world).open(options.jobId);
    this.#holder = `${world.worker}/${world.randomness.uniqueId()}`;
    this.#toldAtMs = world.clock.nowMs();
  }

  async work(): Promise<JobProgress> {
    const { clock, sleep } = this.#world;
    const { deadlineMs, isPassing = false, onProgress } = this.#options;
    for (;;) {
      const state = await this.#job.catchUp();
      onProgress?.(state.progress());
      if (state.isOver) break;
      if (state.plan === null) {
        await this.#plan();
        continue;
      }
      if (state.phase === null) {
        await this.#report();
        continue;
      }
      if (clock.nowMs() >= deadlineMs) break;
      const { claimed, isStuck } = await this.#claim();
      for (const claim of claimed) await this.#run(claim);
      await this.#tell();
      if (isStuck && state.phase !== null) {
        if (isPassing) break;
        await sleep(waitMs);
      }
    }
    return this.#job.state.progress();
  }

  get #kind(): JobKind {
    const name = this.#job.state.request?.kind;
    const kind = this.#world.kinds.find((candidate) => candidate.name === name);
    if (kind !== undefined) return kind;
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      name === undefined
        ? `there is no job ${this.#job.id}: see millrace jobs`
        : `job ${this.#job.id} is of kind ${name}, which this build does not know: deploy the newer one`,
    );
  }

  get #place(): { jobId: string; folder: string } {
    return { jobId: this.#job.id, folder: jobFolder(this.#job.id) };
  }

  async #plan(): Promise<void> {
    const { clock, faultPoint, randomness } = this.#world;
    const worker = this.#holder;
    const options = this.#job.state.request?.options;
    const { pieces: planned, summary } = await this.#orEnd(() => {
      assertOptions(this.#kind, options);
      return this.#kind.plan(options, this.#place);
    });
    const sorted = planned.slice().sort((left, right) => left.phase - right.phase);
    const pieces = sorted.map((piece, index): Piece => ({ id: String(index), ...piece }));
    const plan = await this.#job.putPlan(pieces, randomness.uniqueId());
    const last = pieces.at(-1)?.phase ?? -1;
    const phases = Array.from(
      { length: last + 1 },
      (_, phase) => pieces.filter((piece) => piece.phase === phase).length,
    );
    await faultPoint('job.after-plan');
    await this.#job.decide((state) =>
      state.plan === null && !state.isOver
        ? [{ kind: 'planned', atMs: clock.nowMs(), worker, plan, phases, summary }]
        : [],
    );
  }

  /** What no worker could do, however often it is tried, ends the job: its report says why. */
  async #orEnd<Result>(work: () => Promise<Result>): Promise<Result> {
    const { clock } = this.#world;
    const worker = this.#holder;
    try {
      return await work();
    } catch (error) {
      if (isTransient(error)) throw error;
      const summary = { error: error instanceof Error ? error.message : String(error) };
      await this.#job.decide((state) =>
        state.isOver
          ? []
          : [{ kind: 'reported', atMs: clock.nowMs(), worker, summary, isRight: false }],
      );
      throw error;
    }
  }

  /** Claims what is free; what failed before is split first, where it can be. */
  async #claim(): Promise<{ readonly claimed: readonly Claim[]; readonly isStuck: boolean }> {
    const { clock, faultPoint } = this.#world;
    const worker = this.#holder;
    const { claimMax, leaseMs } = this.#options;
    const state = await this.#job.catchUp();
    const candidates = new Map<string, Piece>();
    for (const { id } of state.claimable(clock.nowMs(), claimMax)) {
      candidates.set(id, await this.#job.piece(id));
    }
    const lines = await this.#job.decide((now) => {
      const atMs = clock.nowMs();
      return now
        .claimable(atMs, claimMax)
        .filter(({ id }) => candidates.has(id))
        .map(({ attempt, id }): JobLine => {
          const common = { atMs, worker, piece: id };
          const into = attempt > 1 ? this.#split(candidates.get(id)) : null;
          if (into !== null) return { kind: 'split', ...common, into };
          // Its last try ended with its worker: it is not given to another.
          if (attempt > pieceAttemptsMax) {
            const error = now.pieces.get(id)?.error ?? `its worker died ${attempt - 1} times`;
            return { kind: 'failed', ...common, attempt: attempt - 1, error };
          }
          return { kind: 'claimed', ...common, attempt, untilMs: atMs + leaseMs };
        });
    });
    await faultPoint('job.after-claim');
    const claimed = lines.flatMap((line): Claim[] => {
      const piece = line.kind === 'claimed' ? candidates.get(line.piece) : undefined;
      if (line.kind !== 'claimed' || piece === undefined) return [];
      return [{ piece, attempt: line.attempt, atMs: line.atMs }];
    });
    return { claimed, isStuck: lines.length === 0 };
  }

  #split(piece: Piece | undefined): readonly Piece[] | null {
    if (piece === undefined) return null;
    const works = this.#kind.split(piece.work);
    if (works === null || works.length < 2) return null;
    return works.map((work, index) => ({ id: `${piece.id}.${index}`, phase: piece.phase, work }));
  }

  async #run({ atMs, attempt, piece }: Claim): Promise<void> {
    const { clock, faultPoint } = this.#world;
    const context = this.#context(piece.id, atMs);
    const line = await this.#outcome(piece, attempt, context);
    if (line === null) return;
    await faultPoint('job.after-piece');
    this.#untold.push(line);
    if (clock.nowMs() - this.#toldAtMs >= tellAfterMs) await this.#tell();
    await faultPoint('job.after-finish');
  }

  /** What to tell of a piece; null: nothing, it is somebody else's by now. */
  async #outcome(piece: Piece, attempt: number, context: PieceContext): Promise<JobLine | null> {
    const { clock, telemetry } = this.#world;
    const worker = this.#holder;
    const common = { worker, piece: piece.id };
    try {
      await context.beat();
      const result = await this.#kind.run(piece.work, context);
      return { kind: 'finished', atMs: clock.nowMs(), ...common, result: result ?? null };
    } catch (error) {
      if (error instanceof PieceGivenUp) return null;
      const text = (error instanceof Error ? error.message : String(error)).slice(0, 500);
      const place = { job: this.#job.id, piece: piece.id, attempt };
      telemetry.emit('warn', 'job.piece-failed', { ...place, error: text });
      return { kind: 'failed', atMs: clock.nowMs(), ...common, attempt, error: text };
    }
  }

  async #tell(): Promise<void> {
    const lines = this.#untold;
    this.#untold = [];
    this.#toldAtMs = this.#world.clock.nowMs();
    if (lines.length === 0) return;
    await this.#job.decide(() => lines);
    this.#options.onProgress?.(this.#job.state.progress());
  }

  #context(piece: string, claimedAtMs: number): PieceContext {
    const { clock } = this.#world;
    const worker = this.#holder;
    const { deadlineMs, leaseMs } = this.#options;
    let beatenAtMs = claimedAtMs;
    return {
      ...this.#place,
      deadlineMs,
      beat: async (done = 0, of = 0) => {
        const atMs = clock.nowMs();
        if (atMs - beatenAtMs < leaseMs / 3) return;
        beatenAtMs = atMs;
        const lines = await this.#job.decide((state) => {
          const holder = state.pieces.get(piece)?.holder;
          if (state.isOver || holder?.worker !== worker) return [];
          return [{ kind: 'beat', atMs, worker, piece, untilMs: atMs + leaseMs, done, of }];
        });
        if (lines.length === 0) throw new PieceGivenUp(piece);
        this.#options.onProgress?.(this.#job.state.progress());
      },
    };
  }

  async #report(): Promise<void> {
    const { clock, faultPoint } = this.#world;
    const worker = this.#holder;
    const { planSummary, request } = this.#job.state;
    const { failures, results } = this.#job.state.outcomes();
    const values = results.map(({ result }) => result);
    const report = await this.#orEnd(() =>
      this.#kind.report(request?.options, { planSummary, results: values, failures }, this.#place),
    );
    await faultPoint('job.before-report');
    const isRight = report.isRight && failures.length === 0;
    const summary = { ...(report.summary as object), failures: failures.slice(0, 20) };
    await this.#job.decide((state) =>
      state.isOver ? [] : [{ kind: 'reported', atMs: clock.nowMs(), worker, summary, isRight }],
    );
  }
}
