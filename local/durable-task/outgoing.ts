import { startedEvent, unnumbered } from './execution';
import type { Begun } from './episode';
import { exceptionText } from './failures';
import {
  EventType,
  type ExecutionCompleted,
  type ExecutionStarted,
  type HistoryEvent,
  type Message,
} from './history-event';
import { deterministicGuid } from './names';

/** The messages that an event of the history stands for. Their ids make them repeatable. */
export function outgoingOf(begun: Begun, event: HistoryEvent): Message[] {
  const started = startedEvent([...begun.past, ...begun.fresh]);
  const { executionId, instanceId } = begun;
  switch (event.EventType) {
    case EventType.EventSent:
      return [
        {
          id: `${executionId}:${event.EventId}`,
          instanceId: event.InstanceId,
          executionId: null,
          event: {
            EventType: EventType.EventRaised,
            ...unnumbered(Date.parse(event.Timestamp)),
            Name: event.Name,
            Input: event.Input,
          },
        },
      ];
    case EventType.SubOrchestrationInstanceCreated: {
      const childExecutionId = deterministicGuid(executionId, event.EventId);
      return [
        {
          id: `start:${childExecutionId}`,
          instanceId: event.InstanceId,
          executionId: childExecutionId,
          event: {
            EventType: EventType.ExecutionStarted,
            ...unnumbered(Date.parse(event.Timestamp)),
            Name: event.Name,
            Version: event.Version,
            Input: event.Input,
            OrchestrationInstance: {
              InstanceId: event.InstanceId,
              ExecutionId: childExecutionId,
            },
            ParentInstance: {
              OrchestrationInstance: { InstanceId: instanceId, ExecutionId: executionId },
              Name: started?.Name ?? '',
              TaskScheduleId: event.EventId,
            },
          },
        },
      ];
    }
    case EventType.ExecutionCompleted:
      return started === null ? [] : answerToParent(started, event);
    default:
      return [];
  }
}

function answerToParent(started: ExecutionStarted, end: ExecutionCompleted): Message[] {
  const parent = started.ParentInstance;
  if (parent === null) return [];
  const answer = {
    ...unnumbered(Date.parse(end.Timestamp)),
    TaskScheduledId: parent.TaskScheduleId,
  };
  const reason = end.Result ?? end.OrchestrationStatus;
  return [
    {
      id: `end:${started.OrchestrationInstance.ExecutionId}:${end.Timestamp}`,
      instanceId: parent.OrchestrationInstance.InstanceId,
      executionId: parent.OrchestrationInstance.ExecutionId,
      event:
        end.OrchestrationStatus === 'Completed'
          ? {
              EventType: EventType.SubOrchestrationInstanceCompleted,
              ...answer,
              Result: end.Result,
            }
          : {
              EventType: EventType.SubOrchestrationInstanceFailed,
              ...answer,
              Reason: reason,
              Details: exceptionText(reason),
              ...(end.FailureDetails && { FailureDetails: end.FailureDetails }),
            },
    },
  ];
}
