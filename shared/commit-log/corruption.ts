import { StreamError } from '../model/errors';

/** A place in a log. */
export interface LogPlace {
  readonly blob: string;
  /** Byte position of the record. */
  readonly position: number;
}

/** The error for bytes that cannot be what any writer appended. */
export function corruptLog(place: LogPlace, what: string, cause?: unknown): StreamError {
  return new StreamError(
    'STREAM_LOG_CORRUPT',
    `${place.blob} at byte ${place.position}: ${what}. Nothing from there on was applied. Restore ` +
      'the blob from a copy, or begin the topology anew (millrace reset): its tables are emptied, and ' +
      'what its hubs still hold is read again.',
    { details: { ...place, what }, ...(cause === undefined ? {} : { cause }) },
  );
}
