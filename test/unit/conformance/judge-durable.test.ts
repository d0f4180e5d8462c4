// Goal: the rules for Durable histories see a host that breaks them, and pass one that does not.
// Method: what a right host records of the check durable-chain, and one fault at a time.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DurableCheck } from '../../conformance/check';
import { judgeDurable, type EpisodeRecord, type RawEvent } from '../../conformance/judge-durable';

const checks = JSON.parse(
  readFileSync(join(__dirname, '../../conformance/checks/durable.json'), 'utf8'),
) as DurableCheck[];
const chain = checks.find(({ name }) => name === 'durable-chain') as DurableCheck;

const event = (EventType: number, more: Partial<RawEvent> = {}): RawEvent => ({
  ...{ EventType, EventId: -1, IsPlayed: true },
  ...more,
});
const started = event(0, {
  ...{ Name: 'durable-chain', Input: '3' },
  OrchestrationInstance: { InstanceId: 'i', ExecutionId: 'e' },
});
const [begin, end] = [event(12), event(13)];
const asked = (EventId: number): RawEvent => event(4, { EventId, Name: 'double', Input: '[3]' });
const answered = (TaskScheduledId: number, result: number): RawEvent =>
  event(5, { TaskScheduledId, Result: String(result) });

const first = [begin, { ...started, IsPlayed: false }];
const second = [begin, started, asked(0), end, begin, answered(0, 6)];
const third = [...second, asked(1), end, begin, answered(1, 12)];

function episode(history: readonly RawEvent[], startedAtMs = history.length): EpisodeRecord {
  const isReplaying = history.length > 2;
  return { startedAtMs, trigger: { instanceId: 'i', isReplaying, input: 3, history } };
}

const faultsOf = (...histories: readonly (readonly RawEvent[])[]): string[] =>
  judgeDurable(
    chain.executions,
    'i',
    histories.map((history) => episode(history)),
  );

describe('the rules of Durable histories', () => {
  it('pass a right host, also one that runs an episode twice', () => {
    expect(faultsOf(first, second, third)).toEqual([]);
    expect(faultsOf(first, second, second, third)).toEqual([]);
  });

  it.each<[string, readonly (readonly RawEvent[])[], RegExp]>([
    ['an event that is missing', [first, second], /execution 0/],
    ['a number that is given twice', [[...second, asked(0), end, begin]], /has the number 0/],
    [
      'a number where none belongs',
      [[begin, { ...started, EventId: 0 }]],
      /has the number 0, not -1/,
    ],
    ['an answer before its question', [[begin, started, answered(0, 6)]], /answers 0, no TaskSch/],
    ['a second answer', [[...second, answered(0, 6)]], /0 is answered twice/],
    ['an answer of another kind', [[...second, event(11, { TimerId: 0 })]], /TimerFired answers 0/],
    [
      'a past that changes',
      [second, [...third.slice(0, 5), answered(0, 7)].concat(third.slice(6))],
      /another past/,
    ],
    ['no mark of an episode', [[started, begin]], /begins with ExecutionStarted/],
    ['marks that do not alternate', [[begin, started, begin, end, end]], /marks of episodes/],
    ['another result', [first, second, [...third.slice(0, -1), answered(1, 13)]], /"result":13/],
    ['no history at all', [], /0 executions, not 1/],
  ])('see %s', (_what, histories, words) => {
    expect(faultsOf(...histories).join('\n')).toMatch(words);
  });

  it('see a first episode that is said to be replayed, and another instance', () => {
    const [one] = [episode(first)];
    const replayed = { ...one, trigger: { ...one.trigger, isReplaying: true } };
    const stranger = { ...one, trigger: { ...one.trigger, instanceId: 'j' } };
    const faults = judgeDurable(chain.executions, 'i', [replayed, stranger]).join('\n');
    expect(faults).toMatch(/isReplaying is true/);
    expect(faults).toMatch(/the instance is j/);
  });
});
