import { StreamError } from '../model/errors';

/** What the writer of a seal begins with where a reset ended the log; the job's name follows. */
export const resetWriterPrefix = 'reset/';

/**
 * A reset ended this log and is not over: neither the log nor the tables can be gone on with.
 *
 * @param log blob, or what the names of the log's blobs begin with
 */
export function unfinishedReset(
  log: string,
  topology: string,
  details: Readonly<Record<string, unknown>>,
): StreamError {
  return new StreamError(
    'STREAM_RESET_UNFINISHED',
    `${log} was ended by a reset of ${topology} that is not over: wait for it, or run millrace reset ${topology} again`,
    { details },
  );
}
