import { outputOfError, outputOfResult, type OrchestratorOutput } from './actions';
import { EventType, type HistoryEvent, type Message } from './history-event';
import type { Commit, Written } from './history-store';
import { startedEvent } from './execution';
import { beginEpisode, type Begun } from './episode';
import { beforeFailure, rewindEpisode } from './rewind';
import { finishEpisode, writeEpisode, type Plan } from './orchestrator';
import { httpPollDelayMs } from './http-polling';
import { timerLimits } from './replay-limits';
import { FunctionFailed } from './worker-pool';
import type { HubWorld } from './world';

/**
 * Messages of other instances may be sent again for this long after they were applied; those of
 * clients are sent once: a row that a slow listing still shows is all that can come again.
 */
const appliedKeptMs = 3_600_000;
const clientMessagesKeptMs = 120_000;
/** The version of the protocol that has entity locks. */
const schemaVersion = 3;

export interface EpisodeResult {
  readonly commit: Commit;
  readonly isDueAtOnce: boolean;
}

export interface EpisodeOptions {
  readonly world: HubWorld;
  readonly instanceId: string;
  readonly written: Written | null;
  readonly messages: readonly Message[];
}

/** Null: none of the messages counts. */
export async function runOrchestration(options: EpisodeOptions): Promise<EpisodeResult | null> {
  const { world, instanceId, written, messages } = options;
  const hasHistory = written !== null && written.events.length > 0;
  const begun = beginEpisode({
    instanceId,
    execution: hasHistory ? written : null,
    messages,
    applied: new Set(Object.keys(written?.applied ?? {})),
    nowMs: Date.now(),
  });
  if (begun.kind === 'nothing') return null;
  const plan = await planEpisode(world, begun);
  const kept = written?.executionId === plan.executionId ? written.customStatus : null;
  return {
    commit: {
      isReplacing: plan.isReplacing,
      executionId: plan.executionId,
      events: plan.events,
      history: plan.history,
      outgoing: plan.outgoing,
      applied: plan.isReplacing
        ? appliedBy(written, [...(written?.events ?? []), ...begun.fresh], messages)
        : (written?.applied ?? {}),
      customStatus: plan.customStatus === undefined ? kept : plan.customStatus,
    },
    isDueAtOnce: plan.isDueAtOnce,
  };
}

async function planEpisode(world: HubWorld, begun: Begun): Promise<Plan> {
  if (begun.kind === 'write') return writeEpisode(begun, Date.now());
  const isRewind = begun.kind === 'rewind';
  const past = isRewind ? beforeFailure(begun) : begun.past;
  const output = await runFunction(world, begun, past, isRewind ? [] : begun.fresh);
  const common = { begun, output, functions: world.functions(), nowMs: Date.now() };
  return isRewind ? rewindEpisode(common) : finishEpisode(common);
}

async function runFunction(
  world: HubWorld,
  begun: Begun,
  past: readonly HistoryEvent[],
  fresh: readonly HistoryEvent[],
): Promise<OrchestratorOutput> {
  const started = startedEvent([...past, ...fresh]);
  const name = started?.Name ?? '';
  if (!world.functions().orchestrators.some((one) => one.toLowerCase() === name.toLowerCase())) {
    return {
      isDone: false,
      actions: [],
      error: `The function '${name}' doesn't exist, is disabled, or is not an orchestrator function.`,
    };
  }
  world.point('before-run');
  try {
    const value = await world.pool.invoke({
      kind: 'orchestrator',
      functionName: name,
      data: triggerData(begun, past, fresh),
      instanceId: begun.instanceId,
    });
    return outputOfResult(value ?? 'null');
  } catch (error) {
    if (!(error instanceof FunctionFailed)) throw error;
    return outputOfError(error.message);
  }
}

function triggerData(
  begun: Begun,
  past: readonly HistoryEvent[],
  fresh: readonly HistoryEvent[],
): string {
  const started = startedEvent([...past, ...fresh]);
  const history = [...past.map(playedText), ...fresh.map((event) => JSON.stringify(event))];
  const rest = JSON.stringify({
    input: JSON.parse(started?.Input ?? 'null') as unknown,
    instanceId: begun.instanceId,
    isReplaying: past.some(({ EventType: type }) => type === EventType.ExecutionStarted),
    parentInstanceId: started?.ParentInstance?.OrchestrationInstance.InstanceId ?? null,
    upperSchemaVersion: 1,
    upperSchemaVersionNew: schemaVersion,
    longRunningTimerIntervalDuration: timerLimits.longRunningTimerIntervalDuration,
    maximumShortTimerDuration: timerLimits.maximumShortTimerDuration,
    defaultHttpAsyncRequestSleepTimeMillseconds: httpPollDelayMs,
  });
  return `{"history":[${history.join(',')}],${rest.slice(1)}`;
}

/** An event never changes: its text is made once, not once per episode. */
const playedTexts = new WeakMap<HistoryEvent, string>();

function playedText(event: HistoryEvent): string {
  let text = playedTexts.get(event);
  if (text === undefined) {
    text = JSON.stringify({ ...event, IsPlayed: true });
    playedTexts.set(event, text);
  }
  return text;
}

function keptMs(messageId: string): number {
  return messageId.startsWith('client:') ? clientMessagesKeptMs : appliedKeptMs;
}

/** Ids that outlive the history they are recorded in. */
export function appliedBy(
  written: Written | null,
  history: readonly HistoryEvent[],
  messages: readonly Message[],
): Record<string, number> {
  const nowMs = Date.now();
  const applied: Record<string, number> = {};
  for (const [id, atMs] of Object.entries(written?.applied ?? {})) {
    if (nowMs - atMs < keptMs(id)) applied[id] = atMs;
  }
  for (const { MessageId, Timestamp } of history) {
    const atMs = Date.parse(Timestamp);
    if (MessageId !== undefined && nowMs - atMs < keptMs(MessageId)) applied[MessageId] = atMs;
  }
  for (const { id } of messages) if (id !== null) applied[id] = nowMs;
  return applied;
}
