import { activityFailure } from './failures';
import { EventType, type Message, type TaskScheduled, type TimerCreated } from './history-event';
import { httpActivity } from './http-activity';
import type { Written } from './history-store';
import { openWork } from './open-work';
import { unnumbered } from './execution';
import { httpActivityName } from './replay';
import { FunctionFailed, type WorkerPool } from './worker-pool';

/** The longest a timer of Node can wait; longer ones are set again. */
const timeoutMsMax = 2_000_000_000;

/** One instance's activities and timers, started from its history and answered by messages. */
export class OpenTasks {
  readonly #instanceId: string;
  readonly #pool: WorkerPool;
  readonly #answered: (message: Message) => void;
  readonly #activities = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #isStopped = false;

  constructor(options: {
    readonly instanceId: string;
    readonly pool: WorkerPool;
    readonly answered: (message: Message) => void;
  }) {
    this.#instanceId = options.instanceId;
    this.#pool = options.pool;
    this.#answered = options.answered;
  }

  get isEmpty(): boolean {
    return this.#activities.size === 0 && this.#timers.size === 0;
  }

  /** Starts what the history left open and has not been started; forgets what it answered. */
  follow(written: Written): void {
    if (this.#isStopped) return;
    const { activities, timers } = openWork(written.events);
    const keyOf = ({ EventId }: { EventId: number }): string => `${written.executionId}:${EventId}`;
    const open = new Set([...activities, ...timers].map(keyOf));
    for (const key of this.#activities) if (!open.has(key)) this.#activities.delete(key);
    for (const [key, timeout] of this.#timers) {
      if (open.has(key)) continue;
      clearTimeout(timeout);
      this.#timers.delete(key);
    }
    for (const activity of activities) {
      if (this.#activities.has(keyOf(activity))) continue;
      this.#activities.add(keyOf(activity));
      void this.#runActivity(written.executionId, activity);
    }
    for (const timer of timers) {
      if (!this.#timers.has(keyOf(timer))) this.#setTimer(written.executionId, timer);
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const timeout of this.#timers.values()) clearTimeout(timeout);
    this.#timers.clear();
  }

  async #runActivity(executionId: string, activity: TaskScheduled): Promise<void> {
    const answer = { TaskScheduledId: activity.EventId };
    let event: Message['event'];
    try {
      const result = await this.#call(activity);
      event = {
        EventType: EventType.TaskCompleted,
        ...unnumbered(Date.now()),
        ...answer,
        Result: result,
      };
    } catch (error) {
      if (!(error instanceof FunctionFailed)) throw error;
      event = {
        EventType: EventType.TaskFailed,
        ...unnumbered(Date.now()),
        ...answer,
        ...activityFailure(activity.Name, error.message),
      };
    }
    if (this.#isStopped) return;
    this.#answered({ id: null, instanceId: this.#instanceId, executionId, event });
  }

  #call(activity: TaskScheduled): Promise<string | null> {
    if (activity.Name === httpActivityName) return httpActivity(activity.Input);
    const [input] = JSON.parse(activity.Input) as [unknown];
    return this.#pool.invoke({
      kind: 'activity',
      functionName: activity.Name,
      data: input === null ? null : typeof input === 'string' ? input : JSON.stringify(input),
      instanceId: this.#instanceId,
    });
  }

  #setTimer(executionId: string, timer: TimerCreated): void {
    const key = `${executionId}:${timer.EventId}`;
    const leftMs = Date.parse(timer.FireAt) - Date.now();
    const timeout = setTimeout(
      () => {
        if (Date.parse(timer.FireAt) > Date.now()) {
          this.#setTimer(executionId, timer);
          return;
        }
        this.#answered({
          id: null,
          instanceId: this.#instanceId,
          executionId,
          event: {
            EventType: EventType.TimerFired,
            ...unnumbered(Date.now()),
            TimerId: timer.EventId,
            FireAt: timer.FireAt,
          },
        });
      },
      Math.min(Math.max(0, leftMs), timeoutMsMax),
    );
    this.#timers.set(key, timeout);
  }
}
