/**
 * Who is claimed to be idle. A claim speaks of positions and of no clock: the ends of all source partitions are
 * read; then the partitions' tasks are asked; then all ends are read again. A partition that did not move, and
 * whose task has read it to its end and sent all that it made of it, gets a claim {cursor, ends}: whatever comes
 * in it from now on was enqueued after everything up to the ends. What consumers make of claims is in
 * exchange-time.ts.
 */
import { comparePositions, type Position, type Positions } from './position';

/** What a task says when it is asked whether it has anything left to do. */
export interface RestFacts {
  readonly epoch: number;
  readonly cursor: Position;
  /**
   * `rests`: all that it sent has arrived, and all consumers know its time. `awaited`: windows before the
   * exchange are open in it: its results are still to come, so that it must be waited for.
   */
  readonly state: 'rests' | 'awaited';
}

/** What is known of a claim that was made, or that could not be. */
export interface JournalledClaim extends RestFacts {
  readonly ends: Positions;
}

/** By source partition, `<stage>/<partition>`. */
export type ClaimJournal = Readonly<Record<string, JournalledClaim>>;

/** True where there is nothing new to say of a partition: neither it nor any other has moved. */
export function isClaimCurrent(
  journal: ClaimJournal,
  task: { readonly name: string; readonly epoch: number },
  ends: Positions,
): boolean {
  const { name: partition } = task;
  const claim = journal[partition];
  // Another life of its log may have told consumers that know nothing of it any more.
  if (claim === undefined || claim.epoch !== task.epoch) return false;
  return Object.entries(ends).every(([name, end]) => {
    if (name === partition) return comparePositions(end, claim.cursor) === 0;
    // Results that are awaited are not said to be here: that others move changes nothing.
    if (claim.state === 'awaited') return true;
    const known = claim.ends[name];
    return known !== undefined && comparePositions(end, known) <= 0;
  });
}

/** The claims that can be made now, and what could not be claimed and need not be asked again. */
export function claimsOf(read: {
  /** All ends, read before any task was asked. */
  readonly ends: Positions;
  readonly facts: ReadonlyMap<string, RestFacts>;
  /** All ends, read after that. */
  readonly endsAgain: Positions;
}): Map<string, JournalledClaim> {
  const claims = new Map<string, JournalledClaim>();
  for (const [partition, facts] of read.facts) {
    const end = read.ends[partition];
    const again = read.endsAgain[partition];
    const hasStayed =
      end !== undefined &&
      again !== undefined &&
      comparePositions(end, again) === 0 &&
      comparePositions(facts.cursor, end) >= 0;
    if (hasStayed) claims.set(partition, { ...facts, ends: read.ends });
  }
  return claims;
}
