/**
 * What an orchestrator is given: the part of a Durable Functions context that ours use. Code in this
 * folder is replayed from its history, so it may not ask the world anything but through this:
 * a lint rule refuses clocks, randomness, settings, promises and Node's own modules here.
 */
export interface OrchestrationTask {
  readonly isCompleted: boolean;
  readonly isFaulted: boolean;
  readonly result?: unknown;
}

export interface OrchestrationTimer extends OrchestrationTask {
  cancel(): void;
}

export interface Orchestration {
  readonly instanceId: string;
  readonly isReplaying: boolean;
  readonly currentUtcDateTime: Date;
  readonly Task: {
    all(tasks: OrchestrationTask[]): OrchestrationTask;
    any(tasks: OrchestrationTask[]): OrchestrationTask;
  };
  callActivity(name: string, input?: unknown): OrchestrationTask;
  createTimer(fireAt: Date): OrchestrationTimer;
  continueAsNew(input: unknown): void;
  setCustomStatus(status: unknown): void;
  getInput<Input>(): Input;
}

export type Orchestrator<Result> = Generator<OrchestrationTask, Result, unknown>;

export interface CallResult<Result> {
  /** Null: the activity failed as a whole, or did not end in time. */
  readonly result: Result | null;
  readonly error: string | null;
}

/**
 * Calls an activity once per input, all at the same time, and waits for all of them or until the
 * time is over. The tasks are yielded once and never again: a task that is yielded twice would be
 * scheduled twice. Activities are written so that they do not throw; where the host itself fails
 * one (time-out, out of memory), the wave ends and those without a result count as failed.
 */
export function* callAll<Result>(
  context: Orchestration,
  call: { readonly name: string; readonly inputs: readonly unknown[]; readonly timeoutMs: number },
): Generator<OrchestrationTask, CallResult<Result>[], unknown> {
  if (call.inputs.length === 0) return [];
  const tasks = call.inputs.map((input) => context.callActivity(call.name, input));
  const deadline = new Date(context.currentUtcDateTime.getTime() + call.timeoutMs);
  const timer = context.createTimer(deadline);
  yield context.Task.any([context.Task.all(tasks), timer]);
  if (!timer.isCompleted) timer.cancel();
  return tasks.map((task) => {
    if (task.isFaulted) return { result: null, error: String(task.result).slice(0, 300) };
    if (!task.isCompleted) return { result: null, error: null };
    return { result: task.result as Result, error: null };
  });
}
