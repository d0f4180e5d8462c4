/** How many workers the scaler may choose from. */
export interface WorkerRange {
  readonly min: number;
  readonly max: number;
}

/** More processes than this on one machine are a slip of the keyboard. */
export const workersMax = 64;

/** What a running stack is told: `3` or `0` workers by hand, or a range for votes. */
export function parseWorkerWish(text: string): WorkerRange {
  return text.trim() === '0' ? { min: 0, max: 0 } : parseWorkerRange(text);
}

/** Reads `1..4`, or one number. Zero is refused: nobody would run timers, which votes follow from. */
export function parseWorkerRange(text: string): WorkerRange {
  const match = /^(\d{1,3})(?:\.\.(\d{1,3}))?$/.exec(text.trim());
  const min = Number(match?.[1]);
  const max = Number(match?.[2] ?? match?.[1]);
  if (match !== null && min >= 1 && min <= max && max <= workersMax) return { min, max };
  throw new RangeError(
    `"${text}" is not a range of workers: give MIN..MAX, as in 1..4, from 1 to ${workersMax}; ` +
      'at least one worker must run, for timers and HTTP',
  );
}
