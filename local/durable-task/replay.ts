/**
 * The host's half of a replay. The package replays the orchestrator and numbers its tasks; the host
 * replays the actions the package returned against the same history and gives out the same numbers.
 * What has a number and is not yet in the history is the new work. Pure.
 */
import { ActionType, type Action, type HttpRequest, type RetryOptions } from './actions';
import { HostFailure } from './failures';
import { EventType, type Asked, type EventRaised, type HistoryEvent } from './history-event';
import {
  deterministicGuid,
  entityIdOf,
  entityInstanceId,
  instanceIdFault,
  unknownFunction,
} from './names';
import { nextPoll } from './http-polling';
import { all, any, Pending } from './pending';
import { timerLimits } from './replay-limits';
import { NonDeterministic, TaskLedger, type Asking } from './task-ledger';

/** What callHttp runs as. */
export const httpActivityName = 'BuiltIn::HttpActivity';

export interface DurableFunctions {
  readonly orchestrators: readonly string[];
  readonly activities: readonly string[];
  readonly entities: readonly string[];
}

const retryIntervalLimitMs = 6 * 86_400_000;

export interface Replayed {
  /** New work, in the order of its ids. Their `Timestamp` is that of the replay's last episode. */
  readonly asked: readonly Asked[];
  readonly nextId: number;
  /** True when a task is asked for and not answered: the execution cannot end before. */
  readonly hasOpenTasks: boolean;
  /** All actions are settled. */
  readonly isFinished: boolean;
  readonly continueAsNew: { readonly input: unknown } | null;
  /** Events that came after the orchestrator asked to continue as new: the next execution's. */
  readonly carriedOver: readonly EventRaised[];
  /** What the host found wrong: the execution fails, whatever the function said. */
  readonly failure: { readonly message: string; readonly isNonDeterministic: boolean } | null;
  /** Tasks whose last attempt failed, each with the timer that follows a last retry. */
  readonly failedTasks: readonly { readonly taskId: number; readonly timerId: number | null }[];
}

/** Replays actions against a history: that of one execution, new events included. */
export function replay(options: {
  readonly history: readonly HistoryEvent[];
  readonly actions: readonly Action[];
  readonly functions: DurableFunctions;
}): Replayed {
  return new Replay(options).run();
}

class Replay {
  readonly #history: readonly HistoryEvent[];
  readonly #actions: readonly Action[];
  readonly #functions: DurableFunctions;
  readonly #ledger = new TaskLedger();
  readonly #failedTasks: { taskId: number; timerId: number | null }[] = [];
  readonly #carriedOver: EventRaised[] = [];
  #heldEvents: HistoryEvent[] = [];
  #locks: { readonly id: string; readonly entities: readonly string[] } | null = null;
  #instanceId = '';
  #executionId = '';
  #isSuspended = false;
  #isFinished = false;
  #continueAsNew: { input: unknown } | null = null;
  #failure: Replayed['failure'] = null;

  constructor(options: Parameters<typeof replay>[0]) {
    this.#history = options.history;
    this.#actions = options.actions;
    this.#functions = options.functions;
  }

  run(): Replayed {
    try {
      for (const event of this.#history) this.#apply(event);
    } catch (error) {
      if (!(error instanceof NonDeterministic)) throw error;
      this.#failure = { message: error.message, isNonDeterministic: true };
    }
    return {
      asked: this.#ledger.unconfirmed,
      nextId: this.#ledger.nextId,
      hasOpenTasks: this.#ledger.hasOpenTasks,
      isFinished: this.#isFinished,
      continueAsNew: this.#continueAsNew,
      carriedOver: this.#carriedOver,
      failure: this.#failure,
      failedTasks: this.#failedTasks,
    };
  }

  #apply(event: HistoryEvent): void {
    if (event.EventType === EventType.OrchestratorStarted) {
      this.#ledger.advanceTo(Date.parse(event.Timestamp));
    } else if (event.EventType === EventType.ExecutionSuspended) {
      this.#isSuspended = true;
    } else if (event.EventType === EventType.ExecutionResumed) {
      this.#isSuspended = false;
      const held = this.#heldEvents;
      this.#heldEvents = [];
      for (const one of held) this.#apply(one);
    } else if (this.#isSuspended) {
      this.#heldEvents.push(event);
    } else {
      this.#process(event);
    }
  }

  #process(event: HistoryEvent): void {
    switch (event.EventType) {
      case EventType.ExecutionStarted:
        this.#instanceId = event.OrchestrationInstance.InstanceId;
        this.#executionId = event.OrchestrationInstance.ExecutionId;
        this.#runActions();
        return;
      case EventType.TaskScheduled:
      case EventType.SubOrchestrationInstanceCreated:
      case EventType.TimerCreated:
      case EventType.EventSent:
        this.#ledger.confirm(event);
        return;
      case EventType.TaskCompleted:
      case EventType.SubOrchestrationInstanceCompleted:
        this.#ledger.answer(event, { isFailed: false, value: event.Result });
        return;
      case EventType.TaskFailed:
      case EventType.SubOrchestrationInstanceFailed:
        this.#ledger.answer(event, { isFailed: true, reason: event.Reason });
        return;
      case EventType.TimerFired:
        this.#ledger.answer(event, { isFailed: false, value: null });
        return;
      case EventType.EventRaised:
        if (this.#continueAsNew === null) this.#ledger.raise(event.Name, event.Input);
        else this.#carriedOver.push(event);
        return;
      default:
        return;
    }
  }

  /** One action after the other: the next begins when the one before is settled. */
  #runActions(): void {
    let next = 0;
    const proceed = (): void => {
      try {
        for (;;) {
          const action = this.#actions[next];
          next += 1;
          if (action === undefined) {
            this.#isFinished = true;
            return;
          }
          const pending = this.#begin(action);
          if (pending.isSettled) continue;
          pending.then(proceed);
          return;
        }
      } catch (error) {
        if (!(error instanceof HostFailure)) throw error;
        this.#failure = { message: error.message, isNonDeterministic: false };
      }
    };
    proceed();
  }

  #begin(action: Action): Pending {
    switch (action.actionType) {
      case ActionType.CallActivity:
        return this.#noting(this.#callActivity(action.functionName, action.input));
      case ActionType.CallActivityWithRetry:
        return this.#retried(action.retryOptions, () =>
          this.#callActivity(action.functionName, action.input),
        );
      case ActionType.CallSubOrchestrator:
        return this.#noting(this.#callSubOrchestrator(action));
      case ActionType.CallSubOrchestratorWithRetry:
        return this.#retried(action.retryOptions, () => this.#callSubOrchestrator(action));
      case ActionType.ContinueAsNew:
        this.#continueAsNew = { input: action.input };
        return Pending.settled();
      case ActionType.CreateTimer:
        return this.#createTimer(Date.parse(action.fireAt), action.isCanceled);
      case ActionType.WaitForExternalEvent:
        return this.#ledger.wait(action.externalEventName);
      case ActionType.CallEntity:
        this.#assertEntity(action.instanceId);
        return this.#callEntity(action.instanceId, action.operation, action.input);
      case ActionType.SignalEntity:
        this.#assertEntity(action.instanceId);
        this.#ledger.send(action.instanceId, 'op', {
          op: action.operation,
          signal: true,
          ...inputText(action.input),
          id: this.#requestId(),
        });
        return Pending.settled();
      case ActionType.CallHttp:
        return this.#callHttp(action.httpRequest);
      case ActionType.WhenAll:
        return all(action.compoundActions.map((child) => this.#begin(child)));
      case ActionType.WhenAny:
        return any(action.compoundActions.map((child) => this.#begin(child)));
      case ActionType.LockEntities:
        for (const entity of action.lockSet) this.#assertEntity(entityInstanceId(entity));
        return this.#lock(action.lockRequestId, action.lockSet.map(entityInstanceId));
      case ActionType.ReleaseEntities:
        this.#release();
        return Pending.settled();
      default:
        throw new HostFailure(
          `the action type ${String((action as { actionType: unknown }).actionType)} is not known to this host`,
        );
    }
  }

  #callActivity(name: string, input: unknown): Asking {
    if (name !== httpActivityName) this.#assertKnown(name, 'activity', this.#functions.activities);
    return this.#ledger.ask({
      ...this.#ledger.common(),
      EventType: EventType.TaskScheduled,
      Name: name,
      Version: null,
      Input: JSON.stringify([input ?? null]),
    });
  }

  #callSubOrchestrator(action: {
    readonly functionName: string;
    readonly instanceId?: string;
    readonly version?: string;
    readonly input?: unknown;
  }): Asking {
    this.#assertKnown(action.functionName, 'orchestrator', this.#functions.orchestrators);
    const instanceId = action.instanceId || `${this.#executionId}:${this.#ledger.nextId}`;
    const fault = instanceIdFault(instanceId);
    if (fault !== null) throw new HostFailure(`'${instanceId}' is no instance id: ${fault}`);
    return this.#ledger.ask({
      ...this.#ledger.common(),
      EventType: EventType.SubOrchestrationInstanceCreated,
      Name: action.functionName,
      Version: action.version ?? null,
      InstanceId: instanceId,
      Input: action.input === undefined ? null : JSON.stringify(action.input),
    });
  }

  /**
   * Attempts with a timer after each failure. The package counts a timer after the last failure too,
   * so there is one, which fires at once. Past the retry timeout the framework makes none: the
   * package then waits for ever, there as here.
   */
  #retried(options: RetryOptions, attempt: () => Asking): Pending {
    const whole = new Pending();
    const startedMs = this.#ledger.nowMs;
    const begin = (attemptNumber: number): void => {
      const { id, pending } = attempt();
      pending.then((outcome) => {
        if (!outcome.isFailed) {
          whole.settle(outcome);
          return;
        }
        if (this.#ledger.nowMs - startedMs >= (options.retryTimeoutInMilliseconds ?? Infinity)) {
          this.#failedTasks.push({ taskId: id, timerId: null });
          whole.settle(outcome);
          return;
        }
        const isLast = attemptNumber >= options.maxNumberOfAttempts;
        const delayMs = isLast ? 0 : retryDelayMs(options, attemptNumber);
        const timer = this.#ledger.askTimer(this.#ledger.nowMs + delayMs);
        if (isLast) this.#failedTasks.push({ taskId: id, timerId: timer.id });
        timer.pending.then(() => {
          if (isLast) whole.settle(outcome);
          else this.#attempting(whole, () => begin(attemptNumber + 1));
        });
      });
    };
    begin(1);
    return whole;
  }

  /** A further step that cannot even begin fails the execution, not the task. */
  #attempting(whole: Pending, begin: () => void): void {
    try {
      begin();
    } catch (error) {
      if (!(error instanceof HostFailure)) throw error;
      this.#failure = { message: error.message, isNonDeterministic: false };
      whole.settle({ isFailed: true, reason: error.message });
    }
  }

  #noting({ id, pending }: Asking): Pending {
    pending.then((outcome) => {
      if (outcome.isFailed) this.#failedTasks.push({ taskId: id, timerId: null });
    });
    return pending;
  }

  #createTimer(fireAtMs: number, isCanceled: boolean): Pending {
    if (Number.isNaN(fireAtMs)) throw new HostFailure('createTimer: the time is not a valid one');
    const whole = new Pending();
    const step = (): void => {
      const isLong = fireAtMs - this.#ledger.nowMs > timerLimits.maximumShortTimerMs;
      const untilMs = isLong
        ? this.#ledger.nowMs + timerLimits.longRunningTimerIntervalMs
        : fireAtMs;
      const { id, pending } = this.#ledger.askTimer(untilMs);
      if (isCanceled) {
        this.#ledger.cancel(id);
        whole.settle({ isFailed: false, value: null });
        return;
      }
      pending.then((outcome) => {
        if (isLong && fireAtMs > this.#ledger.nowMs) step();
        else whole.settle(outcome);
      });
    };
    step();
    return whole;
  }

  /** Polls where a 202 says, with a timer before each further request. */
  #callHttp(request: HttpRequest): Pending {
    const whole = new Pending();
    const send = (one: HttpRequest): void => {
      this.#noting(this.#callActivity(httpActivityName, one)).then((outcome) => {
        this.#attempting(whole, () => {
          const poll = outcome.isFailed ? null : nextPoll(request, outcome.value);
          if (poll === null) {
            whole.settle(outcome);
            return;
          }
          this.#ledger
            .askTimer(this.#ledger.nowMs + poll.delayMs)
            .pending.then(() => send(poll.request));
        });
      });
    };
    send(request);
    return whole;
  }

  #callEntity(instanceId: string, operation: string, input: unknown): Pending {
    const id = this.#requestId();
    this.#ledger.send(instanceId, 'op', {
      op: operation,
      ...inputText(input),
      id,
      parent: this.#instanceId,
      parentExecution: this.#executionId,
    });
    return this.#ledger.wait(id);
  }

  #lock(id: string, entities: readonly string[]): Pending {
    this.#locks = { id, entities };
    this.#ledger.send(entities[0] ?? '', 'op', {
      id,
      parent: this.#instanceId,
      parentExecution: this.#executionId,
      lockset: entities,
      pos: 0,
    });
    return this.#ledger.wait(id);
  }

  #release(): void {
    if (this.#locks === null) return;
    const { id, entities } = this.#locks;
    this.#locks = null;
    for (const entity of entities)
      this.#ledger.send(entity, 'release', { id, parent: this.#instanceId });
  }

  #requestId(): string {
    return deterministicGuid(this.#executionId, 'request', this.#ledger.nextId);
  }

  #assertEntity(instanceId: string): void {
    const { name = '' } = entityIdOf(instanceId) ?? {};
    this.#assertKnown(name, 'entity', this.#functions.entities);
    const fault = instanceIdFault(instanceId);
    if (fault !== null) throw new HostFailure(`'${instanceId}' is no entity's id: ${fault}`);
  }

  #assertKnown(
    name: string,
    kind: Parameters<typeof unknownFunction>[1],
    known: readonly string[],
  ): void {
    if (known.some((one) => one.toLowerCase() === name.toLowerCase())) return;
    throw new HostFailure(unknownFunction(name, kind, known));
  }
}

function inputText(input: unknown): { input?: string } {
  return input === undefined ? {} : { input: JSON.stringify(input) };
}

function retryDelayMs(options: RetryOptions, attemptNumber: number): number {
  return Math.min(
    options.firstRetryIntervalInMilliseconds *
      (options.backoffCoefficient ?? 1) ** (attemptNumber - 1),
    options.maxRetryIntervalInMilliseconds ?? retryIntervalLimitMs,
  );
}
