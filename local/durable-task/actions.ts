/** What durable-functions returns from an orchestrator: the actions of the whole execution so far. */

export const ActionType = {
  CallActivity: 0,
  CallActivityWithRetry: 1,
  CallSubOrchestrator: 2,
  CallSubOrchestratorWithRetry: 3,
  ContinueAsNew: 4,
  CreateTimer: 5,
  WaitForExternalEvent: 6,
  CallEntity: 7,
  CallHttp: 8,
  SignalEntity: 9,
  WhenAny: 11,
  WhenAll: 12,
  LockEntities: 13,
  ReleaseEntities: 14,
} as const;

export interface RetryOptions {
  readonly firstRetryIntervalInMilliseconds: number;
  readonly maxNumberOfAttempts: number;
  readonly backoffCoefficient?: number;
  readonly maxRetryIntervalInMilliseconds?: number;
  readonly retryTimeoutInMilliseconds?: number;
}

export interface HttpRequest {
  readonly method: string;
  readonly uri: string;
  readonly content?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly tokenSource?: unknown;
  readonly asynchronousPatternEnabled?: boolean;
}

/** What callHttp gives to the orchestrator. */
export interface HttpResult {
  readonly statusCode: number;
  /** A list where a header came several times. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly content: string;
}

interface Call {
  readonly functionName: string;
  readonly input?: unknown;
}

interface SubCall extends Call {
  readonly instanceId?: string;
  readonly version?: string;
}

interface Operation {
  /** `@name@key` */
  readonly instanceId: string;
  readonly operation: string;
  readonly input?: unknown;
}

interface Retried {
  readonly retryOptions: RetryOptions;
}

export type Action =
  | (Call & { readonly actionType: typeof ActionType.CallActivity })
  | (Call & Retried & { readonly actionType: typeof ActionType.CallActivityWithRetry })
  | (SubCall & { readonly actionType: typeof ActionType.CallSubOrchestrator })
  | (SubCall & Retried & { readonly actionType: typeof ActionType.CallSubOrchestratorWithRetry })
  | { readonly actionType: typeof ActionType.ContinueAsNew; readonly input?: unknown }
  | {
      readonly actionType: typeof ActionType.CreateTimer;
      readonly fireAt: string;
      readonly isCanceled: boolean;
    }
  | {
      readonly actionType: typeof ActionType.WaitForExternalEvent;
      readonly externalEventName: string;
    }
  | (Operation & { readonly actionType: typeof ActionType.CallEntity })
  | (Operation & { readonly actionType: typeof ActionType.SignalEntity })
  | { readonly actionType: typeof ActionType.CallHttp; readonly httpRequest: HttpRequest }
  | {
      readonly actionType: typeof ActionType.WhenAny | typeof ActionType.WhenAll;
      readonly compoundActions: readonly Action[];
    }
  | {
      readonly actionType: typeof ActionType.LockEntities;
      readonly lockSet: readonly { readonly name: string; readonly key: string }[];
      readonly lockRequestId: string;
    }
  | { readonly actionType: typeof ActionType.ReleaseEntities };

/** One run of an orchestrator function. */
export interface OrchestratorOutput {
  readonly isDone: boolean;
  readonly actions: readonly Action[];
  readonly output?: unknown;
  /** What the function threw. */
  readonly error?: string;
  readonly customStatus?: unknown;
  readonly failureDetails?: { readonly ErrorType: string; readonly ErrorMessage: string };
}

/** Between an error's own text and the orchestrator's state, in the message that the package throws. */
const stateMark = '\n\n$OutOfProcData$:';

/** Reads what an orchestrator function returned: a JSON text or its value. */
export function outputOfResult(value: unknown): OrchestratorOutput {
  const state = (typeof value === 'string' ? JSON.parse(value) : value) as
    (Omit<OrchestratorOutput, 'actions'> & { actions?: Action[][] }) | null;
  if (typeof state !== 'object' || state === null || !Array.isArray(state.actions)) {
    throw new Error(
      'the function returned no orchestrator state; is it made by durable-functions?',
    );
  }
  return { ...state, actions: state.actions.flat() };
}

/** Reads what an orchestrator function threw. */
export function outputOfError(message: string): OrchestratorOutput {
  const at = message.indexOf(stateMark);
  if (at < 0) return { isDone: false, actions: [], error: message };
  const state = outputOfResult(message.slice(at + stateMark.length));
  return { ...state, error: state.error ?? message.slice(0, at) };
}
