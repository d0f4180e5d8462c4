/** Derived work: what a history asked for and has no answer to. Nothing else remembers it. */
import {
  answeredTaskId,
  EventType,
  type HistoryEvent,
  type TaskScheduled,
  type TimerCreated,
} from './history-event';
import { completedEvent } from './execution';

export interface OpenWork {
  readonly activities: readonly TaskScheduled[];
  readonly timers: readonly TimerCreated[];
}

export function openWork(events: readonly HistoryEvent[]): OpenWork {
  if (completedEvent(events) !== null) return { activities: [], timers: [] };
  const answered = new Set(events.map(answeredTaskId));
  return {
    activities: events.filter(
      (event): event is TaskScheduled =>
        event.EventType === EventType.TaskScheduled && !answered.has(event.EventId),
    ),
    timers: events.filter(
      (event): event is TimerCreated =>
        event.EventType === EventType.TimerCreated && !answered.has(event.EventId),
    ),
  };
}
