/**
 * What the caller must do with a failure.
 * - `retry`: transient; try again with backoff until the deadline.
 * - `reopen`: what this process knows of the log or of the hub is out of date; let go of the task and open it
 *   from its log again. To try the same again in place would meet the same.
 * - `quarantine`: this one event can never succeed; dead-letter it and go on.
 * - `halt`: going on would break a promise; stop the task and tell the operator.
 */
export type Disposition = 'retry' | 'reopen' | 'quarantine' | 'halt';

/** Every error code of the engine with its disposition. docs/ERRORS.md explains each (checked both ways). */
export const errorTable = {
  STREAM_EVENT_UNDECODABLE: 'quarantine',
  STREAM_EVENT_INVALID: 'quarantine',
  STREAM_EVENT_EARLY: 'quarantine',
  STREAM_EVENT_TOO_LARGE: 'quarantine',
  STREAM_EVENT_KILLED_WORKER: 'quarantine',
  STREAM_MESSAGE_KILLED_WORKER: 'quarantine',
  STREAM_USER_FUNCTION_THREW: 'quarantine',
  STREAM_RESULT_FAILED: 'quarantine',
  STREAM_STORE_UNAVAILABLE: 'retry',
  STREAM_HUB_UNAVAILABLE: 'retry',
  STREAM_HUB_RECREATED: 'reopen',
  STREAM_HUB_PROMOTED: 'reopen',
  STREAM_SINK_OPEN: 'retry',
  STREAM_WORKER_FULL: 'retry',
  STREAM_COMMIT_CONTENDED: 'reopen',
  STREAM_TABLE_CONTENDED: 'retry',
  STREAM_LOG_CORRUPT: 'halt',
  STREAM_LOG_BEHIND: 'halt',
  STREAM_LOG_VERSION_UNKNOWN: 'halt',
  STREAM_SNAPSHOT_CORRUPT: 'halt',
  STREAM_RESET_UNFINISHED: 'halt',
  STREAM_DECISION_NEEDED: 'halt',
  STREAM_BUILD_SUPERSEDED: 'halt',
  STREAM_CONTROL_UNREADABLE: 'halt',
  STREAM_STATE_TOO_LARGE: 'halt',
  STREAM_STATE_MISMATCH: 'halt',
  STREAM_TABLE_INCOMPATIBLE: 'halt',
  STREAM_FILE_UNREADABLE: 'halt',
  STREAM_TOPOLOGY_INVALID: 'halt',
  STREAM_CONFIGURATION_INVALID: 'halt',
} as const satisfies Record<string, Disposition>;

export type ErrorCode = keyof typeof errorTable;

export interface StreamErrorOptions {
  /** The failure underneath, kept whole. */
  readonly cause?: unknown;
  /** Facts for the operator: where it happened, and the values that matter. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The one error type of the engine: branch on `disposition` or `code`, never on message text. */
export class StreamError extends Error {
  override readonly name = 'StreamError';
  readonly code: ErrorCode;
  readonly disposition: Disposition;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: StreamErrorOptions = {}) {
    super(
      `${code}: ${message}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.disposition = errorTable[code];
    this.details = options.details ?? {};
  }
}

/** Opening the task from its log again is what helps. */
export function asksToReopen(error: unknown): boolean {
  return error instanceof StreamError && error.disposition === 'reopen';
}

/** The same work may succeed later, here or elsewhere: nothing has to be mended by anybody. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof StreamError &&
    (error.disposition === 'retry' || error.disposition === 'reopen')
  );
}

/** A programmer's mistake, stated positively; on in production. */
export function invariant(
  condition: unknown,
  statement: string,
  details: Readonly<Record<string, unknown>> = {},
): asserts condition {
  if (!condition) {
    throw new Error(`Invariant broken: ${statement} ${JSON.stringify(details)}`);
  }
}
