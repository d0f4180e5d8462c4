/** Instances as the HTTP API shows them. */
import { EventType, eventTypeName, type HistoryEvent } from './history-event';
import type { Instance } from './instance-store';

export interface StatusOptions {
  readonly isInputShown: boolean;
  readonly isHistoryOutputShown: boolean;
}

/** `history`: null: it is not shown. */
export function statusOf(
  instance: Instance,
  history: readonly HistoryEvent[] | null,
  options: StatusOptions,
): Record<string, unknown> {
  return {
    name: instance.name,
    instanceId: instance.instanceId,
    runtimeStatus: instance.runtimeStatus,
    input: options.isInputShown ? valueOf(instance.input) : null,
    customStatus: valueOf(instance.customStatus),
    output: valueOf(instance.output),
    createdTime: seconds(instance.createdTime),
    lastUpdatedTime: seconds(instance.lastUpdatedTime),
    ...(history && { historyEvents: historyShown(history, options) }),
  };
}

/** Question and answer as one event; the marks of episodes are left out. */
function historyShown(
  history: readonly HistoryEvent[],
  { isInputShown, isHistoryOutputShown }: StatusOptions,
): Record<string, unknown>[] {
  const asked = new Map<number, HistoryEvent>();
  const answered = new Set<HistoryEvent>();
  for (const event of history) {
    if ('EventId' in event && event.EventId >= 0) asked.set(event.EventId, event);
    const question = 'TaskScheduledId' in event ? asked.get(event.TaskScheduledId) : undefined;
    if (question !== undefined) answered.add(question);
  }
  return history
    .filter((event) => !answered.has(event) && !isMark(event))
    .map((event) => {
      const question = 'TaskScheduledId' in event ? asked.get(event.TaskScheduledId) : undefined;
      const shown: Record<string, unknown> = { ...event, EventType: eventTypeName(event) };
      if (event.EventType === EventType.ExecutionStarted) {
        delete shown['Name'];
        shown['FunctionName'] = event.Name;
      }
      if (question !== undefined) {
        shown['ScheduledTime'] = question.Timestamp;
        if ('Name' in question) shown['FunctionName'] = question.Name;
        if ('Input' in question) shown['Input'] = question.Input;
      }
      if ('Result' in event && isHistoryOutputShown) shown['Result'] = valueOf(event.Result);
      else delete shown['Result'];
      if (!isInputShown) delete shown['Input'];
      for (const name of inward) delete shown[name];
      return shown;
    });
}

/** Parts of events that nobody outside needs. */
const inward = [
  ...['EventId', 'IsPlayed', 'MessageId', 'TaskScheduledId', 'TimerId', 'Version'],
  ...['OrchestrationInstance', 'ParentInstance', 'Tags'],
];

function isMark({ EventType: type }: HistoryEvent): boolean {
  return type === EventType.OrchestratorStarted || type === EventType.OrchestratorCompleted;
}

/** JSON text as its value; what is no JSON stays text. */
export function valueOf(text: string | null): unknown {
  if (text === null) return null;
  if (text.trim() === '') return '';
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
