/** What is known of the supervisor's instance; null: there is none. */
export interface SupervisorLife {
  readonly runtimeStatus: string;
  readonly lastUpdatedMs: number;
}

export type WatchdogAction =
  | { readonly kind: 'leave' }
  | { readonly kind: 'start'; readonly why: string }
  /** It is there and does not move: it is ended, then started anew. */
  | { readonly kind: 'replace'; readonly why: string };

const endedStatuses = ['Completed', 'Failed', 'Terminated', 'Canceled'];

/**
 * What a watchdog does about the supervisor. Started twice does no harm, so in doubt it is started.
 * A suspended one was suspended by an operator and stays so.
 */
export function watch(
  life: SupervisorLife | null,
  now: { readonly nowMs: number; readonly stuckAfterMs: number },
): WatchdogAction {
  if (life === null) return { kind: 'start', why: 'there is none' };
  const { lastUpdatedMs, runtimeStatus } = life;
  if (endedStatuses.includes(runtimeStatus)) {
    return { kind: 'start', why: `it has ended (${runtimeStatus})` };
  }
  if (runtimeStatus === 'Suspended') return { kind: 'leave' };
  const quietMs = now.nowMs - lastUpdatedMs;
  if (quietMs < now.stuckAfterMs) return { kind: 'leave' };
  const seconds = Math.round(quietMs / 1000);
  return { kind: 'replace', why: `it is ${runtimeStatus} and has not moved for ${seconds} s` };
}
