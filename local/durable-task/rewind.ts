import type { OrchestratorOutput } from './actions';
import { unnumbered } from './execution';
import type { Begun } from './episode';
import { answeredTaskId, EventType, type HistoryEvent, type Message } from './history-event';
import type { Plan } from './orchestrator';
import { replay, type DurableFunctions } from './replay';

/**
 * Takes a failed execution back to before its failures: failed tasks are asked for anew, failed
 * sub-orchestrations are rewound themselves. What is taken out stays as generic events.
 */
export function rewindEpisode(options: {
  readonly begun: Begun;
  /** Of a run over the history up to the failure. */
  readonly output: OrchestratorOutput;
  readonly functions: DurableFunctions;
  readonly nowMs: number;
}): Plan {
  const { begun } = options;
  const before = beforeFailure(begun);
  const { failedTasks } = replay({ ...options, history: before, actions: options.output.actions });
  const tasks = new Set(failedTasks.map(({ taskId }) => taskId));
  const timers = new Set(failedTasks.map(({ timerId }) => timerId));
  const outgoing: Message[] = [];
  const reason = begun.fresh.find(({ EventType: type }) => type === EventType.ExecutionRewound);
  const kept = begun.past.map((event): HistoryEvent => {
    const answers = answeredTaskId(event);
    const isTakenOut =
      event.EventType === EventType.ExecutionCompleted ||
      (event.EventType === EventType.TaskScheduled && tasks.has(event.EventId)) ||
      (event.EventType === EventType.TimerCreated && timers.has(event.EventId)) ||
      (answers !== null && (tasks.has(answers) || timers.has(answers)));
    if (event.EventType === EventType.SubOrchestrationInstanceCreated && tasks.has(event.EventId)) {
      outgoing.push({
        id: `rewind:${begun.executionId}:${event.EventId}:${reason?.MessageId ?? ''}`,
        instanceId: event.InstanceId,
        // Whichever failed: the child may have continued as new since it was started.
        executionId: null,
        event: {
          EventType: EventType.ExecutionRewound,
          ...unnumbered(options.nowMs),
          Reason: `The parent ${begun.instanceId} is rewound`,
        },
      });
    }
    if (!isTakenOut) return event;
    const { EventId, IsPlayed, Timestamp, MessageId } = event;
    return {
      ...{ EventId, IsPlayed, Timestamp, ...(MessageId !== undefined && { MessageId }) },
      EventType: EventType.GenericEvent,
      Data: `Rewound: ${JSON.stringify(event).slice(0, 2_000)}`,
    };
  });
  const events = [...kept, ...begun.fresh];
  return {
    isReplacing: true,
    executionId: begun.executionId,
    events,
    history: events,
    outgoing,
    status: 'Running',
    customStatus: undefined,
    isDueAtOnce: true,
  };
}

/** What the function is run with: the history without its end when it is to be rewound. */
export function beforeFailure(begun: Begun): readonly HistoryEvent[] {
  return begun.past.filter(({ EventType: type }) => type !== EventType.ExecutionCompleted);
}
