import { comparePositions, type Position, type Positions } from './position';

/** A watermark that everything has passed: time is over. */
export const endOfTimeMs = Number.MAX_SAFE_INTEGER;

/** Whoever keeps this watermark has ended or was drained: nothing more comes, and nothing is waited for. */
export function isTimeOver(watermarkMs: number | null): boolean {
  return watermarkMs !== null && watermarkMs >= endOfTimeMs;
}

/** A claim that a source partition is idle: nothing had come in it when all of `ends` had been read. */
export interface Claim {
  readonly cursor: Position;
  readonly ends: Positions;
}

/** What one producer has said of time, to one port of one consumer. */
export interface ProducerTime {
  /** The producing task, `<stage>/<partition>`. */
  readonly name: string;
  readonly port: number;
  /** Null: it has said nothing yet. */
  readonly watermarkMs: number | null;
  /** The source positions that its watermark covers. */
  readonly through: Positions;
  readonly isFinished: boolean;
  readonly claim: Claim | null;
}

/**
 * The watermark behind an exchange: the minimum over its producers, but for those whose time is over (finished, or
 * drained) and those that are claimed to be idle; where all the others are claimed, the latest of theirs; where
 * time is over for all, the end of time. Null: somebody has not spoken yet.
 *
 * A claim about B says that nothing had come in B when the ends of all other source partitions had been read. So
 * it holds until B speaks again, and while nothing has been heard of another beyond its end: what comes in B
 * later came after all of that. No clock is asked, and none can be wrong.
 */
export function exchangeWatermarkMs(producers: readonly ProducerTime[]): number | null {
  const unfinished = producers.filter(({ isFinished }) => !isFinished);
  // A drain reaches one partition before another: a claim about the other is no word that its time is over.
  const working = unfinished.filter(({ watermarkMs }) => !isTimeOver(watermarkMs));
  if (working.length === 0) return producers.length === 0 ? null : endOfTimeMs;
  const heard = working.some(({ claim }) => claim !== null) ? heardOf(unfinished) : {};
  let earliest = Infinity;
  let latestClaimed: number | null = null;
  for (const producer of working) {
    const { watermarkMs } = producer;
    if (isLeftOut(producer, heard)) {
      if (watermarkMs !== null) latestClaimed = Math.max(latestClaimed ?? watermarkMs, watermarkMs);
    } else {
      if (watermarkMs === null) return null;
      earliest = Math.min(earliest, watermarkMs);
    }
  }
  return earliest < Infinity ? earliest : latestClaimed;
}

/** Of each source partition the latest position that any of them has told of. */
export function heardOf(producers: readonly Pick<ProducerTime, 'through'>[]): Positions {
  const heard: Record<string, Position> = {};
  for (const { through } of producers) {
    for (const [name, position] of Object.entries(through)) {
      const known = heard[name];
      if (known === undefined || comparePositions(known, position) < 0) heard[name] = position;
    }
  }
  return heard;
}

/** True while its claim holds. */
function isLeftOut(producer: ProducerTime, heard: Positions): boolean {
  const { claim, name } = producer;
  if (claim === null) return false;
  return Object.entries(heard).every(([partition, position]) => {
    if (partition === name) return comparePositions(position, claim.cursor) <= 0;
    const end = claim.ends[partition];
    return end !== undefined && comparePositions(position, end) <= 0;
  });
}
