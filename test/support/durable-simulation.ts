/** One orchestration in memory: the real package's replay against the host's, answers in any order. */
import * as durable from 'durable-functions';
import type { OrchestrationHandler } from 'durable-functions';
import {
  outputOfError,
  outputOfResult,
  type OrchestratorOutput,
} from '../../local/durable-task/actions';
import { beginEpisode } from '../../local/durable-task/episode';
import type { Execution } from '../../local/durable-task/execution';
import {
  answeredTaskId,
  EventType,
  type HistoryEvent,
  type Message,
} from '../../local/durable-task/history-event';
import { finishEpisode, writeEpisode, type Plan } from '../../local/durable-task/orchestrator';
import type { DurableFunctions } from '../../local/durable-task/replay';
import { timerLimits } from '../../local/durable-task/replay-limits';
import { instanceId, message, started } from './durable-history';

type Listener = (trigger: unknown, context: unknown) => Promise<unknown>;
const { createOrchestrator } = jest.requireActual<{
  createOrchestrator: (handler: OrchestrationHandler) => Listener;
}>('durable-functions/lib/src/util/testingUtils');

export class DurableSimulation {
  execution: Execution | null = null;
  status: Plan['status'] = 'Pending';
  readonly #listener: Listener;
  readonly #functions: DurableFunctions;
  #nowMs = Date.parse('2026-01-01T00:00:00.000Z');

  constructor(handler: OrchestrationHandler, functions: DurableFunctions) {
    this.#listener = createOrchestrator(handler);
    this.#functions = functions;
  }

  /** Asked for and not answered. */
  get open(): readonly HistoryEvent[] {
    const { events = [] } = this.execution ?? {};
    const answered = new Set(events.map(answeredTaskId));
    return events.filter(
      (event) =>
        !answered.has(event.EventId) &&
        (event.EventType === EventType.TaskScheduled ||
          event.EventType === EventType.TimerCreated ||
          event.EventType === EventType.SubOrchestrationInstanceCreated),
    );
  }

  get output(): unknown {
    const last = this.execution?.events.find(
      ({ EventType: type }) => type === EventType.ExecutionCompleted,
    );
    return last?.EventType === EventType.ExecutionCompleted &&
      last.OrchestrationStatus === 'Completed'
      ? (JSON.parse(last.Result ?? 'null') as unknown)
      : last;
  }

  async start(input: unknown): Promise<void> {
    await this.deliver([message(started(input))]);
  }

  /** One episode and those that are due without any message. */
  async deliver(messages: readonly Message[]): Promise<void> {
    for (let due = messages, isDue = true; isDue; due = []) {
      isDue = await this.#episode(due);
    }
  }

  async #episode(messages: readonly Message[]): Promise<boolean> {
    this.#nowMs += 1_000;
    const begun = beginEpisode({
      instanceId,
      execution: this.execution,
      messages,
      applied: new Set(),
      nowMs: this.#nowMs,
    });
    if (begun.kind === 'nothing') return false;
    const plan =
      begun.kind === 'write'
        ? writeEpisode(begun, this.#nowMs)
        : finishEpisode({
            begun,
            output: await this.#run(begun.past, begun.fresh),
            functions: this.#functions,
            nowMs: this.#nowMs,
          });
    this.execution = { executionId: plan.executionId, events: plan.history };
    this.status = plan.status;
    return plan.isDueAtOnce;
  }

  async #run(
    past: readonly HistoryEvent[],
    fresh: readonly HistoryEvent[],
  ): Promise<OrchestratorOutput> {
    const history = [...past.map((event) => ({ ...event, IsPlayed: true })), ...fresh];
    const begun = history.find(({ EventType: type }) => type === EventType.ExecutionStarted);
    const trigger = JSON.parse(
      JSON.stringify({
        history,
        input:
          begun?.EventType === EventType.ExecutionStarted
            ? (JSON.parse(begun.Input ?? 'null') as unknown)
            : null,
        instanceId,
        isReplaying: past.length > 0,
        upperSchemaVersion: 1,
        upperSchemaVersionNew: 3,
        longRunningTimerIntervalDuration: timerLimits.longRunningTimerIntervalDuration,
        maximumShortTimerDuration: timerLimits.maximumShortTimerDuration,
        defaultHttpAsyncRequestSleepTimeMillseconds: 30_000,
      }),
    ) as unknown;
    try {
      const result = await this.#listener(trigger, new durable.DummyOrchestrationContext());
      return outputOfResult(JSON.stringify(result));
    } catch (error) {
      return outputOfError((error as Error).message);
    }
  }
}
