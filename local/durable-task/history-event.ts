/**
 * The history of an orchestration, event for event as the Durable Task Framework writes it and as
 * the durable-functions package reads it. `Input` and `Result` are JSON texts.
 */

export const EventType = {
  ExecutionStarted: 0,
  ExecutionCompleted: 1,
  ExecutionTerminated: 3,
  TaskScheduled: 4,
  TaskCompleted: 5,
  TaskFailed: 6,
  SubOrchestrationInstanceCreated: 7,
  SubOrchestrationInstanceCompleted: 8,
  SubOrchestrationInstanceFailed: 9,
  TimerCreated: 10,
  TimerFired: 11,
  OrchestratorStarted: 12,
  OrchestratorCompleted: 13,
  EventSent: 14,
  EventRaised: 15,
  GenericEvent: 17,
  ExecutionSuspended: 19,
  ExecutionResumed: 20,
  ExecutionRewound: 21,
} as const;

export type EventTypeName = keyof typeof EventType;

export interface FailureDetails {
  readonly ErrorType: string;
  readonly ErrorMessage: string;
  readonly [other: string]: unknown;
}

interface ParentInstance {
  readonly OrchestrationInstance: { readonly InstanceId: string; readonly ExecutionId: string };
  readonly Name: string;
  readonly TaskScheduleId: number;
}

interface Common {
  /** -1, except for what the orchestrator asked for. */
  readonly EventId: number;
  readonly IsPlayed: boolean;
  /** ISO 8601. */
  readonly Timestamp: string;
  /** Of the message that brought this event: a message is applied once. */
  readonly MessageId?: string;
}

interface Answer extends Common {
  readonly TaskScheduledId: number;
}

type Failed = Answer & {
  readonly Reason: string;
  readonly Details: string;
  readonly FailureDetails?: FailureDetails;
};

type Reasoned = Common & { readonly Reason: string };

export interface ExecutionStarted extends Common {
  readonly EventType: typeof EventType.ExecutionStarted;
  readonly Name: string;
  readonly Version: string | null;
  readonly Input: string | null;
  readonly OrchestrationInstance: { readonly InstanceId: string; readonly ExecutionId: string };
  readonly ParentInstance: ParentInstance | null;
}

export interface ExecutionCompleted extends Common {
  readonly EventType: typeof EventType.ExecutionCompleted;
  readonly OrchestrationStatus: 'Completed' | 'Failed' | 'Terminated';
  readonly Result: string | null;
  readonly FailureDetails?: FailureDetails;
}

export type TaskScheduled = Common & {
  readonly EventType: typeof EventType.TaskScheduled;
  readonly Name: string;
  readonly Version: string | null;
  /** JSON array of the one argument. */
  readonly Input: string;
};

type SubOrchestrationCreated = Common & {
  readonly EventType: typeof EventType.SubOrchestrationInstanceCreated;
  readonly Name: string;
  readonly Version: string | null;
  readonly InstanceId: string;
  readonly Input: string | null;
};

export type TimerCreated = Common & {
  readonly EventType: typeof EventType.TimerCreated;
  readonly FireAt: string;
};

export type EventSent = Common & {
  readonly EventType: typeof EventType.EventSent;
  readonly InstanceId: string;
  readonly Name: string;
  readonly Input: string;
};

export type EventRaised = Common & {
  readonly EventType: typeof EventType.EventRaised;
  readonly Name: string;
  readonly Input: string | null;
};

/** What an orchestrator asked for; its `EventId` is its place in the order of asking. */
export type Asked = TaskScheduled | SubOrchestrationCreated | TimerCreated | EventSent;

export type HistoryEvent =
  | ExecutionStarted
  | ExecutionCompleted
  | (Common & { readonly EventType: typeof EventType.ExecutionTerminated; readonly Input: string })
  | Asked
  | (Answer & {
      readonly EventType: typeof EventType.TaskCompleted;
      readonly Result: string | null;
    })
  | (Failed & { readonly EventType: typeof EventType.TaskFailed })
  | (Answer & {
      readonly EventType: typeof EventType.SubOrchestrationInstanceCompleted;
      readonly Result: string | null;
    })
  | (Failed & { readonly EventType: typeof EventType.SubOrchestrationInstanceFailed })
  | (Common & {
      readonly EventType: typeof EventType.TimerFired;
      readonly TimerId: number;
      readonly FireAt: string;
    })
  | (Common & { readonly EventType: typeof EventType.OrchestratorStarted })
  | (Common & { readonly EventType: typeof EventType.OrchestratorCompleted })
  | EventRaised
  | (Common & { readonly EventType: typeof EventType.GenericEvent; readonly Data: string })
  | (Reasoned & { readonly EventType: typeof EventType.ExecutionSuspended })
  | (Reasoned & { readonly EventType: typeof EventType.ExecutionResumed })
  | (Reasoned & { readonly EventType: typeof EventType.ExecutionRewound });

const names = new Map<number, EventTypeName>(
  Object.entries(EventType).map(([name, code]) => [code, name as EventTypeName]),
);

export function eventTypeName(event: { readonly EventType: number }): EventTypeName {
  const name = names.get(event.EventType);
  if (name === undefined) throw new Error(`${event.EventType} is no type of history event`);
  return name;
}

/** The id of the task that this event answers; null: it answers none. */
export function answeredTaskId(event: HistoryEvent): number | null {
  switch (event.EventType) {
    case EventType.TaskCompleted:
    case EventType.TaskFailed:
    case EventType.SubOrchestrationInstanceCompleted:
    case EventType.SubOrchestrationInstanceFailed:
      return event.TaskScheduledId;
    case EventType.TimerFired:
      return event.TimerId;
    default:
      return null;
  }
}

/** An event on its way to an instance. */
export interface Message {
  /**
   * The same for the same message, however often it is sent. Null: it is derived from the history
   * (an activity's answer, a timer) and may come again.
   */
  readonly id: string | null;
  readonly instanceId: string;
  /** The execution it is for: others drop it. Null: whichever runs. */
  readonly executionId: string | null;
  readonly event: HistoryEvent;
}
