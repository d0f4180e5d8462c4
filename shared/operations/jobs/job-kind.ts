import type { TObject } from 'typebox';
import type { Piece } from './job-state';

/** What a piece's code is given to work with. */
export interface PieceContext {
  readonly jobId: string;
  /** Where a kind keeps what does not fit a result: `jobs/<id>/`. */
  readonly folder: string;
  readonly deadlineMs: number;
  /**
   * To be awaited often, at points where the work may stop: renews the lease when it is time and
   * tells how far the piece is. Rejects when the job was cancelled or the piece given to another.
   */
  beat(done?: number, of?: number): Promise<void>;
}

interface JobPlan {
  readonly pieces: readonly Omit<Piece, 'id'>[];
  /** What the plan leaves out, and why: goes into the report. */
  readonly summary: unknown;
}

interface JobReport {
  /** Small: it is kept in the journal and printed. */
  readonly summary: unknown;
  /** False: an operator has to look. */
  readonly isRight: boolean;
}

/**
 * One kind of job. Every method may run more than once, at the same time on several workers, and
 * may be killed anywhere: what it does must be the same as done once.
 */
export interface JobKind {
  readonly name: string;
  /** What its options must be: checked before anything of the job is done. */
  readonly options: TObject;
  plan(options: unknown, context: Pick<PieceContext, 'folder' | 'jobId'>): Promise<JobPlan>;
  run(work: unknown, context: PieceContext): Promise<unknown>;
  /** Smaller pieces that together are this one; null: it cannot be split. */
  split(work: unknown): readonly unknown[] | null;
  report(
    options: unknown,
    outcomes: {
      readonly planSummary: unknown;
      readonly results: readonly unknown[];
      readonly failures: readonly { readonly piece: string; readonly error: string }[];
    },
    context: Pick<PieceContext, 'folder' | 'jobId'>,
  ): Promise<JobReport>;
}
