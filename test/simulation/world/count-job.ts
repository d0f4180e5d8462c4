import { Type } from 'typebox';
import type { JobKind } from '../../../shared/operations/jobs/job-kind';
import type { Faults } from './faults';
import type { Random } from './random';
import type { Actor, Scheduler } from './scheduler';

/** A stretch of numbers. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** Stretches that follow each other from 0 on. */
export function countPieces(random: Random): Stretch[] {
  const pieces: Stretch[] = [];
  for (let from = 0, left = random.between(1, 6); left > 0; left -= 1) {
    const to = from + random.between(1, 5);
    pieces.push({ from, to });
    from = to;
  }
  return pieces;
}

/**
 * A job whose pieces say the numbers of their stretch: every number has to be in its report once,
 * however often a piece failed, hung, was split, or was done by two.
 */
export function countKind(world: {
  readonly actor: Actor;
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly random: Random;
  readonly leaseMs: number;
}): JobKind {
  const { actor, faults, leaseMs, random, scheduler } = world;
  return {
    name: 'count',
    options: Type.Object({
      pieces: Type.Array(Type.Object({ from: Type.Integer(), to: Type.Integer() })),
    }),
    async plan(options) {
      const { pieces } = options as { pieces: readonly Stretch[] };
      const half = Math.ceil(pieces.length / 2);
      return {
        pieces: pieces.map((work, index) => ({ phase: index < half ? 0 : 1, work })),
        summary: null,
      };
    },
    async run(work, context) {
      const { from, to } = work as Stretch;
      const said: number[] = [];
      for (let number = from; number < to; number += 1) {
        await context.beat(said.length, to - from);
        await scheduler.step(actor, `says ${number}`);
        if (faults.strikes('piece-fails', 0.15)) throw new Error(`${number} was not to be had`);
        if (faults.strikes('piece-hangs', 0.15)) {
          await scheduler.sleep(actor, `hangs at ${number}`, random.between(leaseMs, 4 * leaseMs));
        }
        said.push(number);
      }
      return { said };
    },
    split(work) {
      const { from, to } = work as Stretch;
      if (to - from < 2) return null;
      const middle = Math.ceil((from + to) / 2);
      return [
        { from, to: middle },
        { from: middle, to },
      ];
    },
    async report(_options, { results }) {
      const said = results.flatMap((result) => (result as { said: number[] }).said);
      return { summary: { said: said.sort((left, right) => left - right) }, isRight: true };
    },
  };
}
