import { Type, type Static } from 'typebox';
import type { AppendStore, Clock } from '../../../model/ports';
import type { StagePlan } from '../../../model/program';
import { whyNotRedriven, type LetterToSettle } from '../../../task/settle-letters';
import type { LetterVerdict } from '../../../model/commit';
import type { Runtime } from '../../../task/runtime';
import type { DeadLetterLimits } from '../../../dataflow/graph';
import { letterFilter, readLetters, type FiledLetter } from '../../letters/letter-reader';
import type { JobKind } from '../job-kind';

const redriveOptions = Type.Object({
  topology: Type.String(),
  verdict: Type.Union([Type.Literal('redriven'), Type.Literal('discarded')]),
  reason: Type.String(),
  filter: letterFilter,
  /** Also those whose attempts are used up or that are too old. */
  isForced: Type.Boolean(),
});

export type RedriveOptions = Static<typeof redriveOptions>;

interface RedriveWork {
  readonly functionName: string;
  readonly partition: string;
  readonly verdict: LetterVerdict['kind'];
  readonly reason: string;
  readonly letters: readonly LetterToSettle[];
}

interface RedriveResult {
  readonly settled: number;
  readonly wasSettled: number;
  /** How the redriven events ended. */
  readonly ends: Readonly<Record<string, number>>;
}

const lettersPerPiece = 200;

/**
 * Settles a topology's open dead letters, task by task and in the order in which they died. What a
 * redriven event does and that its letter is settled are one commit of its task, so pieces may be
 * run twice.
 */
export function redriveKind(world: {
  readonly appends: AppendStore;
  readonly clock: Clock;
  readonly runtime: Runtime;
  readonly stages: readonly StagePlan[];
  readonly limitsOf: (topology: string) => DeadLetterLimits;
}): JobKind {
  return {
    name: 'redrive',
    options: redriveOptions,

    async plan(given) {
      const options = given as RedriveOptions;
      const letters = await readLetters(world.appends, options.topology, {
        ...options.filter,
        state: 'open',
      });
      const limits = world.limitsOf(options.topology);
      const left: Record<string, number> = {};
      const taken = letters.filter((filed) => {
        const isGone = functionOf(world.stages, filed) === null;
        const why = isGone ? stageGone : whyLeft(filed, options, limits, world.clock.nowMs());
        if (why !== null) left[why] = (left[why] ?? 0) + 1;
        return why === null;
      });
      const pieces = groupByTask(taken).flatMap((group) => {
        const { letters: own, path } = group;
        const functionName = functionOf(world.stages, group);
        return chunks(own, lettersPerPiece).map((chunk) => ({
          phase: 0,
          work: {
            ...{ functionName: functionName ?? '', partition: path.partition },
            ...{ verdict: options.verdict, reason: options.reason },
            letters: chunk.map(({ id, letter }) => ({ id, letter })),
          } satisfies RedriveWork,
        }));
      });
      return { pieces, summary: { found: letters.length, taken: taken.length, left } };
    },

    async run(given, context) {
      const work = given as RedriveWork;
      const ends: Record<string, number> = {};
      let rest = work.letters;
      let [settled, wasSettled] = [0, 0];
      while (rest.length > 0) {
        await context.beat(settled + wasSettled, work.letters.length);
        const answer = await world.runtime.settleLetters({
          ...{ functionName: work.functionName, partition: work.partition },
          ...{ kind: work.verdict, reason: work.reason, by: `job ${context.jobId}` },
          letters: rest,
          deadlineMs: context.deadlineMs,
        });
        for (const { verdict, wasSettled: isOld } of answer) {
          if (isOld) wasSettled += 1;
          else settled += 1;
          const end = verdict.end ?? verdict.kind;
          if (!isOld) ends[end] = (ends[end] ?? 0) + 1;
        }
        const done = new Set(answer.map(({ id }) => id));
        const next = rest.filter(({ id }) => !done.has(id));
        if (next.length === rest.length) {
          throw new Error('its time was over before a letter was settled');
        }
        rest = next;
      }
      return { settled, wasSettled, ends } satisfies RedriveResult;
    },

    split(given) {
      const work = given as RedriveWork;
      if (work.letters.length < 2) return null;
      const half = Math.ceil(work.letters.length / 2);
      return chunks(work.letters, half).map((letters) => ({ ...work, letters }));
    },

    async report(_options, { planSummary, results }) {
      const ends: Record<string, number> = {};
      let [settled, wasSettled] = [0, 0];
      for (const result of results as readonly RedriveResult[]) {
        settled += result.settled;
        wasSettled += result.wasSettled;
        for (const [end, count] of Object.entries(result.ends))
          ends[end] = (ends[end] ?? 0) + count;
      }
      const summary = { ...(planSummary as object), settled, wasSettled, ends };
      return { summary, isRight: (ends['deadLettered'] ?? 0) === 0 };
    },
  };
}

function whyLeft(
  { diedAtMs, letter }: FiledLetter,
  options: RedriveOptions,
  limits: DeadLetterLimits,
  nowMs: number,
): string | null {
  if (options.verdict === 'discarded') return null;
  const never = whyNotRedriven(letter);
  if (never !== null) return never;
  if (options.isForced) return null;
  if (letter.attempts >= limits.attemptsMax) {
    return `its ${limits.attemptsMax} attempts are used up (--force takes it all the same)`;
  }
  if (nowMs - diedAtMs > limits.ageMaxMs) {
    return 'it is older than the topology allows (--force takes it all the same)';
  }
  return null;
}

/** A decision may have taken it out, with letters that nobody had settled. */
const stageGone =
  'this build has no such stage any more: they stay where they are, to be looked at';

/** Null: this build has no such stage. */
function functionOf(
  stages: readonly StagePlan[],
  { path: { stage, topology } }: Pick<FiledLetter, 'path'>,
): string | null {
  const found = stages.find((plan) => plan.topology === topology && plan.name === stage);
  return found?.functionName ?? null;
}

function groupByTask(
  letters: readonly FiledLetter[],
): { path: FiledLetter['path']; letters: FiledLetter[] }[] {
  const groups = new Map<string, { path: FiledLetter['path']; letters: FiledLetter[] }>();
  for (const filed of letters) {
    const name = `${filed.path.stage}/${filed.path.partition}`;
    const group = groups.get(name) ?? { path: filed.path, letters: [] };
    group.letters.push(filed);
    groups.set(name, group);
  }
  return Array.from(groups.values());
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  const cut: Item[][] = [];
  for (let start = 0; start < items.length; start += size) {
    cut.push(items.slice(start, start + size));
  }
  return cut;
}
