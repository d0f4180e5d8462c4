/** Which faults strike when: all of it follows from the seed. */
import { Random } from '../simulation/world/random';
import { controlFaults } from './faults/control-faults';
import { eventFaults } from './faults/event-faults';
import type { FaultKind } from './faults/fault';
import { hubFaults } from './faults/hub-faults';
import { storeFaults } from './faults/store-faults';
import { workerFaults } from './faults/worker-faults';

export const faultKinds: readonly FaultKind[] = [
  ...workerFaults,
  ...storeFaults,
  ...hubFaults,
  ...eventFaults,
  ...controlFaults,
];

export interface ScheduledFault {
  readonly number: number;
  /** From the beginning of the run. */
  readonly atMs: number;
  readonly kind: FaultKind;
  /** What it strikes and how hard follows from this. */
  readonly seed: number;
}

/** The first epoch has no commit yet: all workers die in it (F25). */
const firstFaultMs = 700;
/** Gaps are between these times the one that is asked for. */
const gapSpread = { least: 0.3, most: 1.7 } as const;
/** Runs shorter than this have no faults that take minutes to get over. */
const longFromMs = 180_000;

/**
 * Kinds come from a shuffled deck, and from another when it is empty: a long run has them all.
 * @param names only these kinds; null: all
 */
export function scheduleOf(options: {
  readonly seed: number;
  readonly forMs: number;
  /** From one fault to the next, on average. */
  readonly gapMs: number;
  readonly names: readonly string[] | null;
}): ScheduledFault[] {
  const { forMs, gapMs, names, seed } = options;
  const random = new Random(seed);
  const kinds = faultKinds.filter(({ isLong, name }) =>
    names === null ? isLong !== true || forMs >= longFromMs : names.includes(name),
  );
  const [first] = faultKinds.filter(({ name }) => name === 'kill-all-workers');
  const schedule: ScheduledFault[] = [];
  if (names === null && first !== undefined) {
    schedule.push({ number: 1, atMs: firstFaultMs, kind: first, seed: random.below(2 ** 32) });
  }
  const { least, most } = gapSpread;
  let deck: FaultKind[] = [];
  for (let atMs = firstFaultMs; kinds.length > 0;) {
    atMs += Math.round(gapMs * (least + (most - least) * random.next()));
    if (atMs >= forMs) break;
    if (deck.length === 0) deck = shuffled(kinds, random);
    const kind = deck.pop();
    if (kind === undefined) break;
    schedule.push({ number: schedule.length + 1, atMs, kind, seed: random.below(2 ** 32) });
  }
  return schedule;
}

function shuffled(kinds: readonly FaultKind[], random: Random): FaultKind[] {
  const deck = kinds.flatMap((kind) => Array.from({ length: kind.weight }, () => kind));
  for (let at = deck.length - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    const [one, two] = [deck[at], deck[other]];
    if (one !== undefined && two !== undefined) [deck[at], deck[other]] = [two, one];
  }
  return deck;
}

/** Rows of the fault matrix that no fault here makes, or makes in part, and why. */
export const notMade: readonly (readonly [row: string, why: string])[] = [
  ['F4', 'in part: the store’s clock cannot be set'],
  ['F8', 'in part: no body is cut off on its way; unit tests read damaged and cut records'],
  ['F9', 'in part: no full account; Azurite knows no quota'],
  ['F10', 'in part: no expired tokens; the emulator’s do not expire'],
  ['F14', 'in part: rounds of a bisection are counted in test/unit/task/attempts.test.ts'],
  ['F17', 'in part: when a frozen worker happens to hold an activity; not forced'],
  ['F18', 'in part: the supervisor is ended, not stuck; unit tests have the watchdog’s decisions'],
  ['F20', 'in part: no partitions are added, nothing is retired; the emulator does neither'],
  ['F21', 'in part: no checkpoint of wrong bytes'],
  ['F22', 'no other version of the code; bytes and histories in test/fixtures stand for it'],
  ['F24', 'in part: no slow external calls; no shipped topology makes any'],
  ['F26', 'no other bytes at the same offset; the emulator’s log cannot lie'],
];
