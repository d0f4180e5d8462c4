// Goal: the host gives out the same numbers as the package, in every order in which answers come.
// Method: a table: history and actions in; the new work, by number, and the state of the execution out.
import { ActionType, type Action } from '../../../local/durable-task/actions';
import { eventTypeName, type HistoryEvent } from '../../../local/durable-task/history-event';
import { replay, type Replayed } from '../../../local/durable-task/replay';
import {
  activity,
  all,
  any,
  call,
  child,
  childCreated,
  completed,
  continueAsNew,
  end,
  episode,
  event,
  failed,
  fired,
  lock,
  raised,
  release,
  resumed,
  retried,
  scheduled,
  signal,
  started,
  suspended,
  timer,
  timerCreated,
} from '../../support/durable-history';

const functions = {
  orchestrators: ['main', 'child'],
  activities: ['work', 'other'],
  entities: ['counter'],
};

const begin = [episode(), started()];
const dayMs = 86_400_000;

/** `3 TimerCreated`, ... : what is asked for. */
function asked(result: Replayed): string[] {
  return result.asked.map((one) => `${one.EventId} ${eventTypeName(one)}`);
}

interface Case {
  readonly name: string;
  readonly actions: readonly Action[];
  readonly history: readonly HistoryEvent[];
  readonly asks: readonly string[];
  /** open: tasks without an answer; waiting: for an event; finished: all actions are settled. */
  readonly is: 'open' | 'waiting' | 'finished';
}

const cases: Case[] = [
  {
    name: 'the first action begins at once',
    actions: [activity(), activity()],
    history: begin,
    asks: ['0 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'what the history has is not asked for again',
    actions: [activity()],
    history: [...begin, scheduled(0), end()],
    asks: [],
    is: 'open',
  },
  {
    name: 'the second begins when the first is answered',
    actions: [activity(), activity('other')],
    history: [...begin, scheduled(0), end(), episode(), completed(0)],
    asks: ['1 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'a failed activity is settled too',
    actions: [activity(), activity()],
    history: [...begin, scheduled(0), end(), episode(), failed(0)],
    asks: ['1 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'children of a group are numbered left to right, groups in groups too',
    actions: [all(activity(), any(timer(1_000), child()), activity())],
    history: begin,
    asks: [
      '0 TaskScheduled',
      '1 TimerCreated',
      '2 SubOrchestrationInstanceCreated',
      '3 TaskScheduled',
    ],
    is: 'open',
  },
  {
    name: 'all waits for all, even after a failure',
    actions: [all(activity(), activity()), activity()],
    history: [...begin, scheduled(0), scheduled(1), end(), episode(), failed(0)],
    asks: [],
    is: 'open',
  },
  {
    name: 'any goes on with the first; the others stay open and hold the end back',
    actions: [any(activity(), activity())],
    history: [...begin, scheduled(0), scheduled(1), end(), episode(), completed(1)],
    asks: [],
    is: 'open',
  },
  {
    name: 'a retry takes a number for its timer after a failure',
    actions: [retried(3)],
    history: [...begin, scheduled(0), end(), episode(), failed(0)],
    asks: ['1 TimerCreated'],
    is: 'open',
  },
  {
    name: 'a retry takes a number for its next attempt after the timer',
    actions: [retried(3)],
    history: [
      ...begin,
      ...[scheduled(0), end(), episode(), failed(0), timerCreated(1), end()],
      ...[episode(), fired(1)],
    ],
    asks: ['2 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'the last failure of a retry has its timer too, and only then it is settled',
    actions: [retried(1), activity('other')],
    history: [...begin, scheduled(0), end(), episode(), failed(0)],
    asks: ['1 TimerCreated'],
    is: 'open',
  },
  {
    name: 'after the last timer of a retry the next action has the next number',
    actions: [retried(1), activity('other')],
    history: [
      ...begin,
      ...[scheduled(0), end(), episode(), failed(0), timerCreated(1), end()],
      ...[episode(), fired(1)],
    ],
    asks: ['2 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'retries side by side take numbers in the order of their failures',
    actions: [all(retried(3), retried(3))],
    history: [
      ...begin,
      ...[scheduled(0), scheduled(1), end(), episode(), failed(1), failed(0)],
      ...[timerCreated(2), timerCreated(3), end(), episode(), fired(3)],
    ],
    asks: ['4 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'a retry past its timeout ends without a timer, as the framework does',
    actions: [retried(9, { retryTimeoutInMilliseconds: 500 })],
    history: [...begin, scheduled(0), end(), episode(600), failed(0)],
    asks: [],
    is: 'finished',
  },
  {
    name: 'a timer is open until it fires',
    actions: [timer(1_000)],
    history: [...begin, timerCreated(0), end()],
    asks: [],
    is: 'open',
  },
  {
    name: 'a cancelled timer has a number and does not hold the end back',
    actions: [any(event('go'), timer(1_000, true))],
    history: [...begin, timerCreated(0), end(), episode(), raised('go')],
    asks: [],
    is: 'finished',
  },
  {
    name: 'a timer that is not cancelled holds the end back',
    actions: [any(event('go'), timer(1_000))],
    history: [...begin, timerCreated(0), end(), episode(), raised('go')],
    asks: [],
    is: 'open',
  },
  {
    name: 'a long timer goes on in pieces of three days',
    actions: [timer(10 * dayMs)],
    history: [...begin, timerCreated(0, 3 * dayMs), end(), episode(3 * dayMs), fired(0)],
    asks: ['1 TimerCreated'],
    is: 'open',
  },
  {
    name: 'waiting for an event takes no number',
    actions: [event('go'), activity()],
    history: begin,
    asks: [],
    is: 'waiting',
  },
  {
    name: 'an early event is kept for who waits later, first come first served',
    actions: [activity(), event('go'), event('go'), activity('other')],
    history: [...begin, scheduled(0), end(), episode(), raised('go'), raised('go'), completed(0)],
    asks: ['1 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'of several that wait for one name, the last gets the event',
    actions: [any(all(event('go'), timer(1_000)), event('go')), activity()],
    history: [...begin, timerCreated(0), end(), episode(), raised('go')],
    asks: ['1 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'signals take numbers and wait for nothing',
    actions: [signal(), signal(), activity()],
    history: begin,
    asks: ['0 EventSent', '1 EventSent', '2 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'a call to an entity takes one number and waits for an event',
    actions: [call(), activity()],
    history: begin,
    asks: ['0 EventSent'],
    is: 'waiting',
  },
  {
    name: 'a lock takes one number; giving it back takes one for each entity',
    actions: [lock(), release(), activity()],
    history: [...begin, raised('lock-1')],
    asks: ['0 EventSent', '1 EventSent', '2 EventSent', '3 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'an answer that comes twice changes nothing',
    actions: [activity(), activity(), activity()],
    history: [...begin, scheduled(0), end(), episode(), completed(0), completed(0)],
    asks: ['1 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'while suspended nothing goes on',
    actions: [activity(), activity()],
    history: [...begin, scheduled(0), end(), episode(), suspended(), completed(0)],
    asks: [],
    is: 'open',
  },
  {
    name: 'what came while suspended counts after the resume, in its order',
    actions: [activity(), event('go'), activity()],
    history: [
      ...begin,
      ...[scheduled(0), end(), episode(), suspended(), completed(0), raised('go'), end()],
      ...[episode(), resumed()],
    ],
    asks: ['1 TaskScheduled'],
    is: 'open',
  },
  {
    name: 'continueAsNew is settled at once',
    actions: [continueAsNew({ next: 1 })],
    history: begin,
    asks: [],
    is: 'finished',
  },
];

describe('the replay of actions', () => {
  it.each(cases)('$name', ({ actions, history, asks, is }) => {
    const result = replay({ history, actions, functions });
    expect(result.failure).toBe(null);
    expect(asked(result)).toEqual(asks);
    expect(result.hasOpenTasks ? 'open' : result.isFinished ? 'finished' : 'waiting').toBe(is);
  });

  it('doubles delays up to their limit', () => {
    const options = { backoffCoefficient: 2, maxRetryIntervalInMilliseconds: 3_000 };
    const delays: number[] = [];
    let history: HistoryEvent[] = [...begin, scheduled(0), end()];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      history = [...history, episode(), failed(2 * attempt)];
      const [wait] = replay({ history, actions: [retried(9, options)], functions }).asked;
      if (wait === undefined || !('FireAt' in wait)) throw new Error('no timer is asked for');
      delays.push(Date.parse(wait.FireAt) - Date.parse(wait.Timestamp));
      const id = wait.EventId;
      history = [...history, timerCreated(id), end(), episode(), fired(id), scheduled(id + 1)];
    }
    expect(delays).toEqual([1_000, 2_000, 3_000]);
  });

  it('makes the pieces of a long timer where the package makes them', () => {
    const fireAt = (days: number, history: readonly HistoryEvent[]): string[] =>
      replay({ history, actions: [timer(days * dayMs)], functions }).asked.map((one) =>
        'FireAt' in one ? one.FireAt : '',
      );
    expect(fireAt(6, begin)).toEqual(['2026-01-07T00:00:00.000Z']);
    expect(fireAt(7, begin)).toEqual(['2026-01-04T00:00:00.000Z']);
    const afterOne = [...begin, timerCreated(0), end(), episode(3 * dayMs), fired(0)];
    expect(fireAt(7, afterOne)).toEqual(['2026-01-08T00:00:00.000Z']);
  });

  it('names a sub-orchestration after its parent’s execution and its number', () => {
    const { asked: questions } = replay({
      history: begin,
      actions: [all(activity(), child(), child('named'))],
      functions,
    });
    const ids = questions.map((one) => ('InstanceId' in one ? one.InstanceId : null));
    expect(ids).toEqual([null, 'execution:1', 'named']);
  });

  it('gives a request to an entity the same id on every replay', () => {
    const [first] = replay({ history: begin, actions: [call()], functions }).asked;
    const [second] = replay({ history: begin, actions: [call()], functions }).asked;
    expect(first).toEqual(second);
    expect(JSON.parse(first !== undefined && 'Input' in first ? (first.Input ?? '') : '')).toEqual({
      op: 'get',
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      parent: 'instance',
      parentExecution: 'execution',
    });
  });

  it('keeps events after continueAsNew for the next execution', () => {
    const { carriedOver } = replay({
      history: [...begin, scheduled(0), end(), episode(), completed(0), raised('a'), raised('b')],
      actions: [activity(), continueAsNew(1)],
      functions,
    });
    expect(carriedOver.map(({ Name }) => Name)).toEqual(['a', 'b']);
  });
});

describe('what cannot be', () => {
  it.each([
    ['another function', [activity('other')], scheduled(0)],
    ['another kind', [timer(1)], scheduled(0)],
    ['nothing', [], scheduled(0)],
    ['an activity in the place of a child', [activity()], childCreated(0)],
  ])('the code now asks for %s: not deterministic', (_name, actions: Action[], inHistory) => {
    const { failure } = replay({ history: [...begin, inHistory, end()], actions, functions });
    expect(failure?.isNonDeterministic).toBe(true);
    expect(failure?.message).toContain('under the id 0');
  });

  it('a function that does not exist fails the execution and says which do', () => {
    const { failure } = replay({ history: begin, actions: [activity('wrok')], functions });
    expect(failure).toEqual({
      isNonDeterministic: false,
      message: expect.stringContaining("The function 'wrok' doesn't exist"),
    });
    expect(failure?.message).toContain("'work', 'other'");
  });

  it('a timer without a valid time fails the execution', () => {
    const actions = [{ ...timer(0), fireAt: null } as unknown as Action];
    const { failure } = replay({ history: begin, actions, functions });
    expect(failure?.message).toBe('createTimer: the time is not a valid one');
  });

  it('a callHttp that is told to wait for longer than a timer can, waits as long as it can', () => {
    const http: Action = {
      actionType: ActionType.CallHttp,
      httpRequest: { method: 'GET', uri: 'http://127.0.0.1/' },
    };
    const answer = { statusCode: 202, headers: { location: '/poll', 'retry-after': '1e20' } };
    const history = [...begin, scheduled(0, 'BuiltIn::HttpActivity'), end(), episode()];
    const { asked: timers } = replay({
      history: [...history, completed(0, answer)],
      actions: [http],
      functions,
    });
    expect(timers).toMatchObject([{ FireAt: '2026-01-07T00:00:00.000Z' }]);
  });
});
