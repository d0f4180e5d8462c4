import type { DeadLetter } from '../model/commit';
import type { Clock, HubMessage, Telemetry } from '../model/ports';
import type { TaskAddress } from '../model/task-address';

/** Being less behind than this is how batches work, and no news. */
export const behindFromMs = 60_000;
const behindIntervalMs = 60_000;

/** What operators count is said so often at most. */
const countersIntervalMs = 60_000;

/**
 * What alerts are made of, said once a commit is in the log: how long its first event had waited
 * in the hub (at most once a minute), how many events became dead letters, by cause, what operators have counted
 * (`lateByIdle`, `doubles`, counters of one's own), and what came from another version of the topology.
 */
export class CommitReports {
  readonly #address: TaskAddress;
  readonly #world: { readonly telemetry: Telemetry; readonly clock: Clock };
  #behindSaidAtMs = -Infinity;
  /** Of the commit under way. */
  #counting: Readonly<Record<string, number>> = {};
  #counted = new Map<string, number>();
  #countersSaidAtMs = -Infinity;
  #droppedSaid = 0;

  constructor(address: TaskAddress, world: { telemetry: Telemetry; clock: Clock }) {
    this.#address = address;
    this.#world = world;
  }

  waited(messages: readonly HubMessage[]): void {
    const { clock, telemetry } = this.#world;
    const [first] = messages;
    if (first === undefined) return;
    const nowMs = clock.nowMs();
    const lagMs = nowMs - first.enqueuedTimeMs;
    if (lagMs < behindFromMs || nowMs - this.#behindSaidAtMs < behindIntervalMs) return;
    this.#behindSaidAtMs = nowMs;
    telemetry.emit('warn', 'task.behind', { ...this.#address, lagMs });
  }

  /** What operators count in the commit under way: it counts once the commit is in the log. */
  counting(counters: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
    this.#counting = counters;
    return counters;
  }

  /** @param dropped events of another version of the topology, that were dropped so far */
  committed(
    { deadLetters }: { readonly deadLetters: readonly DeadLetter[] },
    dropped: number,
  ): void {
    this.#deadLettered(deadLetters);
    for (const [name, count] of Object.entries(this.#counting)) {
      this.#counted.set(name, (this.#counted.get(name) ?? 0) + count);
    }
    this.#counting = {};
    this.#sayCounted();
    if (dropped > this.#droppedSaid) {
      const events = dropped - this.#droppedSaid;
      this.#world.telemetry.emit('warn', 'task.exchange-dropped', { ...this.#address, events });
    }
    this.#droppedSaid = dropped;
  }

  #sayCounted(): void {
    const { clock, telemetry } = this.#world;
    const nowMs = clock.nowMs();
    const sinceMs = nowMs - this.#countersSaidAtMs;
    if (this.#counted.size === 0 || (sinceMs >= 0 && sinceMs < countersIntervalMs)) return;
    this.#countersSaidAtMs = nowMs;
    for (const [name, count] of this.#counted) {
      const [counter = '', operator] = name.split(':');
      const of = operator === undefined ? {} : { operator };
      telemetry.emit('info', 'task.counted', { ...this.#address, counter, ...of, count });
    }
    this.#counted = new Map();
  }

  #deadLettered(letters: readonly DeadLetter[]): void {
    const counts = new Map<string, number>();
    for (const { code } of letters) counts.set(code, (counts.get(code) ?? 0) + 1);
    for (const [code, count] of counts) {
      this.#world.telemetry.emit('warn', 'task.dead-letters', { ...this.#address, code, count });
    }
  }
}
