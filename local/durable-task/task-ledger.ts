/**
 * One execution's numbered tasks. Every activity, timer, sub-orchestration and sent event takes the
 * next number when it is asked for; history confirms what was asked and answers what is open.
 */
import {
  answeredTaskId,
  EventType,
  eventTypeName,
  type Asked,
  type HistoryEvent,
} from './history-event';
import { Pending, type Outcome } from './pending';

/** The code asks for something else than the history says it did. */
export class NonDeterministic extends Error {}

export interface Asking {
  readonly id: number;
  readonly pending: Pending;
}

export class TaskLedger {
  readonly #unconfirmed = new Map<number, Asked>();
  readonly #openTasks = new Map<number, Pending>();
  readonly #waiters = new Map<string, Pending[]>();
  readonly #earlyEvents = new Map<string, (string | null)[]>();
  #nextId = 0;
  #nowMs = 0;

  get nextId(): number {
    return this.#nextId;
  }

  /** The orchestrator's time: that of the episode being replayed. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Asked for and not in the history: the new work. */
  get unconfirmed(): readonly Asked[] {
    return Array.from(this.#unconfirmed.values());
  }

  get hasOpenTasks(): boolean {
    return this.#openTasks.size > 0;
  }

  advanceTo(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
  }

  send(instanceId: string, name: string, request: unknown): void {
    const event: Asked = {
      ...this.common(),
      EventType: EventType.EventSent,
      InstanceId: instanceId,
      Name: name,
      Input: JSON.stringify(request),
    };
    this.#unconfirmed.set(event.EventId, event);
    this.#nextId += 1;
  }

  askTimer(fireAtMs: number): Asking {
    return this.ask({
      ...this.common(),
      EventType: EventType.TimerCreated,
      FireAt: new Date(fireAtMs).toISOString(),
    });
  }

  ask(event: Asked): Asking {
    const pending = new Pending();
    this.#unconfirmed.set(event.EventId, event);
    this.#openTasks.set(event.EventId, pending);
    this.#nextId += 1;
    return { id: event.EventId, pending };
  }

  common(): { EventId: number; IsPlayed: false; Timestamp: string } {
    return {
      EventId: this.#nextId,
      IsPlayed: false,
      Timestamp: new Date(this.#nowMs).toISOString(),
    };
  }

  /** Nobody waits for this task any more; its answer will change nothing. */
  cancel(id: number): void {
    this.#openTasks.delete(id);
  }

  confirm(event: Asked): void {
    const asked = this.#unconfirmed.get(event.EventId);
    const isSame = asked?.EventType === event.EventType && nameOf(asked) === nameOf(event);
    if (!isSame) {
      const now =
        asked === undefined ? 'asks for nothing under this id' : `asks for ${describe(asked)}`;
      throw new NonDeterministic(
        `Non-Deterministic workflow detected: the history of this instance has ${describe(event)} under the id ${event.EventId}, but the orchestrator's code now ${now}. Was the code changed while this instance was running, or does it use the clock, random numbers or I/O?`,
      );
    }
    this.#unconfirmed.delete(event.EventId);
  }

  /** An answer that comes twice, or to a cancelled timer, changes nothing. */
  answer(event: HistoryEvent, outcome: Outcome): void {
    const id = answeredTaskId(event) ?? -1;
    const pending = this.#openTasks.get(id);
    this.#openTasks.delete(id);
    pending?.settle(outcome);
  }

  wait(name: string): Pending {
    const early = this.#earlyEvents.get(name)?.shift();
    if (early !== undefined) return Pending.settled(early);
    const pending = new Pending();
    this.#waiters.set(name, [...(this.#waiters.get(name) ?? []), pending]);
    return pending;
  }

  /** The last to wait gets it; with nobody waiting, it is kept for the first to come. */
  raise(name: string, input: string | null): void {
    const waiter = this.#waiters.get(name)?.pop();
    if (waiter !== undefined) waiter.settle({ isFailed: false, value: input });
    else this.#earlyEvents.set(name, [...(this.#earlyEvents.get(name) ?? []), input]);
  }
}

function nameOf(event: Asked): string {
  return event.EventType === EventType.TimerCreated ? '' : event.Name;
}

function describe(event: Asked): string {
  const name = nameOf(event);
  return name === '' ? eventTypeName(event) : `${eventTypeName(event)} '${name}'`;
}
