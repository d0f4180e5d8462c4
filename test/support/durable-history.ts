/** Histories and actions in few words, for tests of the durable core. */
import { ActionType, type Action, type RetryOptions } from '../../local/durable-task/actions';
import { EventType, type HistoryEvent, type Message } from '../../local/durable-task/history-event';

export const startMs = Date.parse('2026-01-01T00:00:00.000Z');
const at = (milliseconds: number): string => new Date(startMs + milliseconds).toISOString();
const common = { EventId: -1, IsPlayed: false, Timestamp: at(0) };

export const instanceId = 'instance';
export const executionId = 'execution';

// Events

export const episode = (milliseconds = 0): HistoryEvent => ({
  ...common,
  EventType: EventType.OrchestratorStarted,
  Timestamp: at(milliseconds),
});
export const end = (): HistoryEvent => ({ ...common, EventType: EventType.OrchestratorCompleted });
export const started = (input: unknown = null, name = 'main'): HistoryEvent => ({
  ...common,
  EventType: EventType.ExecutionStarted,
  Name: name,
  Version: null,
  Input: JSON.stringify(input),
  OrchestrationInstance: { InstanceId: instanceId, ExecutionId: executionId },
  ParentInstance: null,
});
export const scheduled = (EventId: number, Name = 'work'): HistoryEvent => ({
  ...common,
  EventType: EventType.TaskScheduled,
  EventId,
  Name,
  Version: null,
  Input: '[null]',
});
export const completed = (TaskScheduledId: number, result: unknown = null): HistoryEvent => ({
  ...common,
  EventType: EventType.TaskCompleted,
  TaskScheduledId,
  Result: JSON.stringify(result),
});
export const failed = (TaskScheduledId: number): HistoryEvent => ({
  ...common,
  EventType: EventType.TaskFailed,
  TaskScheduledId,
  Reason: 'it failed',
  Details: '',
});
export const timerCreated = (EventId: number, milliseconds = 0): HistoryEvent => ({
  ...common,
  EventType: EventType.TimerCreated,
  EventId,
  FireAt: at(milliseconds),
});
export const fired = (TimerId: number, milliseconds = 0): HistoryEvent => ({
  ...common,
  EventType: EventType.TimerFired,
  TimerId,
  FireAt: at(milliseconds),
});
export const raised = (Name: string, input: unknown = null): HistoryEvent => ({
  ...common,
  EventType: EventType.EventRaised,
  Name,
  Input: JSON.stringify(input),
});
export const childCreated = (EventId: number, Name = 'child'): HistoryEvent => ({
  ...common,
  EventType: EventType.SubOrchestrationInstanceCreated,
  EventId,
  Name,
  Version: null,
  InstanceId: `${executionId}:${EventId}`,
  Input: null,
});
export const suspended = (): HistoryEvent => ({
  ...common,
  EventType: EventType.ExecutionSuspended,
  Reason: '',
});
export const resumed = (): HistoryEvent => ({
  ...common,
  EventType: EventType.ExecutionResumed,
  Reason: '',
});

export const message = (
  event: HistoryEvent,
  id: string | null = null,
  target: string | null = executionId,
): Message => ({ id, instanceId, executionId: target, event });

// Actions

export const activity = (functionName = 'work', input?: unknown): Action => ({
  actionType: ActionType.CallActivity,
  functionName,
  input,
});
export const retried = (
  maxNumberOfAttempts: number,
  options: Partial<RetryOptions> = {},
): Action => ({
  actionType: ActionType.CallActivityWithRetry,
  functionName: 'work',
  retryOptions: { firstRetryIntervalInMilliseconds: 1_000, maxNumberOfAttempts, ...options },
});
export const child = (instance?: string): Action => ({
  actionType: ActionType.CallSubOrchestrator,
  functionName: 'child',
  ...(instance !== undefined && { instanceId: instance }),
});
export const timer = (milliseconds: number, isCanceled = false): Action => ({
  actionType: ActionType.CreateTimer,
  fireAt: at(milliseconds),
  isCanceled,
});
export const event = (externalEventName: string): Action => ({
  actionType: ActionType.WaitForExternalEvent,
  externalEventName,
});
export const all = (...compoundActions: Action[]): Action => ({
  actionType: ActionType.WhenAll,
  compoundActions,
});
export const any = (...compoundActions: Action[]): Action => ({
  actionType: ActionType.WhenAny,
  compoundActions,
});
export const signal = (operation = 'add'): Action => ({
  actionType: ActionType.SignalEntity,
  instanceId: '@counter@a',
  operation,
  input: 1,
});
export const call = (operation = 'get'): Action => ({
  actionType: ActionType.CallEntity,
  instanceId: '@counter@a',
  operation,
});
export const lock = (): Action => ({
  actionType: ActionType.LockEntities,
  lockRequestId: 'lock-1',
  lockSet: [
    { name: 'Counter', key: 'a' },
    { name: 'counter', key: 'b' },
  ],
});
export const release = (): Action => ({ actionType: ActionType.ReleaseEntities });
export const continueAsNew = (input: unknown): Action => ({
  actionType: ActionType.ContinueAsNew,
  input,
});
