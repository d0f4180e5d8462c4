import type { FailureDetails } from './history-event';

/** Asked for what the host can't do: the execution fails with this message. */
export class HostFailure extends Error {}

/** A failure as the host writes it: System.Exception in the JSON of Json.NET. */
export function exceptionText(message: string): string {
  return JSON.stringify({
    $type: 'System.Exception, System.Private.CoreLib',
    ClassName: 'System.Exception',
    Message: message,
    Data: null,
    InnerException: null,
    HelpURL: null,
    StackTraceString: null,
    RemoteStackTraceString: null,
    RemoteStackIndex: 0,
    ExceptionMethod: null,
    HResult: -2146233088,
    Source: null,
    WatsonBuckets: null,
  });
}

/** What a failed activity puts into the history. */
export function activityFailure(
  name: string,
  message: string,
): { Reason: string; Details: string; FailureDetails?: FailureDetails } {
  const reason = `Activity function '${name}' failed:  ${message}`;
  const details = failureDetailsOf(message);
  return {
    Reason: reason,
    Details: exceptionText(reason),
    ...(details && { FailureDetails: details }),
  };
}

/** An app with an exception properties provider makes its errors' messages JSON of this shape. */
function failureDetailsOf(message: string): FailureDetails | null {
  if (!message.startsWith('{')) return null;
  let value: Partial<Record<string, unknown>>;
  try {
    value = JSON.parse(message) as typeof value;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  const { errorType, errorMessage, isNonRetriable, properties, stackTrace } = value;
  if (typeof errorType !== 'string' || typeof errorMessage !== 'string') return null;
  return {
    ErrorType: errorType,
    ErrorMessage: errorMessage,
    IsNonRetriable: isNonRetriable === true,
    Properties: properties ?? null,
    StackTrace: stackTrace ?? null,
  };
}
