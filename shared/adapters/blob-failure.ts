import { RestError } from '@azure/storage-blob';
import { StreamError } from '../model/errors';

/** Statuses after which the same request may well succeed. */
const transientStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** Status of the service's answer; undefined: there was none. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined;
}

/** The service's own error code, e.g. `BlobNotFound`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof RestError ? error.code : undefined;
}

/** True for time-outs, broken connections and the service's passing troubles. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined || transientStatuses.has(status);
}

/** The one error for everything that leaves the outcome unknown or needs an operator. */
export function storeUnavailable(
  request: { readonly operation: string; readonly blob: string; readonly tries: number },
  cause: unknown,
): StreamError {
  const status = statusOf(cause);
  const code = codeOf(cause);
  const reason = cause instanceof Error ? firstLine(cause.message) : String(cause);
  const answer = status === undefined ? `no answer (${reason})` : `${status} ${code ?? reason}`;
  return new StreamError(
    'STREAM_STORE_UNAVAILABLE',
    `${request.operation} on blob ${request.blob}: ${answer}, tries: ${request.tries}. ` +
      howToMend(status, code),
    {
      cause,
      details: {
        ...request,
        status: status ?? null,
        code: code ?? null,
        requestId: requestIdOf(cause),
      },
    },
  );
}

function howToMend(status: number | undefined, code: string | undefined): string {
  if (code === 'BlockCountExceedsLimit') {
    return 'The append blob is full: the log must roll, which waits for its outputs to leave.';
  }
  if (status === 401 || status === 403) {
    return (
      'The account refuses this identity: give it the role Storage Blob Data Contributor, check the ' +
      'key in the connection string, the firewall and the clock of this machine.'
    );
  }
  if (status === 429 || status === 503) {
    return 'The account is throttled or at its limits: see its metrics; it is tried again.';
  }
  if (status === undefined) return 'Check that the endpoint is right and can be reached.';
  if (status < 500) return 'The account refuses this request: see its code.';
  return 'The store is in trouble: see the status of the service; it is tried again.';
}

function requestIdOf(error: unknown): string | null {
  if (!(error instanceof RestError)) return null;
  return error.response?.headers.get('x-ms-request-id') ?? null;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
