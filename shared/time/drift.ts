/**
 * How far source partitions may run ahead of the slowest one. What is ahead waits behind the exchange for time to
 * come: over a backlog with one slow partition the next stage's state would grow with the backlog.
 *
 * A survey says how far all partitions with waiting input were at one moment. One that was too far ahead of the
 * least of them is held back until a survey says otherwise. Both are looked at in the same survey, and a lead that
 * the slowest makes good at once, at the pace at which it goes, is none: partitions that go through a long history
 * at about one speed, days in a second, are hours apart at any moment, and nobody waits for anybody.
 */

/** What the slowest goes through in this time at its pace is no lead of others: it fills no state. */
export const catchUpMs = 30_000;
/** A pace is that of so long, at least: what a single commit does is none. */
const paceOverMs = 5_000;

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
  /** The least of those that are read on, with its pace; null: of none. */
  readonly least: { readonly watermarkMs: number; readonly pace: number | null } | null;
  /** By partition, event time that it last went through in a millisecond; of those of which that is known. */
  readonly paces: Readonly<Record<string, number>>;
  /** Where they were when the paces were last measured. */
  readonly since: {
    readonly atMs: number;
    readonly watermarksMs: Readonly<Record<string, number>>;
  };
}

/** @param before what was said of the same stage last; null: nothing */
export function sourceTimes(
  stage: string,
  surveyedAtMs: number,
  sources: readonly SurveyedSource[],
  before: SourceTimes | null,
): SourceTimes {
  const known = watermarksOf(sources);
  const sinceMs = surveyedAtMs - (before?.since.atMs ?? surveyedAtMs);
  const isMeasured = before !== null && sinceMs >= paceOverMs;
  const paces = isMeasured ? pacesOf(known, before.since.watermarksMs, sinceMs) : before?.paces;
  const waiting = sources.filter(({ lag }) => lag > 0);
  let least: SourceTimes['least'] = null;
  for (const { isStuck, partition, watermarkMs } of waiting) {
    if (isStuck || watermarkMs === null) continue;
    if (least !== null && watermarkMs >= least.watermarkMs) continue;
    least = { watermarkMs, pace: paces?.[partition] ?? null };
  }
  return {
    ...{ stage, surveyedAtMs, least, paces: paces ?? {} },
    watermarksMs: watermarksOf(waiting),
    since:
      before === null || isMeasured ? { atMs: surveyedAtMs, watermarksMs: known } : before.since,
  };
}

function watermarksOf(sources: readonly SurveyedSource[]): Record<string, number> {
  return Object.fromEntries(
    sources.flatMap(({ partition, watermarkMs }) =>
      watermarkMs === null ? [] : [[partition, watermarkMs]],
    ),
  );
}

function pacesOf(
  now: Readonly<Record<string, number>>,
  then: Readonly<Record<string, number>>,
  sinceMs: number,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(now).flatMap(([partition, watermarkMs]) => {
      const thenMs = then[partition];
      return thenMs === undefined ? [] : [[partition, Math.max(0, watermarkMs - thenMs) / sinceMs]];
    }),
  );
}

/**
 * How far a source partition was ahead of where the least one is within `catchUpMs`, when both were surveyed, in
 * milliseconds of event time; 0: it is not, or nothing is known of it or of the pace of the least.
 * @param all of the source stages of a topology that feed an exchange; those from before `knownSinceMs` are too
 *   old to be believed: whoever surveys may be gone
 */
export function aheadByMs(
  all: readonly SourceTimes[],
  task: { readonly stage: string; readonly partition: string },
  knownSinceMs: number,
): number {
  const known = all.filter(({ surveyedAtMs }) => surveyedAtMs >= knownSinceMs);
  const [least] = known
    .flatMap((times) => times.least ?? [])
    .sort((left, right) => left.watermarkMs - right.watermarkMs);
  const own = known.find(
    ({ stage, watermarksMs }) => stage === task.stage && watermarksMs[task.partition] !== undefined,
  );
  const ownMs = own?.watermarksMs[task.partition];
  if (ownMs === undefined || least === undefined || least.pace === null) return 0;
  return Math.max(0, ownMs - least.watermarkMs - least.pace * catchUpMs);
}
