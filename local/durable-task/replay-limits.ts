/** Longer timers are made of shorter ones; both sides must cut them at the same places. */
export const timerLimits = {
  longRunningTimerIntervalDuration: '3.00:00:00',
  longRunningTimerIntervalMs: 3 * 86_400_000,
  maximumShortTimerDuration: '6.00:00:00',
  maximumShortTimerMs: 6 * 86_400_000,
};
