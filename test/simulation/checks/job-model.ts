import type { JobLine, Piece } from '../../../shared/operations/jobs/job-state';
import { pieceAttemptsMax } from '../../../shared/operations/jobs/job-state';
import { holds, same } from './invariants';

interface PieceSeen {
  readonly work: unknown;
  attempt: number;
  /** Who has it, and until when by its own clock. */
  holder: { readonly worker: string; readonly untilMs: number } | null;
  end: 'finished' | 'failed' | 'split' | null;
  result: unknown;
}

/** One job, followed line by line of its journal. Shares no code with the one that workers use. */
export class JobModel {
  readonly id: string;
  isOver = false;
  readonly #plans: ReadonlyMap<string, Uint8Array>;
  readonly #pieces = new Map<string, PieceSeen>();

  /** @param plans every plan that was stored, by its name */
  constructor(id: string, plans: ReadonlyMap<string, Uint8Array>) {
    this.id = id;
    this.#plans = plans;
  }

  onLine(line: JobLine): void {
    if (line.kind === 'planned') this.#onPlan(line.plan);
    else if (line.kind === 'reported') this.#onReport(line.summary);
    else if ('piece' in line) this.#onPiece(line);
  }

  #onPlan(name: string): void {
    same(this.#pieces.size, 0, 'I12', `${this.id}: pieces when it is planned`);
    const bytes = this.#plans.get(name);
    holds(bytes !== undefined, 'I4', () => `${this.id}: its plan ${name} is not there`);
    const lines = Buffer.from(bytes).toString().split('\n');
    for (const line of lines) if (line !== '') this.#add(JSON.parse(line) as Piece);
  }

  #add({ id, work }: Piece): void {
    holds(!this.#pieces.has(id), 'I3', () => `${this.id}: piece ${id} is there twice`);
    this.#pieces.set(id, { work, attempt: 0, holder: null, end: null, result: null });
  }

  #onPiece(line: Extract<JobLine, { piece: string }>): void {
    const what = `${this.id}: ${line.kind} ${line.piece} by ${line.worker}`;
    const piece = this.#pieces.get(line.piece);
    holds(piece !== undefined, 'I3', () => `${what}: no such piece`);
    if (line.kind === 'claimed' || line.kind === 'split') {
      same(piece.end, null, 'I3', `${what}: its end before`);
      const isFree = piece.holder === null || piece.holder.untilMs <= line.atMs;
      holds(isFree, 'I5', () => `${what}: ${piece.holder?.worker} has it`);
      holds(!this.isOver, 'I4', () => `${what}: the job is over`);
    }
    // Who was given up may still tell of it: the first end counts.
    if (piece.end !== null) return;
    switch (line.kind) {
      case 'claimed':
        same(line.attempt, piece.attempt + 1, 'I12', `${what}: its attempt`);
        holds(line.attempt <= pieceAttemptsMax, 'I12', () => `${what}: attempt ${line.attempt}`);
        piece.attempt = line.attempt;
        piece.holder = line;
        return;
      case 'beat':
        same(line.worker, piece.holder?.worker, 'I5', `${what}: who has it`);
        piece.holder = line;
        return;
      case 'finished':
        piece.end = 'finished';
        piece.result = line.result;
        return;
      case 'failed':
        if (line.attempt !== piece.attempt) return;
        piece.holder = null;
        if (line.attempt >= pieceAttemptsMax) piece.end = 'failed';
        return;
      case 'split':
        piece.end = 'split';
        for (const child of line.into) this.#add(child);
        same(
          line.into.flatMap(({ work }) => unitsOf(work)),
          unitsOf(piece.work),
          'I3',
          `${what}: what its parts hold`,
        );
        return;
      default:
        line satisfies never;
    }
  }

  /** Every unit of work is in the report once, or its piece failed as often as it may. */
  #onReport(summary: unknown): void {
    holds(!this.isOver, 'I3', () => `${this.id} is reported twice`);
    this.isOver = true;
    const pieces = Array.from(this.#pieces, ([id, piece]) => ({ id, ...piece }));
    const open = pieces.filter(({ end }) => end === null).map(({ id }) => id);
    same(open, [], 'I4', `${this.id}: pieces that are not over when it is reported`);
    const { said } = summary as { said?: readonly number[] };
    if (said === undefined) return;
    const done = pieces.filter(({ end }) => end === 'finished');
    const numbers = done.flatMap(({ work }) => unitsOf(work) as number[]);
    same(
      said,
      numbers.sort((left, right) => left - right),
      'I3',
      `${this.id}: what it counted`,
    );
  }
}

/** What a piece's work consists of: numbers of one that counts, letters of one that redrives. */
function unitsOf(work: unknown): unknown[] {
  const { from, letters, to } = work as {
    from?: number;
    to?: number;
    letters?: readonly { id: string }[];
  };
  if (letters !== undefined) return letters.map(({ id }) => id);
  if (from === undefined || to === undefined) return [];
  return Array.from({ length: to - from }, (_, index) => from + index);
}
