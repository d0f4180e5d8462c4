/** Longer ones, over times of any event, would no longer be exact: 3,170 years. */
const durationMsMax = 10 ** 14;

/** What is wrong with durations of an operator, by the names that the user gave them by. */
export function faultsInDurations(
  durations: Readonly<Record<string, number>>,
  leastMs = 0,
): readonly string[] {
  return Object.entries(durations)
    .filter(([, ms]) => !(Number.isSafeInteger(ms) && ms >= leastMs && ms <= durationMsMax))
    .map(
      ([name, ms]) =>
        `its ${name} must be a whole number of milliseconds from ${leastMs} to ${durationMsMax}, it is ${String(ms)}`,
    );
}
