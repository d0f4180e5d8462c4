import { invariant, StreamError } from '../model/errors';
import type { Quarantine } from './run-range';

/** Every try costs a run: results shrink faster than events, of which most are innocent. */
const resultsDivisor = 16;

/** How much one commit takes on. */
export interface CommitCut {
  readonly eventsMax: number;
  /** Results (closed windows) that may fire in it. */
  readonly resultsMax: number;
  readonly quarantineFirst: Quarantine | null;
  /** Dead-letter the first result that is due, with this error. */
  readonly refuseFirstResult: StreamError | null;
}

/** A commit that was made and does not fit one append. */
export interface TooLarge {
  readonly events: number;
  readonly bytesMax: number;
}

/**
 * The next smaller commit to try: fewer events, then fewer results; then what is too large alone is
 * a dead letter: an event only where it fires nothing, a result only where no event is beside it.
 */
export function cutSmaller(cut: CommitCut, made: TooLarge): CommitCut {
  const { events } = made;
  if (events > 1) return { ...cut, eventsMax: Math.ceil(events / 2) };
  if (cut.resultsMax > 1) return { ...cut, resultsMax: Math.ceil(cut.resultsMax / resultsDivisor) };
  if (events === 1 && cut.resultsMax === 1) return { ...cut, resultsMax: 0 };
  if (events === 1 && cut.quarantineFirst === null) {
    return { ...cut, quarantineFirst: { what: 'event', error: tooLarge('this one event', made) } };
  }
  const isResultToBlame = events === 0 && cut.refuseFirstResult === null;
  invariant(isResultToBlame, 'a dead letter fits one commit', { ...made });
  return { ...cut, refuseFirstResult: tooLarge('this one result', made) };
}

/** Why what one event or one result makes is a dead letter instead. */
export function tooLarge(what: string, { bytesMax }: Pick<TooLarge, 'bytesMax'>): StreamError {
  return new StreamError(
    'STREAM_EVENT_TOO_LARGE',
    `what ${what} makes takes more than the ${bytesMax} bytes that a commit holds`,
  );
}

/** What of a range one commit takes on. */
export interface TakenOn {
  readonly messages: number;
  readonly eventsMax: number;
  readonly quarantineFirst: Quarantine | null;
}

export const noSuspicion: TakenOn = { messages: 0, eventsMax: Infinity, quarantineFirst: null };

export function takenOn(next: {
  readonly scope: 'messages' | 'events';
  readonly count: number;
}): TakenOn {
  return next.scope === 'messages'
    ? { messages: next.count, eventsMax: Infinity, quarantineFirst: null }
    : { messages: 1, eventsMax: next.count, quarantineFirst: null };
}
