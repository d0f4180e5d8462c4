import { invariant, StreamError } from '../model/errors';

/** Every try costs a run: results shrink faster than events, of which most are innocent. */
const resultsDivisor = 16;

/** How much one commit takes on. */
export interface CommitCut {
  readonly eventsMax: number;
  /** Results (closed windows) that may fire in it. */
  readonly resultsMax: number;
  /** Dead-letter the first event unprocessed, with this error. */
  readonly quarantineFirst: StreamError | null;
  /** Dead-letter the first result that is due, with this error. */
  readonly refuseFirstResult: StreamError | null;
}

/** A commit that was made and does not fit one append. */
export interface TooLarge {
  readonly events: number;
  readonly bytes: number;
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
    return { ...cut, quarantineFirst: tooLarge('this one event', made) };
  }
  const isResultToBlame = events === 0 && cut.refuseFirstResult === null;
  invariant(isResultToBlame, 'a dead letter fits one commit', { ...made });
  return { ...cut, refuseFirstResult: tooLarge('this one result', made) };
}

function tooLarge(what: string, { bytes, bytesMax }: TooLarge): StreamError {
  return new StreamError(
    'STREAM_EVENT_TOO_LARGE',
    `what ${what} makes takes ${bytes} bytes, a commit holds ${bytesMax}`,
  );
}
