/**
 * The supervisor's decisions, as pure functions from what was surveyed to what is done: they run
 * inside an orchestration and must give the same answer on every replay.
 */
import type { Need } from './survey/assess';
import { needsByUrgency } from './survey/assess';
import type { Finding } from './survey/surveyor';

/** Sent along in the orchestration's history: a changed setting never changes a cycle under way. */
export interface SupervisorLimits {
  /** From the beginning of one cycle to that of the next, where the first does not take longer. */
  readonly periodMs: number;
  /** Activities of one wave. */
  readonly concurrencyMax: number;
  /** Pieces of one cycle: what is left over is found again by the next. */
  readonly piecesMax: number;
  /** Waves in which a cycle tries again what failed or ran over. */
  readonly roundsMax: number;
  /** Tasks that need little are looked after by so many at a time. */
  readonly lightTasksPerPiece: number;
  /** How long an activity may work, and when it is given up. */
  readonly tendBudgetMs: number;
  readonly overrunAfterMs: number;
  /** Tries, over all cycles, before a task is marked. */
  readonly attemptsMax: number;
  /** A marked task is still tried every so many cycles: nothing stays failed. */
  readonly markedRetryCycles: number;
}

export interface TendTarget {
  readonly functionName: string;
  readonly partition: string;
  readonly needs: readonly Need[];
  readonly why: string;
  readonly commit: number;
  readonly attempt: number;
}

/** What one activity is asked to do. */
export interface TendPiece {
  readonly id: string;
  readonly targets: readonly TendTarget[];
  readonly budgetMs: number;
}

/** What became of one target. */
export interface TendOutcome {
  readonly functionName: string;
  readonly partition: string;
  /** `done`; `more`: it went on, input is left; `elsewhere`: another process is at it; `failed`. */
  readonly result: 'done' | 'more' | 'elsewhere' | 'failed';
  readonly commit: number;
  readonly worker: string;
  readonly error: string | null;
}

/** A task whose tending has failed since it last succeeded. */
export interface Trouble {
  readonly functionName: string;
  readonly partition: string;
  readonly attempt: number;
  readonly sinceMs: number;
  readonly error: string;
  readonly isMarked: boolean;
  readonly markedAtCycle: number;
}

/** What the supervisor carries from cycle to cycle. */
export interface SupervisorMemory {
  readonly troubles: Readonly<Record<string, Trouble>>;
  /** Tasks whose recovery is under way, with the commit at which it was left. */
  readonly recovering: Readonly<Record<string, number>>;
  /** Tasks whose outbox the supervisor sent in the last cycle, with the commit. */
  readonly settled: Readonly<Record<string, number>>;
}

export const noteKinds = ['reassigned', 'marked', 'mended', 'survey-failed', 'deferred'] as const;

/** What is told of a decision beside the tending itself: also as a log line `supervisor.<kind>`. */
export interface SupervisorNote {
  readonly kind: (typeof noteKinds)[number];
  readonly functionName: string;
  readonly partition: string;
  readonly attempt: number;
  readonly why: string;
}

export const emptyMemory: SupervisorMemory = { troubles: {}, recovering: {}, settled: {} };

function taskKey(task: { functionName: string; partition: string }): string {
  return `${task.functionName}/${task.partition}`;
}

function urgency(finding: { readonly needs: readonly Need[] }): number {
  return Math.min(...finding.needs.map((need) => needsByUrgency.indexOf(need)));
}

/** A task that needs much has a piece of its own. */
function isHeavy({ needs }: { readonly needs: readonly Need[] }): boolean {
  return needs.includes('recover') || needs.includes('drain');
}

/** Survey → pieces, most urgent first, at most `piecesMax`; the rest is left to the next cycle. */
export function planPieces(
  findings: readonly Finding[],
  memory: SupervisorMemory,
  cycle: number,
  limits: SupervisorLimits,
): { readonly pieces: readonly TendPiece[]; readonly deferred: readonly Finding[] } {
  const targets = findings
    .filter((finding) => isDue(memory.troubles[taskKey(finding)], cycle, limits))
    .map((finding): TendTarget => {
      const trouble = memory.troubles[taskKey(finding)];
      const { commit, functionName, needs, partition, why } = finding;
      return { functionName, partition, needs, why, commit, attempt: (trouble?.attempt ?? 0) + 1 };
    })
    .sort(byUrgency);
  const pieces = toPieces(targets, `${cycle}.1`, limits);
  const kept = pieces.slice(0, limits.piecesMax);
  const keptKeys = new Set(kept.flatMap((piece) => piece.targets.map(taskKey)));
  const due = new Set(targets.map(taskKey));
  const deferred = findings.filter(
    (finding) => due.has(taskKey(finding)) && !keptKeys.has(taskKey(finding)),
  );
  return { pieces: kept, deferred };
}

function byUrgency(left: TendTarget, right: TendTarget): number {
  const leftKey = taskKey(left);
  const rightKey = taskKey(right);
  const byName = leftKey < rightKey ? -1 : leftKey > rightKey ? 1 : 0;
  return urgency(left) - urgency(right) || byName;
}

function isDue(trouble: Trouble | undefined, cycle: number, limits: SupervisorLimits): boolean {
  if (trouble === undefined || !trouble.isMarked) return true;
  return (cycle - trouble.markedAtCycle) % limits.markedRetryCycles === 0;
}

/** From the 2nd attempt on every task is alone: one that hangs must not hold others up again. */
function toPieces(
  targets: readonly TendTarget[],
  prefix: string,
  limits: SupervisorLimits,
): TendPiece[] {
  const groups: TendTarget[][] = [];
  let light: TendTarget[] = [];
  for (const target of targets) {
    if (isHeavy(target) || target.attempt > 1) {
      groups.push([target]);
      continue;
    }
    if (light.length === 0) groups.push(light);
    light.push(target);
    if (light.length >= limits.lightTasksPerPiece) light = [];
  }
  return groups.map((group, index) => ({
    id: `${prefix}.${index}`,
    targets: group,
    budgetMs: limits.tendBudgetMs,
  }));
}

/** What one wave came to: null stands for a piece that failed as a whole or ran over its time. */
export interface WaveResult {
  readonly piece: TendPiece;
  readonly outcomes: readonly TendOutcome[] | null;
  readonly error: string | null;
}

/**
 * One wave's results → the memory, what to tell, and the pieces to try again at once. A target
 * that failed is tried again alone, on whichever worker is free, until its attempts are used up.
 */
export function settleWave(
  wave: readonly WaveResult[],
  memory: SupervisorMemory,
  at: {
    readonly cycle: number;
    readonly round: number;
    readonly nowMs: number;
    readonly limits: SupervisorLimits;
  },
): {
  readonly memory: SupervisorMemory;
  readonly notes: readonly SupervisorNote[];
  readonly again: readonly TendPiece[];
} {
  const troubles: Record<string, Trouble> = { ...memory.troubles };
  const recovering: Record<string, number> = { ...memory.recovering };
  const settled: Record<string, number> = { ...memory.settled };
  const notes: SupervisorNote[] = [];
  const again: TendTarget[] = [];
  for (const { error, outcomes, piece } of wave) {
    for (const target of piece.targets) {
      const key = taskKey(target);
      const outcome = outcomes?.find((candidate) => taskKey(candidate) === key);
      if (outcome === undefined || outcome.result === 'failed') {
        const reason = outcome?.error ?? error ?? 'its worker did not answer in time';
        const failure = failed(target, reason, troubles[key], at);
        troubles[key] = failure.trouble;
        // Until its log goes on it is the supervisor's to recover, however young the last attempt.
        if (target.needs.includes('recover')) recovering[key] = target.commit;
        notes.push(...failure.notes);
        if (failure.retry !== null) again.push(failure.retry);
        continue;
      }
      const trouble = troubles[key];
      delete troubles[key];
      delete recovering[key];
      if (outcome.result === 'done') settled[key] = outcome.commit;
      if (outcome.result === 'more') {
        recovering[key] = outcome.commit;
        again.push({ ...target, attempt: 1, commit: outcome.commit });
      }
      if (trouble?.isMarked === true) {
        notes.push({ ...note(target), kind: 'mended', why: `it failed with: ${trouble.error}` });
      }
    }
  }
  const pieces =
    at.round < at.limits.roundsMax
      ? toPieces(again.sort(byUrgency), `${at.cycle}.${at.round + 1}`, at.limits)
      : [];
  return { memory: { troubles, recovering, settled }, notes, again: pieces };
}

function failed(
  target: TendTarget,
  reason: string,
  before: Trouble | undefined,
  at: { readonly cycle: number; readonly nowMs: number; readonly limits: SupervisorLimits },
): { trouble: Trouble; notes: SupervisorNote[]; retry: TendTarget | null } {
  const { attempt, functionName, partition } = target;
  const isLast = attempt >= at.limits.attemptsMax;
  const trouble = {
    ...{ functionName, partition, attempt },
    sinceMs: before?.sinceMs ?? at.nowMs,
    error: reason.slice(0, 300),
    isMarked: isLast,
    markedAtCycle: isLast ? (before?.isMarked === true ? before.markedAtCycle : at.cycle) : 0,
  };
  if (isLast) {
    const isNews = before?.isMarked !== true;
    return {
      trouble,
      notes: isNews ? [{ ...note(target), kind: 'marked', why: trouble.error }] : [],
      retry: null,
    };
  }
  return {
    trouble,
    notes: [{ ...note(target), kind: 'reassigned', why: trouble.error }],
    retry: { ...target, attempt: attempt + 1 },
  };
}

function note(target: TendTarget): Omit<SupervisorNote, 'kind' | 'why'> {
  const { attempt, functionName, partition } = target;
  return { functionName, partition, attempt };
}

/** The part of a memory that one survey page needs: by partition, of one function. */
export function memoryOf(
  values: Readonly<Record<string, number>>,
  functionName: string,
): Record<string, number> {
  const prefix = `${functionName}/`;
  const own: Record<string, number> = {};
  for (const [key, value] of Object.entries(values)) {
    if (key.startsWith(prefix)) own[key.slice(prefix.length)] = value;
  }
  return own;
}
