import { defaultStageLimits, type StageLimits } from '../../../shared/task/services';
import type { TablePlan } from '../../../shared/model/table';
import type { FaultKind } from './faults';
import type { Random } from './random';
import type { Quiet, SourceTime } from './topology';
import { burstSpanMs, firstOrderMs } from './workload';

export const startMs = Date.UTC(2026, 5, 1);

/** How a partition is worked on, from nearly idle to saturated. */
export const loads = [
  { messages: 10, everyMs: 2_500 },
  { messages: 25, everyMs: 800 },
  { messages: 60, everyMs: 40 },
] as const;

/** Limits far below those of production, so that rolls, cuts and budgets happen within a run. */
export function limitsOf(random: Random): StageLimits {
  return {
    ...defaultStageLimits,
    gapReadMessagesMax: random.pick([3, 20, 1000]),
    firedResultsMax: random.pick([1, 3, 5000]),
    stallAfterMs: 5_000,
    claimEveryMs: random.pick([400, 4_000]),
    maxDriftMs: random.pick([5_000, 3_600_000]),
    logRetentionMs: random.pick([5_000, defaultStageLimits.logRetentionMs]),
    log: {
      blocksMax: random.pick([4, 10, 40_000]),
      bytesMax: random.pick([4_000, 64 * 1024 * 1024]),
      ageMaxMs: random.pick([20_000, 24 * 60 * 60 * 1000]),
      blockBytesMax: random.pick([6_000, 4 * 1024 * 1024]),
    },
  };
}

/**
 * Between two checks the numbers of a new hub may happen to continue those of the former: that is
 * not promised to be noticed (docs/CONCEPTS.md), so where hubs are created again each batch asks.
 */
export function hubCheckIntervalOf(random: Random, kinds: ReadonlySet<FaultKind>): number {
  const intervalMs = random.pick([0, 30_000]);
  return kinds.has('hub-recreated') || kinds.has('exchange-loss') ? 0 : intervalMs;
}

/** How the source's time goes in this run. */
export function sourceTimeOf(random: Random, kinds: ReadonlySet<FaultKind>): SourceTime {
  return { quiet: quietOf(random, kinds), early: random.pick(['deadLetter', 'clamp']) };
}

/**
 * Where wall clock moves time. Orders happened five months before they are sent: with the delay that is allowed
 * some of them are behind time, and windows close while others are still to come.
 */
function quietOf(random: Random, kinds: ReadonlySet<FaultKind>): Quiet | null {
  if (!kinds.has('idle')) return null;
  // Wall clock overtakes the last events while the run still lasts, and before all windows are closed by them.
  const aheadMs = random.pick([300_000, 430_000, 460_000, 500_000]);
  const burstMs = kinds.has('burst') ? random.between(0, 1) * burstSpanMs : 0;
  const delayMs = startMs - firstOrderMs - aheadMs - burstMs;
  return { after: random.pick([10, 40]), maxDelay: delayMs };
}

/** Tables are written after so many rows, or so late. */
export function flushOf(random: Random): TablePlan['flush'] {
  return {
    rowsMax: random.pick([1, 10, 1000]),
    bytesMax: 1 << 24,
    ageMaxMs: random.pick([1_000, 20_000]),
  };
}
