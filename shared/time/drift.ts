/**
 * How far source partitions may run ahead of the slowest one. What is ahead waits behind the exchange for time to
 * come: over a backlog with one slow partition the next stage's state would grow with the backlog.
 *
 * A survey says how far all partitions with waiting input were at one moment. One that was too far ahead of the
 * least of them is held back until a survey says otherwise. Both are looked at in the same survey: where all
 * partitions go through a long history at one speed, nobody waits for anybody.
 */

/** What one survey saw of a source partition. */
export interface SurveyedSource {
  readonly partition: string;
  readonly watermarkMs: number | null;
  /** Messages in the hub that it has not read: else nobody need wait for it. */
  readonly lag: number;
  /** It has stood still for so long that waiting for it would be no use: somebody has to see to it. */
  readonly isStuck: boolean;
}

/** What one survey says of the partitions of a source stage that have input to read. */
export interface SourceTimes {
  readonly stage: string;
  readonly surveyedAtMs: number;
  /** The watermarks of those that wait to be read on, by partition. */
  readonly watermarksMs: Readonly<Record<string, number>>;
  /** The least of those that are read on; null: of none. */
  readonly leastMs: number | null;
}

export function sourceTimes(
  stage: string,
  surveyedAtMs: number,
  sources: readonly SurveyedSource[],
): SourceTimes {
  const waiting = sources.filter(({ lag, watermarkMs }) => lag > 0 && watermarkMs !== null);
  const moving = waiting
    .filter(({ isStuck }) => !isStuck)
    .map(({ watermarkMs }) => watermarkMs ?? 0);
  return {
    ...{ stage, surveyedAtMs },
    watermarksMs: Object.fromEntries(
      waiting.map(({ partition, watermarkMs }) => [partition, watermarkMs ?? 0]),
    ),
    leastMs: moving.length === 0 ? null : Math.min(...moving),
  };
}

/**
 * How far a source partition was ahead of the least one when it was surveyed, in milliseconds of event time; 0:
 * nothing is known of it, or nobody is behind it.
 * @param all of the source stages of a topology that feed an exchange; those from before `knownSinceMs` are too
 *   old to be believed: whoever surveys may be gone
 */
export function aheadByMs(
  all: readonly SourceTimes[],
  task: { readonly stage: string; readonly partition: string },
  knownSinceMs: number,
): number {
  const known = all.filter(({ surveyedAtMs }) => surveyedAtMs >= knownSinceMs);
  const leastMs = Math.min(...known.map((times) => times.leastMs ?? Infinity));
  const own = known.find(
    ({ stage, watermarksMs }) => stage === task.stage && watermarksMs[task.partition] !== undefined,
  );
  const ownMs = own?.watermarksMs[task.partition];
  return ownMs === undefined || leastMs === Infinity ? 0 : Math.max(0, ownMs - leastMs);
}
