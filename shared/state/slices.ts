import type { Clock } from '../model/ports';

/** How long work on a whole state may keep a process from everything else. */
const sliceMs = 10;
/** The clock is looked at once every so many steps: looking is not free. */
const stepsPerLook = 16;
/** Where the clock stands still, as in a simulation. */
const stepsMax = 20_000;

export interface SlicedWorld {
  readonly clock: Clock;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

/** Says when a slice that begins now is over. */
function sliceFrom(clock: Clock): () => boolean {
  const untilMs = clock.nowMs() + sliceMs;
  let asked = 0;
  return () => {
    asked += 1;
    return asked >= stepsMax || clock.nowMs() >= untilMs;
  };
}

/** Takes steps to their end in slices; others have their turn between two. */
export async function inSlices(
  steps: Iterator<void>,
  { clock, sleep }: SlicedWorld,
): Promise<void> {
  let isOver = sliceFrom(clock);
  for (let step = 1; steps.next().done !== true; step += 1) {
    if (step % stepsPerLook !== 0 || !isOver()) continue;
    await sleep(0);
    isOver = sliceFrom(clock);
  }
}
