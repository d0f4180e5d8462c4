/**
 * A job as its journal tells it: who claimed which piece until when, what came of it. Pure: every
 * process that folds the same lines has the same state, and so agrees on what may be claimed.
 */

/** One piece of a job's work. Its `work` is the kind's own. */
export interface Piece {
  readonly id: string;
  /** Pieces of a later phase wait until all of the earlier ones are over. */
  readonly phase: number;
  readonly work: unknown;
}

export interface JobRequest {
  readonly id: string;
  readonly kind: string;
  readonly options: unknown;
  readonly by: string;
}

export type JobLine =
  | { readonly kind: 'created'; readonly atMs: number; readonly job: JobRequest }
  | {
      readonly kind: 'planned';
      readonly atMs: number;
      readonly worker: string;
      /** The blob that holds the pieces, one a line. */
      readonly plan: string;
      /** Pieces of each phase. */
      readonly phases: readonly number[];
      readonly summary: unknown;
    }
  | PieceLine<'claimed', { readonly untilMs: number; readonly attempt: number }>
  | PieceLine<'beat', { readonly untilMs: number; readonly done: number; readonly of: number }>
  | PieceLine<'split', { readonly into: readonly Piece[] }>
  | PieceLine<'finished', { readonly result: unknown }>
  | PieceLine<'failed', { readonly attempt: number; readonly error: string }>
  | {
      readonly kind: 'cancelled';
      readonly atMs: number;
      readonly by: string;
      readonly reason: string;
    }
  | {
      readonly kind: 'reported';
      readonly atMs: number;
      readonly worker: string;
      readonly summary: unknown;
      readonly isRight: boolean;
    };

type PieceLine<Kind extends string, Fields> = {
  readonly kind: Kind;
  readonly atMs: number;
  readonly worker: string;
  readonly piece: string;
} & Fields;

export interface PieceState {
  readonly attempt: number;
  /** Null: free. */
  readonly holder: { readonly worker: string; readonly untilMs: number } | null;
  readonly end: 'finished' | 'failed' | 'split' | null;
  readonly result: unknown;
  readonly error: string | null;
  readonly done: number;
  readonly of: number;
}

/** Tries of a piece that cannot be split any more. */
export const pieceAttemptsMax = 4;

const untouched: PieceState = {
  attempt: 0,
  holder: null,
  end: null,
  result: null,
  error: null,
  done: 0,
  of: 0,
};

export type JobStatus = 'planning' | 'running' | 'reporting' | 'completed' | 'failed' | 'cancelled';

export class JobState {
  request: JobRequest | null = null;
  createdAtMs = 0;
  changedAtMs = 0;
  plan: string | null = null;
  planSummary: unknown = null;
  cancelled: { readonly by: string; readonly reason: string } | null = null;
  report: { readonly summary: unknown; readonly isRight: boolean } | null = null;
  reassigned = 0;
  splits = 0;
  readonly pieces = new Map<string, PieceState>();
  /** Children of split pieces; the others are in the plan. */
  readonly children = new Map<string, Piece>();
  /** Ids of pieces that may be claimed some day, by phase, in order. */
  readonly #ids: string[][] = [];
  /** Before this place in its phase every piece has been claimed at least once. */
  readonly #firstUntouched: number[] = [];
  readonly #over: number[] = [];
  #planned: readonly number[] = [];
  readonly #counts = { finished: 0, failed: 0, claimed: 0 };
  /** Claimed and not over: few, for they are what workers hold. */
  readonly #held = new Set<string>();

  apply(line: JobLine): void {
    this.changedAtMs = line.atMs;
    switch (line.kind) {
      case 'created':
        this.request ??= line.job;
        this.createdAtMs ||= line.atMs;
        return;
      case 'planned':
        if (this.plan === null) this.#begin(line);
        return;
      case 'cancelled':
        this.cancelled ??= { by: line.by, reason: line.reason };
        return;
      case 'reported':
        this.report ??= { summary: line.summary, isRight: line.isRight };
        return;
      default:
        this.#applyToPiece(line);
    }
  }

  #begin(line: Extract<JobLine, { kind: 'planned' }>): void {
    this.plan = line.plan;
    this.planSummary = line.summary;
    this.#planned = line.phases;
    let next = 0;
    for (const count of line.phases) {
      this.#ids.push(Array.from({ length: count }, () => String(next++)));
      this.#firstUntouched.push(0);
      this.#over.push(0);
    }
  }

  #applyToPiece(line: Extract<JobLine, { piece: string }>): void {
    const { piece, worker } = line;
    const before = this.pieces.get(piece) ?? untouched;
    // Over is over: a worker that was given up may still tell of it.
    if (before.end !== null) return;
    switch (line.kind) {
      case 'claimed':
        if (line.attempt > 1) this.reassigned += 1;
        this.#held.add(piece);
        this.pieces.set(piece, {
          ...before,
          attempt: line.attempt,
          holder: { worker, untilMs: line.untilMs },
        });
        return;
      case 'beat':
        if (before.holder?.worker !== worker) return;
        this.pieces.set(piece, {
          ...before,
          holder: { worker, untilMs: line.untilMs },
          done: line.done,
          of: line.of,
        });
        return;
      case 'finished':
        this.#end(piece, { ...before, end: 'finished', holder: null, result: line.result });
        this.#counts.finished += 1;
        return;
      case 'failed': {
        if (before.attempt !== line.attempt) return;
        const failed = { ...before, holder: null, error: line.error };
        if (line.attempt < pieceAttemptsMax) this.pieces.set(piece, failed);
        else {
          this.#end(piece, { ...failed, end: 'failed' });
          this.#counts.failed += 1;
        }
        return;
      }
      case 'split': {
        this.#end(piece, { ...before, end: 'split', holder: null });
        this.splits += 1;
        for (const child of line.into) {
          this.children.set(child.id, child);
          this.#ids[child.phase]?.push(child.id);
        }
        return;
      }
      default:
        line satisfies never;
    }
  }

  #end(piece: string, state: PieceState): void {
    this.#held.delete(piece);
    this.pieces.set(piece, state);
    const phase = this.phaseOf(piece);
    this.#over[phase] = (this.#over[phase] ?? 0) + 1;
  }

  phaseOf(piece: string): number {
    const child = this.children.get(piece);
    if (child !== undefined) return child.phase;
    let place = Number(piece);
    for (const [phase, planned] of this.#planned.entries()) {
      if (place < planned) return phase;
      place -= planned;
    }
    return 0;
  }

  /** The phase that is worked on; null: all are over. */
  get phase(): number | null {
    const open = this.#ids.findIndex((ids, phase) => (this.#over[phase] ?? 0) < ids.length);
    return open === -1 ? null : open;
  }

  /** Free pieces, in order: never claimed, given back, or held past their time. */
  claimable(nowMs: number, max: number): { readonly id: string; readonly attempt: number }[] {
    const phase = this.phase;
    if (phase === null || this.cancelled !== null) return [];
    const found: { id: string; attempt: number }[] = [];
    for (const id of this.#held) {
      if (found.length >= max) return found;
      const state = this.pieces.get(id);
      if (state === undefined || this.phaseOf(id) !== phase) continue;
      const isFree = state.holder === null || state.holder.untilMs <= nowMs;
      if (isFree) found.push({ id, attempt: state.attempt + 1 });
    }
    const ids = this.#ids[phase] ?? [];
    let place = this.#firstUntouched[phase] ?? 0;
    while (place < ids.length && this.pieces.has(ids[place] ?? '')) place += 1;
    this.#firstUntouched[phase] = place;
    for (; place < ids.length && found.length < max; place += 1) {
      const id = ids[place] ?? '';
      if (!this.pieces.has(id)) found.push({ id, attempt: 1 });
    }
    return found;
  }

  get status(): JobStatus {
    if (this.report !== null) return this.report.isRight ? 'completed' : 'failed';
    if (this.cancelled !== null) return 'cancelled';
    if (this.plan === null) return 'planning';
    return this.phase === null ? 'reporting' : 'running';
  }

  get isOver(): boolean {
    return this.report !== null || this.cancelled !== null;
  }

  progress(): JobProgress {
    const pieces = this.#ids.reduce((sum, ids) => sum + ids.length, 0) - this.splits;
    const { failed, finished } = this.#counts;
    const running = Array.from(this.#held, (id) => ({ id, ...this.pieces.get(id) })).filter(
      ({ holder }) => holder !== null && holder !== undefined,
    );
    return {
      id: this.request?.id ?? '',
      kind: this.request?.kind ?? '',
      status: this.status,
      ...{ pieces, finished, failed },
      running: running.length,
      reassigned: this.reassigned,
      splits: this.splits,
      workers: [...new Set(running.map(({ holder }) => processOf(holder?.worker ?? '')))].sort(),
      createdAtMs: this.createdAtMs,
      changedAtMs: this.changedAtMs,
    };
  }

  /** Results of all finished pieces, and the pieces that could not be done. */
  outcomes(): {
    readonly results: readonly { readonly piece: string; readonly result: unknown }[];
    readonly failures: readonly { readonly piece: string; readonly error: string }[];
  } {
    const results: { piece: string; result: unknown }[] = [];
    const failures: { piece: string; error: string }[] = [];
    for (const [piece, { end, error, result }] of this.pieces) {
      if (end === 'finished') results.push({ piece, result });
      if (end === 'failed') failures.push({ piece, error: error ?? 'its worker died' });
    }
    return { results, failures };
  }
}

/** A holder is `<host>/<process id>/<token>/<call>`: people want to know the process. */
function processOf(holder: string): string {
  return holder.split('/').slice(0, 2).join('/');
}

/** A job in a few figures: shown as custom status and by `millrace jobs`. */
export interface JobProgress {
  readonly id: string;
  readonly kind: string;
  readonly status: JobStatus;
  readonly pieces: number;
  readonly finished: number;
  readonly failed: number;
  readonly running: number;
  readonly reassigned: number;
  readonly splits: number;
  readonly workers: readonly string[];
  readonly createdAtMs: number;
  readonly changedAtMs: number;
}
