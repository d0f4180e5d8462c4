/** Instances as the HTTP API shows them. */
import { EventType, eventTypeName, type HistoryEvent } from './history-event';
import type { Instance } from './instance-store';

export interface StatusOptions {
  readonly isInputShown: boolean;
  readonly isHistoryShown: boolean;
  readonly isHistoryOutputShown: boolean;
}

export function statusOf(
  instance: Instance,
  history: readonly HistoryEvent[],
  options: StatusOptions,
): Record<string, unknown> {
  return {
    name: instance.name,
    instanceId: instance.instanceId,
    runtimeStatus: instance.runtimeStatus,
    input: options.isInputShown ? valueOf(instance.input) : null,
    customStatus: valueOf(instance.customStatus),
    output: instance.runtimeStatus === 'Completed' ? valueOf(instance.output) : instance.output,
    createdTime: seconds(instance.createdTime),
    lastUpdatedTime: seconds(instance.lastUpdatedTime),
    ...(options.isHistoryShown && {
      historyEvents: historyShown(history, options.isHistoryOutputShown),
    }),
  };
}

/** Question and answer as one event; the marks of episodes are left out. */
function historyShown(
  history: readonly HistoryEvent[],
  isOutputShown: boolean,
): Record<string, unknown>[] {
  const asked = new Map<number, HistoryEvent>();
  const shown: Record<string, unknown>[] = [];
  for (const event of history) {
    const common = { EventType: eventTypeName(event), Timestamp: event.Timestamp };
    const since = (id: number): Record<string, unknown> => {
      const question = asked.get(id);
      return {
        ...(question && { ScheduledTime: question.Timestamp }),
        ...(question && 'Name' in question && { FunctionName: question.Name }),
      };
    };
    switch (event.EventType) {
      case EventType.OrchestratorStarted:
      case EventType.OrchestratorCompleted:
        break;
      case EventType.TaskScheduled:
      case EventType.SubOrchestrationInstanceCreated:
        asked.set(event.EventId, event);
        break;
      case EventType.TaskCompleted:
      case EventType.SubOrchestrationInstanceCompleted:
        shown.push({
          ...common,
          ...(isOutputShown && { Result: valueOf(event.Result) }),
          ...since(event.TaskScheduledId),
        });
        break;
      case EventType.TaskFailed:
      case EventType.SubOrchestrationInstanceFailed:
        shown.push({
          ...common,
          Reason: event.Reason,
          ...(isOutputShown && { Details: event.Details }),
          ...since(event.TaskScheduledId),
        });
        break;
      case EventType.ExecutionStarted:
        shown.push({ ...common, FunctionName: event.Name });
        break;
      case EventType.ExecutionCompleted:
        shown.push({
          ...common,
          OrchestrationStatus: event.OrchestrationStatus,
          ...(isOutputShown && {
            Result:
              event.OrchestrationStatus === 'Completed' ? valueOf(event.Result) : event.Result,
          }),
        });
        break;
      default: {
        shown.push({ ...event, ...common, IsPlayed: undefined, MessageId: undefined });
      }
    }
  }
  return shown;
}

/** JSON text as its value; what is no JSON stays text. */
export function valueOf(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

function seconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}
