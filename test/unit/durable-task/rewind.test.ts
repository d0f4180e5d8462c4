// Goal: a rewind takes out exactly the failure; a function's output is read as the package writes it.
// Method: histories of failures in, histories to go on from out.
import type { OrchestratorOutput } from '../../../local/durable-task/actions';
import { outputOfError, outputOfResult } from '../../../local/durable-task/actions';
import { beginEpisode } from '../../../local/durable-task/episode';
import {
  EventType,
  eventTypeName,
  type HistoryEvent,
} from '../../../local/durable-task/history-event';
import type { Plan } from '../../../local/durable-task/orchestrator';
import { rewindEpisode } from '../../../local/durable-task/rewind';
import {
  activity,
  all,
  child,
  childCreated,
  completed,
  end,
  episode,
  executionId,
  failed,
  fired,
  instanceId,
  message,
  retried,
  scheduled,
  started,
  startMs,
  timerCreated,
} from '../../support/durable-history';

const functions = { orchestrators: ['main', 'child'], activities: ['work'], entities: [] };
const nowMs = startMs + 1_000;
const names = (events: readonly HistoryEvent[]): string[] => events.map(eventTypeName);
const common = { EventId: -1, IsPlayed: false, Timestamp: new Date(startMs).toISOString() };
const rewound: HistoryEvent = {
  ...common,
  EventType: EventType.ExecutionRewound,
  Reason: 'mended',
};

describe('a rewind', () => {
  const failure: HistoryEvent = {
    ...common,
    EventType: EventType.ExecutionCompleted,
    OrchestrationStatus: 'Failed',
    Result: 'it failed',
  };

  function rewind(history: readonly HistoryEvent[], actions: OrchestratorOutput['actions']): Plan {
    return rewindEpisode({
      begun: beginEpisode({
        instanceId,
        execution: { executionId, events: history },
        messages: [message(rewound, 'r', null)],
        applied: new Set(),
        nowMs,
      }),
      output: { isDone: false, actions, error: 'it failed' },
      functions,
      nowMs,
    });
  }

  it('asks for the failed task again and keeps the others', () => {
    const { history, isDueAtOnce } = rewind(
      [
        ...[episode(), started(), scheduled(0), scheduled(1), end()],
        ...[episode(), completed(0), failed(1), failure, end()],
      ],
      [all(activity(), activity())],
    );
    expect(isDueAtOnce).toBe(true);
    expect(names(history)).toEqual([
      ...['OrchestratorStarted', 'ExecutionStarted', 'TaskScheduled', 'GenericEvent'],
      ...['OrchestratorCompleted', 'OrchestratorStarted', 'TaskCompleted', 'GenericEvent'],
      ...['GenericEvent', 'OrchestratorCompleted', 'OrchestratorStarted', 'ExecutionRewound'],
    ]);
  });

  it('of retries takes out the last attempt and its timer only', () => {
    const { history } = rewind(
      [
        ...[episode(), started(), scheduled(0), end(), episode(), failed(0), timerCreated(1)],
        ...[end(), episode(), fired(1), scheduled(2), end(), episode(), failed(2)],
        ...[timerCreated(3), end(), episode(), fired(3), failure, end()],
      ],
      [retried(2)],
    );
    const left = history.filter(({ EventType: type }) => type !== EventType.GenericEvent);
    expect(left.map(({ EventId }) => EventId).filter((id) => id >= 0)).toEqual([0, 1]);
  });

  it('reaches into a failed sub-orchestration', () => {
    const childFailed = {
      ...failed(0),
      EventType: EventType.SubOrchestrationInstanceFailed,
    } as HistoryEvent;
    const { outgoing, history } = rewind(
      [episode(), started(), childCreated(0), end(), episode(), childFailed, failure, end()],
      [child()],
    );
    expect(outgoing).toMatchObject([
      { instanceId: 'execution:0', event: { EventType: EventType.ExecutionRewound } },
    ]);
    expect(names(history)).toContain('SubOrchestrationInstanceCreated');
  });
});

describe('the output of a function', () => {
  it('is read from what it returns and from what it throws', () => {
    const actions = [[{ actionType: 0, functionName: 'work' }]];
    expect(outputOfResult(JSON.stringify({ isDone: true, actions, output: 1 }))).toEqual({
      isDone: true,
      actions: actions[0],
      output: 1,
    });
    const state = JSON.stringify({ isDone: false, actions, error: 'thrown' });
    expect(outputOfError(`false\n\n$OutOfProcData$:${state}`)).toEqual({
      isDone: false,
      actions: actions[0],
      error: 'thrown',
    });
    expect(outputOfError('another error')).toEqual({
      isDone: false,
      actions: [],
      error: 'another error',
    });
  });

  it('that no orchestrator of the package made is refused', () => {
    expect(() => outputOfResult('"text"')).toThrow('is it made by durable-functions?');
  });
});
