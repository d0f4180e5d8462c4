// Goal: an episode takes exactly the messages that count, once, and its end says what to write, send
// and show.
// Method: tables: history and messages in, what is accepted out; output of a run in, the plan out.
import type { OrchestratorOutput } from '../../../local/durable-task/actions';
import { beginEpisode, type Begun } from '../../../local/durable-task/episode';
import {
  EventType,
  eventTypeName,
  type HistoryEvent,
  type Message,
} from '../../../local/durable-task/history-event';
import { finishEpisode, writeEpisode, type Plan } from '../../../local/durable-task/orchestrator';
import { openWork } from '../../../local/durable-task/open-work';
import {
  activity,
  all,
  any,
  child,
  completed,
  continueAsNew,
  end,
  episode,
  event,
  executionId,
  failed,
  fired,
  instanceId,
  lock,
  message,
  raised,
  resumed,
  scheduled,
  signal,
  started,
  startMs,
  suspended,
  timer,
  timerCreated,
} from '../../support/durable-history';

const functions = { orchestrators: ['main', 'child'], activities: ['work'], entities: ['counter'] };
const nowMs = startMs + 1_000;
const names = (events: readonly HistoryEvent[]): string[] => events.map(eventTypeName);

const over: HistoryEvent = {
  EventType: EventType.ExecutionCompleted,
  EventId: 9,
  IsPlayed: false,
  Timestamp: new Date(startMs).toISOString(),
  OrchestrationStatus: 'Completed',
  Result: 'null',
};
const terminated: HistoryEvent = {
  EventType: EventType.ExecutionTerminated,
  EventId: -1,
  IsPlayed: false,
  Timestamp: new Date(startMs).toISOString(),
  Input: 'enough',
};
const rewound: HistoryEvent = {
  EventType: EventType.ExecutionRewound,
  EventId: -1,
  IsPlayed: false,
  Timestamp: new Date(startMs).toISOString(),
  Reason: 'mended',
};

function begin(
  events: readonly HistoryEvent[] | null,
  messages: readonly Message[],
  applied: readonly string[] = [],
): Begun {
  return beginEpisode({
    instanceId,
    execution: events === null ? null : { executionId, events },
    messages,
    applied: new Set(applied),
    nowMs,
  });
}

describe('the beginning of an episode', () => {
  const waiting = [episode(), started(), scheduled(0), end()];
  const done = [...waiting, episode(), completed(0), over, end()];
  const cases: {
    readonly name: string;
    readonly events: readonly HistoryEvent[] | null;
    readonly messages: readonly Message[];
    readonly applied?: readonly string[];
    readonly kind: Begun['kind'];
    readonly fresh: readonly string[];
  }[] = [
    {
      name: 'a start begins an execution',
      events: null,
      messages: [message(started(), 'start')],
      kind: 'run',
      fresh: ['OrchestratorStarted', 'ExecutionStarted'],
    },
    {
      name: 'the same start twice begins one',
      events: null,
      messages: [message(started(), 'start'), message(started(), 'start')],
      kind: 'run',
      fresh: ['OrchestratorStarted', 'ExecutionStarted'],
    },
    {
      name: 'a start of the execution that runs is dropped',
      events: waiting,
      messages: [message(started(), 'other id')],
      kind: 'nothing',
      fresh: [],
    },
    {
      name: 'an event before any start is dropped',
      events: null,
      messages: [message(raised('go'), 'a', null)],
      kind: 'nothing',
      fresh: [],
    },
    {
      name: 'an answer is taken',
      events: waiting,
      messages: [message(completed(0))],
      kind: 'run',
      fresh: ['OrchestratorStarted', 'TaskCompleted'],
    },
    {
      name: 'an answer is taken once',
      events: waiting,
      messages: [message(completed(0)), message(failed(0))],
      kind: 'run',
      fresh: ['OrchestratorStarted', 'TaskCompleted'],
    },
    {
      name: 'an answer that is in the history is dropped',
      events: [...waiting, episode(), completed(0), scheduled(1), end()],
      messages: [message(completed(0))],
      kind: 'nothing',
      fresh: [],
    },
    {
      name: 'an answer that nobody asked for is dropped',
      events: waiting,
      messages: [message(completed(7))],
      kind: 'nothing',
      fresh: [],
    },
    {
      name: 'a message for another execution is dropped',
      events: waiting,
      messages: [message(completed(0), null, 'an older one')],
      kind: 'nothing',
      fresh: [],
    },
    {
      name: 'an event with an id of the history is dropped',
      events: [...waiting, { ...raised('go'), MessageId: 'a' }, end()],
      messages: [message(raised('go'), 'a', null)],
      kind: 'nothing',
      fresh: [],
    },
    {
      name: 'an event that an earlier execution took is dropped',
      events: waiting,
      messages: [message(raised('go'), 'a', null), message(raised('go'), 'b', null)],
      applied: ['a'],
      kind: 'run',
      fresh: ['OrchestratorStarted', 'EventRaised'],
    },
    {
      name: 'nothing reaches one that is over',
      events: done,
      messages: [message(raised('go'), 'a', null), message(terminated, 'b', null)],
      kind: 'nothing',
      fresh: [],
    },
    {
      name: 'a termination needs no run',
      events: waiting,
      messages: [message(terminated, 'a', null)],
      kind: 'write',
      fresh: ['OrchestratorStarted', 'ExecutionTerminated'],
    },
    {
      name: 'what comes while suspended is written without a run',
      events: [...waiting, episode(), suspended(), end()],
      messages: [message(completed(0))],
      kind: 'write',
      fresh: ['OrchestratorStarted', 'TaskCompleted'],
    },
    {
      name: 'a resume runs again',
      events: [...waiting, episode(), suspended(), completed(0), end()],
      messages: [message(resumed(), 'a', null)],
      kind: 'run',
      fresh: ['OrchestratorStarted', 'ExecutionResumed'],
    },
    {
      name: 'an execution that was written and not run is due without messages',
      events: [episode(), started()],
      messages: [],
      kind: 'run',
      fresh: ['OrchestratorStarted', 'ExecutionStarted'],
    },
    {
      name: 'a rewind is for failed ones only',
      events: done,
      messages: [message(rewound, 'a', null)],
      kind: 'nothing',
      fresh: [],
    },
  ];

  it.each(cases)('$name', ({ events, messages, applied, kind, fresh }) => {
    const begun = begin(events, messages, applied);
    expect(begun.kind).toBe(kind);
    expect(names(begun.fresh)).toEqual(fresh);
  });

  it('a start with the same id after the end begins a history of its own', () => {
    const again: HistoryEvent = {
      ...started(),
      OrchestrationInstance: { InstanceId: instanceId, ExecutionId: 'second' },
    } as HistoryEvent;
    const begun = begin(done, [message(again, 'start:second', 'second')]);
    expect(begun).toMatchObject({ kind: 'run', isNew: true, executionId: 'second', past: [] });
  });

  it('is never dated before the timer it answers', () => {
    const fireAt = 90_000;
    const begun = begin(
      [episode(), started(), timerCreated(0, fireAt), end()],
      [message(fired(0, fireAt))],
    );
    expect(begun.fresh[0]?.Timestamp).toBe(new Date(startMs + fireAt).toISOString());
  });
});

describe('the end of an episode', () => {
  function plan(
    events: readonly HistoryEvent[] | null,
    messages: readonly Message[],
    output: Partial<OrchestratorOutput>,
  ): Plan {
    return finishEpisode({
      begun: begin(events, messages),
      output: { isDone: false, actions: [], ...output },
      functions,
      nowMs,
    });
  }
  const start = [message(started({ a: 1 }), 'start')];
  const waiting = [episode(), started(), scheduled(0), end()];

  it('writes the messages, the new work and the mark', () => {
    const { events, status, outgoing, isReplacing } = plan(null, start, {
      actions: [all(activity(), timer(5_000))],
    });
    expect(names(events)).toEqual([
      'OrchestratorStarted',
      'ExecutionStarted',
      'TaskScheduled',
      'TimerCreated',
      'OrchestratorCompleted',
    ]);
    expect({ status, outgoing, isReplacing }).toEqual({
      status: 'Running',
      outgoing: [],
      isReplacing: true,
    });
  });

  it('completes with the output when nothing is open', () => {
    const done = plan(waiting, [message(completed(0))], {
      actions: [activity()],
      isDone: true,
      output: { b: 2 },
    });
    expect(done.status).toBe('Completed');
    expect(done.events.at(-2)).toMatchObject({ Result: '{"b":2}', EventId: 1 });
  });

  it('does not complete while a task is open, done or failed', () => {
    const both = [episode(), started(), scheduled(0), timerCreated(1, 9_000), end()];
    for (const output of [{ isDone: true }, { error: 'thrown' }]) {
      const left = plan(both, [message(completed(0))], {
        ...output,
        actions: [any(activity(), timer(9_000))],
      });
      expect(left.status).toBe('Running');
    }
  });

  it('fails with the host’s text', () => {
    const { status, events } = plan(null, start, { error: 'thrown' });
    expect(status).toBe('Failed');
    expect(events.at(-2)).toMatchObject({
      OrchestrationStatus: 'Failed',
      Result: "Orchestrator function 'main' failed: thrown",
    });
  });

  it('fails at once when it is not deterministic, open tasks or not', () => {
    const { status } = plan(waiting, [message(raised('x'), 'm', null)], { actions: [child()] });
    expect(status).toBe('Failed');
  });

  it('tells the parent how it ended', () => {
    const parent = {
      OrchestrationInstance: { InstanceId: 'parent', ExecutionId: 'parent-execution' },
      Name: 'main',
      TaskScheduleId: 4,
    };
    const begun = [message({ ...started(), ParentInstance: parent } as HistoryEvent, 'start')];
    const [good] = plan(null, begun, { isDone: true, output: 'x' }).outgoing;
    expect(good).toMatchObject({
      instanceId: 'parent',
      executionId: 'parent-execution',
      event: { TaskScheduledId: 4, Result: '"x"' },
    });
    const [bad] = plan(null, begun, { error: 'thrown' }).outgoing;
    expect(bad?.event).toMatchObject({
      EventType: EventType.SubOrchestrationInstanceFailed,
      TaskScheduledId: 4,
      Reason: "Orchestrator function 'main' failed: thrown",
      Details: expect.stringContaining('System.Exception'),
    });
  });

  it('sends starts and events with ids that are the same when it is repeated', () => {
    const send = (): Plan => plan(null, start, { actions: [signal(), child()] });
    expect(send().outgoing.map(({ id, instanceId: to }) => ({ id, to }))).toEqual([
      { id: 'execution:0', to: '@counter@a' },
      { id: expect.stringMatching(/^start:/), to: 'execution:1' },
    ]);
    expect(send().outgoing).toEqual(send().outgoing);
  });

  it('gives locks back when it ends with them', () => {
    const granted = message(raised('lock-1'), 'granted', null);
    const { outgoing } = plan(null, [...start, granted], { actions: [lock()], error: 'thrown' });
    expect(
      outgoing.map(({ event: sent, instanceId: to }) => [to, 'Name' in sent && sent.Name]),
    ).toEqual([
      ['@counter@a', 'op'],
      ['@counter@a', 'release'],
      ['@counter@b', 'release'],
    ]);
  });

  it('continues as new with a new execution, the events that came after, and nothing else', () => {
    const next = plan(waiting, [message(completed(0)), message(raised('late', 1), 'm1', null)], {
      actions: [activity(), continueAsNew({ round: 2 })],
      isDone: true,
    });
    expect(next).toMatchObject({ isReplacing: true, status: 'Running', isDueAtOnce: true });
    expect(next.executionId).not.toBe(executionId);
    expect(names(next.events)).toEqual(['OrchestratorStarted', 'ExecutionStarted', 'EventRaised']);
    expect(next.events[1]).toMatchObject({ Input: '{"round":2}' });
    expect(next.events[2]).toMatchObject({ Name: 'late', MessageId: 'm1' });
  });

  it('does not continue as new while a task is open', () => {
    const { status, isDueAtOnce } = plan(waiting, [message(raised('go'), 'm', null)], {
      actions: [any(activity(), event('go')), continueAsNew(1)],
      isDone: true,
    });
    expect({ status, isDueAtOnce }).toEqual({ status: 'Running', isDueAtOnce: false });
  });

  it('of a terminated instance is its reason, without a run', () => {
    const { status, events } = writeEpisode(
      begin(waiting, [message(terminated, 'm', null)]),
      nowMs,
    );
    expect(status).toBe('Terminated');
    expect(events.at(-2)).toMatchObject({ OrchestrationStatus: 'Terminated', Result: 'enough' });
  });

  it('leaves open exactly what has no answer', () => {
    const { activities, timers } = openWork([
      ...[episode(), started(), scheduled(0), scheduled(1), timerCreated(2), timerCreated(3)],
      ...[end(), episode(), completed(1), fired(2), end()],
    ]);
    expect(activities.map(({ EventId }) => EventId)).toEqual([0]);
    expect(timers.map(({ EventId }) => EventId)).toEqual([3]);
    expect(openWork([episode(), started(), scheduled(0), over, end()]).activities).toEqual([]);
  });
});
