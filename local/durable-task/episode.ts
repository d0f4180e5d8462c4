/** The beginning of an episode: which messages count, and whether the function must run. Pure. */
import { answeredTaskId, EventType, type HistoryEvent, type Message } from './history-event';
import {
  completedEvent,
  isAsked,
  isSuspendedBy,
  unnumbered,
  unrun,
  type Execution,
} from './execution';

export interface Begun {
  /** run: the function must run; write: the events are written without it; nothing: none counts. */
  readonly kind: 'run' | 'rewind' | 'write' | 'nothing';
  readonly instanceId: string;
  readonly executionId: string;
  /** A new execution begins: what was written before is dropped. */
  readonly isNew: boolean;
  /** What the function has seen in earlier episodes. */
  readonly past: readonly HistoryEvent[];
  /** What this episode brings; the first `writtenCount` of it are in the history already. */
  readonly fresh: readonly HistoryEvent[];
  readonly writtenCount: number;
}

/** Chooses what of the messages counts. */
export function beginEpisode(options: {
  readonly instanceId: string;
  readonly execution: Execution | null;
  readonly messages: readonly Message[];
  /** Ids of messages that earlier executions applied. */
  readonly applied: ReadonlySet<string>;
  readonly nowMs: number;
}): Begun {
  const { instanceId, messages } = options;
  let execution = options.execution;
  let isNew = false;
  const accepted: HistoryEvent[] = [];
  const answered = new Set((execution?.events ?? []).map(answeredTaskId));
  const askedIds = new Set((execution?.events ?? []).filter(isAsked).map(({ EventId }) => EventId));
  const applied = new Set(options.applied);
  for (const { MessageId } of execution?.events ?? []) {
    if (MessageId !== undefined) applied.add(MessageId);
  }
  // What a client sent to an instance may come before the instance's start.
  const isStart = ({ event }: Message): boolean => event.EventType === EventType.ExecutionStarted;
  const inOrder = [...messages.filter(isStart), ...messages.filter((one) => !isStart(one))];
  for (const { id, event: sent, executionId } of inOrder) {
    if (id !== null && applied.has(id)) continue;
    if (id !== null) applied.add(id);
    const event: HistoryEvent = id === null ? sent : { ...sent, MessageId: id };
    if (event.EventType === EventType.ExecutionStarted) {
      const { ExecutionId } = event.OrchestrationInstance;
      const isFree = execution === null || completedEvent(execution.events) !== null;
      if (!isFree || execution?.executionId === ExecutionId || isNew) continue;
      execution = { executionId: ExecutionId, events: [] };
      isNew = true;
      answered.clear();
      askedIds.clear();
      accepted.splice(0, Infinity, event);
      continue;
    }
    if (execution === null || (executionId !== null && executionId !== execution.executionId)) {
      continue;
    }
    const isOver = completedEvent(execution.events) !== null;
    const taskId = answeredTaskId(event);
    if (event.EventType === EventType.ExecutionRewound) {
      if (completedEvent(execution.events)?.OrchestrationStatus === 'Failed') accepted.push(event);
    } else if (isOver || (taskId !== null && (answered.has(taskId) || !askedIds.has(taskId)))) {
      continue;
    } else {
      if (taskId !== null) answered.add(taskId);
      accepted.push(event);
    }
  }
  return episodeOf({ instanceId, execution, isNew, accepted, nowMs: options.nowMs });
}

function episodeOf(options: {
  readonly instanceId: string;
  readonly execution: Execution | null;
  readonly isNew: boolean;
  readonly accepted: readonly HistoryEvent[];
  readonly nowMs: number;
}): Begun {
  const { instanceId, execution, isNew, accepted } = options;
  const events = execution?.events ?? [];
  const isOver = completedEvent(events) !== null;
  const open = isOver ? [] : unrun(events);
  const common = { instanceId, executionId: execution?.executionId ?? '', isNew };
  if (execution === null || (accepted.length === 0 && open.length === 0)) {
    return { ...common, kind: 'nothing', past: events, fresh: [], writtenCount: 0 };
  }
  const lastMs = Date.parse(events.at(-1)?.Timestamp ?? '') || 0;
  const started: HistoryEvent = {
    EventType: EventType.OrchestratorStarted,
    ...unnumbered(Math.max(options.nowMs, lastMs, ...accepted.map(fireAtMs))),
  };
  const fresh = open.length > 0 ? [...open, ...accepted] : [started, ...accepted];
  const past = events.slice(0, events.length - open.length);
  const isRewind = accepted.some(({ EventType: type }) => type === EventType.ExecutionRewound);
  const needsRun = !isTerminated(fresh) && !isSuspendedBy([...past, ...fresh]);
  return {
    ...common,
    kind: isOver && !isRewind ? 'nothing' : isRewind ? 'rewind' : needsRun ? 'run' : 'write',
    past,
    fresh,
    writtenCount: open.length,
  };
}

/** A timer's episode is never dated before the time it waited for. */
function fireAtMs(event: HistoryEvent): number {
  return event.EventType === EventType.TimerFired ? Date.parse(event.FireAt) : 0;
}

function isTerminated(events: readonly HistoryEvent[]): boolean {
  return events.some(({ EventType: type }) => type === EventType.ExecutionTerminated);
}
