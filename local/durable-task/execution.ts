/** What a history says about its execution. */
import {
  EventType,
  type Asked,
  type ExecutionCompleted,
  type ExecutionStarted,
  type HistoryEvent,
} from './history-event';

/** One execution of an instance, as far as it is written. */
export interface Execution {
  readonly executionId: string;
  readonly events: readonly HistoryEvent[];
}

export type RuntimeStatus =
  'Pending' | 'Running' | 'Suspended' | 'ContinuedAsNew' | 'Completed' | 'Failed' | 'Terminated';

export function startedEvent(events: readonly HistoryEvent[]): ExecutionStarted | null {
  return (
    events.find(
      (event): event is ExecutionStarted => event.EventType === EventType.ExecutionStarted,
    ) ?? null
  );
}

export function completedEvent(events: readonly HistoryEvent[]): ExecutionCompleted | null {
  return (
    events.findLast(
      (event): event is ExecutionCompleted => event.EventType === EventType.ExecutionCompleted,
    ) ?? null
  );
}

/** Events after the last episode: those of one that was written and not run yet. */
export function unrun(events: readonly HistoryEvent[]): readonly HistoryEvent[] {
  const last = events.findLastIndex(
    ({ EventType: type }) => type === EventType.OrchestratorCompleted,
  );
  return events.slice(last + 1);
}

export function isDueAtOnce(events: readonly HistoryEvent[]): boolean {
  return completedEvent(events) === null && unrun(events).length > 0;
}

export function isSuspendedBy(events: readonly HistoryEvent[]): boolean {
  const last = events.findLast(
    ({ EventType: type }) =>
      type === EventType.ExecutionSuspended || type === EventType.ExecutionResumed,
  );
  return last?.EventType === EventType.ExecutionSuspended;
}

export function isAsked(event: HistoryEvent): event is Asked {
  return (
    event.EventType === EventType.TaskScheduled ||
    event.EventType === EventType.SubOrchestrationInstanceCreated ||
    event.EventType === EventType.TimerCreated ||
    event.EventType === EventType.EventSent
  );
}

export function unnumbered(nowMs: number): {
  EventId: number;
  IsPlayed: boolean;
  Timestamp: string;
} {
  return { EventId: -1, IsPlayed: false, Timestamp: new Date(nowMs).toISOString() };
}
