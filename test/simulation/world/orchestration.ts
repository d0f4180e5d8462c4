import type {
  Orchestration,
  OrchestrationTask,
  OrchestrationTimer,
  Orchestrator,
} from '../../../shared/orchestration/orchestration';
import type { Scheduler } from './scheduler';

/** Calls an activity; the answer comes some day, or never. */
export type CallActivity = (name: string, input: unknown, answer: Answer) => void;
export type Answer = (outcome: Outcome) => void;
export type Outcome =
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'error'; readonly error: string }
  | { readonly kind: 'fired' };

class Task implements OrchestrationTimer {
  isCompleted = false;
  isFaulted = false;
  result: unknown = undefined;
  isCanceled = false;
  /** Of a composite task. */
  readonly #isDone: (() => boolean) | null;

  constructor(isDone: (() => boolean) | null = null) {
    this.#isDone = isDone;
  }

  get isOver(): boolean {
    return this.#isDone === null ? this.isCompleted : this.#isDone();
  }

  complete(outcome: Outcome): void {
    this.isCompleted = true;
    this.isFaulted = outcome.kind === 'error';
    if (outcome.kind === 'result') this.result = outcome.result;
    if (outcome.kind === 'error') this.result = outcome.error;
  }

  cancel(): void {
    this.isCanceled = true;
  }
}

interface Happened {
  readonly taskId: number;
  readonly atMs: number;
  readonly outcome: Outcome;
}

/**
 * One instance of an orchestration as Durable Functions runs it: after each answer the code is run
 * again from its beginning over all answers so far, so whatever process does that, and however often
 * one dies in it, the outcome is the same. What it asks for is asked at least once.
 */
export class SimulatedOrchestration {
  readonly instanceId: string;
  lastUpdatedMs: number;
  runtimeStatus: 'Running' | 'Completed' | 'Failed' | 'Terminated' = 'Running';
  /** From then on no answer reaches it. */
  isStuck = false;
  readonly #orchestrator: (context: Orchestration) => Orchestrator<unknown>;
  readonly #scheduler: Scheduler;
  readonly #callActivity: CallActivity;
  readonly #onFailed: (error: unknown) => void;
  #input: unknown;
  #execution = 0;
  #startedAtMs: number;
  #history: Happened[] = [];
  /** What was asked for in this execution, in order: a replay must ask for the same. */
  #asked: string[] = [];

  constructor(options: {
    readonly instanceId: string;
    readonly orchestrator: (context: Orchestration) => Orchestrator<unknown>;
    readonly input: unknown;
    readonly scheduler: Scheduler;
    readonly callActivity: CallActivity;
    readonly onFailed: (error: unknown) => void;
  }) {
    this.instanceId = options.instanceId;
    this.#orchestrator = options.orchestrator;
    this.#input = plain(options.input);
    this.#scheduler = options.scheduler;
    this.#callActivity = options.callActivity;
    this.#onFailed = options.onFailed;
    this.#startedAtMs = this.lastUpdatedMs = options.scheduler.nowMs;
    this.#later(() => this.#episode());
  }

  terminate(): void {
    if (this.runtimeStatus === 'Running') this.runtimeStatus = 'Terminated';
  }

  #later(work: () => void): void {
    this.#scheduler.later(`episode of ${this.instanceId}`, 0, () => {
      if (this.runtimeStatus !== 'Running' || this.isStuck) return;
      this.lastUpdatedMs = this.#scheduler.nowMs;
      try {
        work();
      } catch (error) {
        this.runtimeStatus = 'Failed';
        this.#onFailed(error);
      }
    });
  }

  #happened(execution: number, taskId: number, outcome: Outcome): void {
    // The first answer counts: an activity may be run twice, and may end after its time was over.
    const isKnown = this.#history.some((one) => one.taskId === taskId);
    if (execution !== this.#execution || isKnown) return;
    const atMs = this.#scheduler.nowMs;
    this.#history.push({ taskId, atMs, outcome });
    this.#episode();
  }

  /** Runs the code over the history as it is, and does what it asks for beyond that. */
  #episode(): void {
    const tasks: Task[] = [];
    let nowMs = this.#startedAtMs;
    let next: { readonly input: unknown } | null = null;
    const ask = (what: string, begin: (taskId: number) => void): Task => {
      const taskId = tasks.length;
      const task = new Task();
      tasks.push(task);
      const known = this.#asked[taskId];
      if (known !== undefined && known !== what) {
        throw new Error(`a replay asks for ${what} where it asked for ${known} before`);
      }
      if (known === undefined) {
        this.#asked.push(what);
        begin(taskId);
      }
      return task;
    };
    const input = this.#input;
    const execution = this.#execution;
    const tell =
      (taskId: number): Answer =>
      (outcome) => {
        this.#later(() => this.#happened(execution, taskId, outcome));
      };
    const context: Orchestration = {
      instanceId: this.instanceId,
      isReplaying: false,
      get currentUtcDateTime() {
        return new Date(nowMs);
      },
      Task: {
        all: (all) => new Task(() => all.every(isOver)),
        any: (any) => new Task(() => any.some(isOver)),
      },
      callActivity: (name, given) => {
        const text = JSON.stringify(given ?? null);
        return ask(`${name} ${text}`, (taskId) =>
          this.#callActivity(name, JSON.parse(text), tell(taskId)),
        );
      },
      createTimer: (fireAt) =>
        ask(`timer ${fireAt.getTime()}`, (taskId) => {
          const afterMs = Math.max(0, fireAt.getTime() - this.#scheduler.nowMs);
          this.#scheduler.later(`timer of ${this.instanceId}`, afterMs, () =>
            tell(taskId)({ kind: 'fired' }),
          );
        }),
      continueAsNew: (given) => {
        next = { input: plain(given) };
      },
      setCustomStatus: () => undefined,
      getInput: <Input>() => input as Input,
    };
    const running = this.#orchestrator(context);
    let step = running.next();
    for (const { atMs, outcome, taskId } of this.#history) {
      nowMs = atMs;
      tasks[taskId]?.complete(outcome);
      while (step.done !== true && isOver(step.value)) {
        step = running.next(step.value.result);
      }
    }
    if (step.done !== true) return;
    const again = next as { readonly input: unknown } | null;
    if (again === null) {
      this.runtimeStatus = 'Completed';
      return;
    }
    this.#execution += 1;
    this.#input = again.input;
    this.#history = [];
    this.#asked = [];
    this.#startedAtMs = this.#scheduler.nowMs;
    this.#later(() => this.#episode());
  }
}

function isOver(task: OrchestrationTask): boolean {
  return task instanceof Task && task.isOver;
}

/** As it comes out of the store. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null)) as unknown;
}
