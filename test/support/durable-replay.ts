/**
 * A host for one orchestration in memory: the real durable-functions package replays it from its
 * history, activities are functions of the test, time is the test's. It numbers actions as the
 * real host does: one counter for everything scheduled.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Orchestration } from '../../shared/orchestration/orchestration';

export type HistoryEvent = Readonly<Record<string, unknown>> & { readonly EventType: number };

interface Action {
  readonly actionType: number;
  readonly compoundActions?: readonly Action[];
  readonly functionName?: string;
  readonly input?: unknown;
  readonly fireAt?: string;
  readonly isCanceled?: boolean;
}

export interface EpisodeResult {
  readonly isDone: boolean;
  readonly actions: readonly (readonly Action[])[];
  readonly output?: unknown;
  readonly customStatus?: unknown;
}

export interface RunOptions {
  readonly orchestrator: (context: Orchestration) => Generator<unknown, unknown, unknown>;
  readonly instanceId?: string;
  readonly input: unknown;
  /** By name; a rejection is the host's failure of the activity. Undefined: it never answers. */
  readonly activities: Readonly<Record<string, (input: never) => Promise<unknown> | undefined>>;
  readonly clock: { nowMs: number };
}

export interface RunResult {
  readonly continuedWith: unknown;
  readonly isContinued: boolean;
  readonly output: unknown;
  readonly customStatus: unknown;
  readonly history: readonly HistoryEvent[];
  readonly actions: EpisodeResult['actions'];
}

type Handler = (trigger: unknown, context: object) => Promise<unknown>;

// eslint-disable-next-line @typescript-eslint/no-require-imports -- the package exports no types for it
const { Orchestrator } = require('durable-functions/lib/src/orchestrations/Orchestrator') as {
  readonly Orchestrator: new (
    generator: (context: { df: Orchestration }) => Generator<unknown, unknown, unknown>,
  ) => { listen(): Handler };
};

const kinds = { activity: 0, continueAsNew: 4, timer: 5 };
const events = {
  executionStarted: 0,
  taskScheduled: 4,
  taskCompleted: 5,
  taskFailed: 6,
  timerCreated: 10,
  timerFired: 11,
  orchestratorStarted: 12,
  orchestratorCompleted: 13,
};

/** Replays a history once: what the real package answers to it. */
export async function replay(
  orchestrator: RunOptions['orchestrator'],
  trigger: { history: readonly HistoryEvent[]; input: unknown; instanceId?: string },
): Promise<EpisodeResult> {
  const handle = new Orchestrator((context) => orchestrator(context.df)).listen();
  const state = await handle(
    {
      history: trigger.history,
      input: trigger.input,
      instanceId: trigger.instanceId ?? 'test',
      isReplaying: trigger.history.length > 2,
      parentInstanceId: null,
      upperSchemaVersion: 1,
      upperSchemaVersionNew: 3,
      longRunningTimerIntervalDuration: '3.00:00:00',
      maximumShortTimerDuration: '6.00:00:00',
      defaultHttpAsyncRequestSleepTimeMillseconds: 30_000,
    },
    {},
  );
  return JSON.parse(JSON.stringify(state)) as EpisodeResult;
}

/** Runs an orchestration until it ends or continues as new. */
export async function runOrchestration(options: RunOptions): Promise<RunResult> {
  const { activities, clock, input, orchestrator } = options;
  const instanceId = options.instanceId ?? 'test';
  const at = (): string => new Date(clock.nowMs).toISOString();
  const history: HistoryEvent[] = [
    { EventType: events.orchestratorStarted, EventId: -1, IsPlayed: false, Timestamp: at() },
    {
      ...{ EventType: events.executionStarted, EventId: -1, IsPlayed: false, Timestamp: at() },
      ...{ Name: 'test', Input: JSON.stringify(input) },
    },
  ];
  let scheduled = 0;
  const timers = new Map<number, { fireAtMs: number }>();
  const running = new Map<number, Promise<HistoryEvent>>();
  for (let episodes = 0; episodes < 10_000; episodes += 1) {
    const state = await replay(orchestrator, { history, input, instanceId });
    history.push({
      ...{ EventType: events.orchestratorCompleted, EventId: -1, IsPlayed: false, Timestamp: at() },
    });
    const atoms = (state.actions[0] ?? []).flatMap(flatten);
    const next = atoms.find(({ actionType }) => actionType === kinds.continueAsNew);
    if (state.isDone) {
      recordHistory({ orchestrator: orchestrator.name, input, history, actions: state.actions });
      return {
        isContinued: next !== undefined,
        continuedWith: next?.input,
        output: state.output,
        customStatus: state.customStatus,
        history,
        actions: state.actions,
      };
    }
    atoms.forEach((action, id) => {
      if (action.actionType === kinds.timer && action.isCanceled === true) timers.delete(id);
      if (id < scheduled) return;
      if (action.actionType === kinds.timer) {
        const fireAt = String(action.fireAt);
        if (action.isCanceled !== true) timers.set(id, { fireAtMs: Date.parse(fireAt) });
        history.push({
          ...{ EventType: events.timerCreated, EventId: id, IsPlayed: false, Timestamp: at() },
          FireAt: fireAt,
        });
        return;
      }
      const { functionName = '' } = action;
      const text = JSON.stringify(action.input ?? null);
      history.push({
        ...{ EventType: events.taskScheduled, EventId: id, IsPlayed: false, Timestamp: at() },
        ...{ Name: functionName, Input: `[${text}]` },
      });
      const activity = activities[functionName];
      if (activity === undefined) throw new Error(`no activity ${functionName}`);
      const answer = activity(JSON.parse(text) as never);
      if (answer !== undefined) running.set(id, answered(id, answer));
    });
    scheduled = atoms.length;
    const news = await nextEvent(running, timers, clock);
    const stamp = { IsPlayed: false, Timestamp: at() };
    history.push(
      { EventType: events.orchestratorStarted, EventId: -1, ...stamp },
      { ...news, ...stamp },
    );
  }
  throw new Error('the orchestration does not end');
}

function flatten(action: Action): Action[] {
  return action.compoundActions === undefined ? [action] : action.compoundActions.flatMap(flatten);
}

function answered(id: number, answer: Promise<unknown>): Promise<HistoryEvent> {
  return answer.then(
    (value) => ({
      ...{ EventType: events.taskCompleted, EventId: -1, TaskScheduledId: id },
      Result: JSON.stringify(value ?? null),
    }),
    (error: unknown) => ({
      ...{ EventType: events.taskFailed, EventId: -1, TaskScheduledId: id },
      ...{ Reason: `Activity function failed:  ${String(error)}`, Details: 'none' },
    }),
  );
}

/** The answer of an activity that runs; where all hang, the timer that fires first. */
async function nextEvent(
  running: Map<number, Promise<HistoryEvent>>,
  timers: Map<number, { fireAtMs: number }>,
  clock: { nowMs: number },
): Promise<HistoryEvent> {
  if (running.size > 0) {
    const news = await Promise.race(running.values());
    running.delete(Number(news['TaskScheduledId']));
    return news;
  }
  const [first] = Array.from(timers).sort(([, left], [, right]) => left.fireAtMs - right.fireAtMs);
  if (first === undefined) throw new Error('the orchestration waits for nothing');
  const [id, { fireAtMs }] = first;
  timers.delete(id);
  clock.nowMs = Math.max(clock.nowMs, fireAtMs);
  return {
    ...{ EventType: events.timerFired, EventId: -1, TimerId: id },
    FireAt: new Date(fireAtMs).toISOString(),
  };
}

/** A recorded run: what a later version has to answer to the same history. */
export interface RecordedHistory {
  readonly orchestrator: string;
  readonly input: unknown;
  readonly history: readonly HistoryEvent[];
  readonly actions: EpisodeResult['actions'];
}

/** With MILLRACE_RECORD_HISTORIES=<folder> every finished run is kept there, numbered. */
function recordHistory(recorded: RecordedHistory): void {
  const folder = process.env['MILLRACE_RECORD_HISTORIES'];
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  const number = String(readdirSync(folder).length + 1).padStart(4, '0');
  const file = join(folder, `${recorded.orchestrator}-${number}.json`);
  writeFileSync(file, JSON.stringify(recorded));
}
