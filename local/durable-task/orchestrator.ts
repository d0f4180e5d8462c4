/**
 * The end of an episode, pure: what the function's output means: history to write, messages to send,
 * status to show.
 */
import type { OrchestratorOutput } from './actions';
import { startedEvent, unnumbered, type RuntimeStatus } from './execution';
import type { Begun } from './episode';
import {
  EventType,
  type Asked,
  type EventSent,
  type ExecutionCompleted,
  type ExecutionStarted,
  type HistoryEvent,
  type Message,
} from './history-event';
import { deterministicGuid } from './names';
import { outgoingOf } from './outgoing';
import { replay, type DurableFunctions } from './replay';

/** Of a custom status, as UTF-16 JSON: it must fit a column of the table of instances. */
const customStatusBytesMax = 16 * 1024;

export interface Plan {
  /** False: `events` come after those of `Begun.past`; true: they take the place of all. */
  readonly isReplacing: boolean;
  readonly executionId: string;
  /** To be written. */
  readonly events: readonly HistoryEvent[];
  /** The execution's history once they are written. */
  readonly history: readonly HistoryEvent[];
  readonly outgoing: readonly Message[];
  readonly status: RuntimeStatus;
  /** JSON text; undefined: as it was, the function did not run. */
  readonly customStatus: string | null | undefined;
  /** The next episode is due without any message. */
  readonly isDueAtOnce: boolean;
}

/** The end of an episode that needed no run of the function. */
export function writeEpisode(begun: Begun, nowMs: number): Plan {
  const customStatus = undefined;
  const terminated = begun.fresh.find((event) => event.EventType === EventType.ExecutionTerminated);
  if (terminated?.EventType !== EventType.ExecutionTerminated) {
    return planOf(begun, [], { status: 'Suspended', customStatus, nowMs });
  }
  return planOf(
    begun,
    ending(begun, [], { status: 'Terminated', result: terminated.Input, nowMs }),
    { status: 'Terminated', customStatus, nowMs },
  );
}

/** The end of an episode in which the function ran. */
export function finishEpisode(options: {
  readonly begun: Begun;
  readonly output: OrchestratorOutput;
  readonly functions: DurableFunctions;
  readonly nowMs: number;
}): Plan {
  const { begun, output, nowMs } = options;
  const started = startedEvent([...begun.past, ...begun.fresh]);
  const failing = (message: string): string =>
    `Orchestrator function '${started?.Name ?? ''}' failed: ${message}`;
  const status = output.customStatus === undefined ? null : JSON.stringify(output.customStatus);
  const fault = status === null ? null : customStatusFault(status);
  const common = { customStatus: fault === null ? status : null, nowMs };
  const fail = (asked: readonly Asked[], message: string): Plan =>
    planOf(
      begun,
      ending(begun, asked, {
        status: 'Failed',
        result: failing(message),
        nowMs,
        failureDetails: output.failureDetails,
      }),
      { ...common, status: 'Failed' },
    );
  // As on the platform, which looks at the status before it looks at the actions.
  if (fault !== null) return fail([], fault);
  const replayed = replay({
    history: [...begun.past, ...begun.fresh],
    actions: output.actions,
    functions: options.functions,
  });
  if (replayed.failure?.isNonDeterministic === true) return fail([], replayed.failure.message);
  const isOver = replayed.failure !== null || (replayed.isFinished && isEnd(output));
  if (replayed.hasOpenTasks || !isOver) {
    return planOf(begun, replayed.asked, { ...common, status: 'Running' });
  }
  const error = output.error ?? replayed.failure?.message;
  if (error !== undefined) return fail(replayed.asked, error);
  if (replayed.continueAsNew !== null && started !== null) {
    return continueAsNew({ begun, replayed, started, common });
  }
  const result = JSON.stringify(output.output ?? null);
  return planOf(begun, ending(begun, replayed.asked, { status: 'Completed', result, nowMs }), {
    ...common,
    status: 'Completed',
  });
}

/** Null: none. */
function customStatusFault(json: string): string | null {
  const bytes = json.length * 2;
  return bytes > customStatusBytesMax
    ? `The UTF-16 size of the JSON-serialized payload must not exceed ${customStatusBytesMax / 1024} KB. The current payload size is ${Math.ceil(bytes / 1024)} KB. (It is the custom status.)`
    : null;
}

function isEnd(output: OrchestratorOutput): boolean {
  return output.isDone || output.error !== undefined;
}

/** A new execution with a history of its own, in the place of the old one. */
function continueAsNew(options: {
  readonly begun: Begun;
  readonly replayed: ReturnType<typeof replay>;
  readonly started: ExecutionStarted;
  readonly common: { readonly customStatus: string | null; readonly nowMs: number };
}): Plan {
  const { begun, replayed, started, common } = options;
  const executionId = deterministicGuid(begun.executionId, 'next');
  const events: HistoryEvent[] = [
    { EventType: EventType.OrchestratorStarted, ...unnumbered(common.nowMs) },
    {
      ...started,
      ...unnumbered(common.nowMs),
      Input: JSON.stringify(replayed.continueAsNew?.input ?? null),
      OrchestrationInstance: { InstanceId: begun.instanceId, ExecutionId: executionId },
    },
    ...replayed.carriedOver,
  ];
  const last = [...replayed.asked, ...releases(begun, replayed.asked, common.nowMs)];
  return {
    isReplacing: true,
    executionId,
    events,
    history: events,
    outgoing: last.flatMap((event) => outgoingOf(begun, event)),
    status: 'Running',
    customStatus: common.customStatus,
    isDueAtOnce: true,
  };
}

/** The last events of an execution. Locks still held or asked for are given back. */
function ending(
  begun: Begun,
  asked: readonly Asked[],
  end: {
    readonly status: ExecutionCompleted['OrchestrationStatus'];
    readonly result: string | null;
    readonly nowMs: number;
    readonly failureDetails?: OrchestratorOutput['failureDetails'];
  },
): readonly HistoryEvent[] {
  const last = [...asked, ...releases(begun, asked, end.nowMs)];
  return [
    ...last,
    {
      EventType: EventType.ExecutionCompleted,
      ...unnumbered(end.nowMs),
      EventId: nextId(begun, last),
      OrchestrationStatus: end.status,
      Result: end.result,
      ...(end.failureDetails && { FailureDetails: end.failureDetails }),
    },
  ];
}

function nextId(begun: Begun, asked: readonly Asked[]): number {
  return Math.max(-1, ...[...begun.past, ...asked].map(({ EventId }) => EventId)) + 1;
}

function releases(begun: Begun, asked: readonly Asked[], nowMs: number): EventSent[] {
  const held = new Map<string, readonly string[]>();
  for (const event of [...begun.past, ...asked]) {
    if (event.EventType !== EventType.EventSent) continue;
    const { id, lockset } = JSON.parse(event.Input) as { id: string; lockset?: string[] };
    if (lockset !== undefined) held.set(id, lockset);
    if (event.Name === 'release') held.delete(id);
  }
  const first = nextId(begun, asked);
  return Array.from(held)
    .flatMap(([id, entities]) => entities.map((entity) => ({ id, entity })))
    .map(({ id, entity }, index) => ({
      EventType: EventType.EventSent,
      ...unnumbered(nowMs),
      EventId: first + index,
      InstanceId: entity,
      Name: 'release',
      Input: JSON.stringify({ id, parent: begun.instanceId }),
    }));
}

function planOf(
  begun: Begun,
  added: readonly HistoryEvent[],
  to: {
    readonly status: RuntimeStatus;
    readonly customStatus: string | null | undefined;
    readonly nowMs: number;
  },
): Plan {
  const end: HistoryEvent = {
    EventType: EventType.OrchestratorCompleted,
    ...unnumbered(to.nowMs),
  };
  const events = [...begun.fresh.slice(begun.writtenCount), ...added, end];
  return {
    isReplacing: begun.isNew,
    executionId: begun.executionId,
    events,
    history: [...begun.past, ...begun.fresh, ...added, end],
    outgoing: added.flatMap((event) => outgoingOf(begun, event)),
    status: to.status,
    customStatus: to.customStatus,
    isDueAtOnce: false,
  };
}
