/**
 * Compares what an orchestration was given, episode by episode, with what it must be given: pure, so
 * that the rules themselves can be tested with histories of a host that breaks them.
 */
import { isDeepStrictEqual } from 'node:util';

/** Codes of the Durable Task Framework, in its own names. */
const typeNames: Readonly<Record<number, string>> = {
  0: 'ExecutionStarted',
  4: 'TaskScheduled',
  5: 'TaskCompleted',
  6: 'TaskFailed',
  7: 'SubOrchestrationInstanceCreated',
  8: 'SubOrchestrationInstanceCompleted',
  9: 'SubOrchestrationInstanceFailed',
  10: 'TimerCreated',
  11: 'TimerFired',
  12: 'OrchestratorStarted',
  13: 'OrchestratorCompleted',
  14: 'EventSent',
  15: 'EventRaised',
};
const questionOf: Readonly<Record<string, string>> = {
  TaskCompleted: 'TaskScheduled',
  TaskFailed: 'TaskScheduled',
  SubOrchestrationInstanceCompleted: 'SubOrchestrationInstanceCreated',
  SubOrchestrationInstanceFailed: 'SubOrchestrationInstanceCreated',
  TimerFired: 'TimerCreated',
};
const questions = new Set([...Object.values(questionOf), 'EventSent']);

export interface RawEvent {
  readonly EventType: number;
  readonly EventId: number;
  readonly IsPlayed: boolean;
  readonly Name?: string | null;
  readonly Input?: string | null;
  readonly Result?: string | null;
  readonly TaskScheduledId?: number;
  readonly TimerId?: number;
  readonly OrchestrationInstance?: { readonly InstanceId: string; readonly ExecutionId: string };
}

/** One call of the orchestrator, as test/conformance/app writes it. */
export interface EpisodeRecord {
  readonly startedAtMs: number;
  readonly trigger: {
    readonly instanceId: string;
    readonly isReplaying: boolean;
    readonly input: unknown;
    readonly history: readonly RawEvent[];
  };
}

/** An event as a check writes it. */
export interface ExpectedEvent {
  readonly type: string;
  /** Of a question: its number among all that the execution asked for. */
  readonly id?: number;
  /** Of an answer: the number of its question. */
  readonly of?: number;
  readonly name?: string;
  readonly input?: unknown;
  readonly result?: unknown;
}

export interface ExpectedExecution {
  /** What the last episode was given, without the marks of episodes. */
  readonly history: readonly ExpectedEvent[];
  /** Answers come in any order. */
  readonly anyOrder?: boolean;
}

const nameOf = ({ EventType }: RawEvent): string => typeNames[EventType] ?? `type ${EventType}`;
const isMark = (event: RawEvent): boolean =>
  /^Orchestrator(Started|Completed)$/.test(nameOf(event));

/** An event as a check writes it: what names, numbers and values say, no times and no ids of hosts. */
export function inWords(event: RawEvent): ExpectedEvent {
  const type = nameOf(event);
  const value = (text: string | null | undefined): unknown => JSON.parse(text ?? 'null');
  const of = event.TaskScheduledId ?? event.TimerId;
  const isStart = type === 'ExecutionStarted' || type === 'EventRaised';
  return {
    type,
    ...(questions.has(type) && { id: event.EventId }),
    ...(of !== undefined && { of }),
    ...(typeof event.Name === 'string' && { name: event.Name }),
    ...(isStart && { input: value(event.Input) }),
    ...(/InstanceCompleted$|^TaskCompleted$/.test(type) && { result: value(event.Result) }),
  };
}

export function judgeDurable(
  expected: readonly ExpectedExecution[],
  instanceId: string,
  records: readonly EpisodeRecord[],
): string[] {
  const executions = new Map<string, EpisodeRecord[]>();
  for (const record of records) {
    const started = record.trigger.history.find((event) => nameOf(event) === 'ExecutionStarted');
    const id = started?.OrchestrationInstance?.ExecutionId ?? 'none';
    executions.set(id, [...(executions.get(id) ?? []), record]);
  }
  const faults: string[] = [];
  if (executions.size !== expected.length) {
    faults.push(`${executions.size} executions, not ${expected.length}`);
  }
  Array.from(executions.values()).forEach((episodes, index) => {
    const ordered = [...episodes].sort(
      (left, right) => left.trigger.history.length - right.trigger.history.length,
    );
    faults.push(...ordered.flatMap((episode) => judgeEpisode(episode, instanceId)));
    faults.push(...judgeGrowth(ordered));
    const last = ordered.at(-1)?.trigger.history ?? [];
    const found = last.filter((event) => !isMark(event)).map(inWords);
    const wanted = expected[index];
    if (wanted === undefined) return;
    const sorted = (events: readonly ExpectedEvent[]): readonly ExpectedEvent[] =>
      wanted.anyOrder === true ? [...events].sort(byText) : events;
    if (!isDeepStrictEqual(sorted(found), sorted(wanted.history))) {
      faults.push(`execution ${index}: ${said(found)}, not ${said(wanted.history)}`);
    }
  });
  return Array.from(new Set(faults));
}

/** What holds of every history: marks, numbers, questions before answers. */
function judgeEpisode({ trigger }: EpisodeRecord, instanceId: string): string[] {
  const { history } = trigger;
  const names = history.map(nameOf);
  const faults: string[] = [];
  if (trigger.instanceId !== instanceId) faults.push(`the instance is ${trigger.instanceId}`);
  if (names[0] !== 'OrchestratorStarted' || names[1] !== 'ExecutionStarted') {
    faults.push(`a history begins with ${names.slice(0, 2).join(', ')}`);
  }
  const marks = history.filter(isMark).map(nameOf);
  const isAlternating = marks.every(
    (name, index) => name === (index % 2 === 0 ? 'OrchestratorStarted' : 'OrchestratorCompleted'),
  );
  if (!isAlternating || marks.length % 2 === 0) faults.push(`marks of episodes: ${marks.join()}`);
  const isPlayed = history.find((event) => nameOf(event) === 'ExecutionStarted')?.IsPlayed;
  if (trigger.isReplaying !== isPlayed || trigger.isReplaying !== marks.length > 1) {
    faults.push(`isReplaying is ${trigger.isReplaying} after ${marks.length} marks`);
  }
  const asked = new Map<number, string>();
  const answered = new Set<number>();
  for (const event of history) {
    const name = nameOf(event);
    if (questions.has(name)) {
      if (event.EventId !== asked.size) faults.push(`${name} has the number ${event.EventId}`);
      asked.set(event.EventId, name);
    } else if (event.EventId !== -1) {
      faults.push(`${name} has the number ${event.EventId}, not -1`);
    }
    const question = questionOf[name];
    if (question === undefined) continue;
    const of = event.TaskScheduledId ?? event.TimerId ?? -1;
    if (asked.get(of) !== question) faults.push(`${name} answers ${of}, no ${question} before it`);
    if (answered.has(of)) faults.push(`${of} is answered twice`);
    answered.add(of);
  }
  return faults;
}

/** An execution's history is only ever added to. */
function judgeGrowth(ordered: readonly EpisodeRecord[]): string[] {
  return ordered.slice(1).flatMap(({ trigger }, index) => {
    const before = ordered[index]?.trigger.history ?? [];
    const kept = trigger.history.slice(0, before.length);
    const isKept = isDeepStrictEqual(before.map(inWords), kept.map(inWords));
    return isKept ? [] : ['an episode was given another past than the one before'];
  });
}

const byText = (left: ExpectedEvent, right: ExpectedEvent): number =>
  JSON.stringify(left) < JSON.stringify(right) ? -1 : 1;

const said = (events: readonly ExpectedEvent[]): string =>
  events.map((event) => JSON.stringify(event)).join(' ');
