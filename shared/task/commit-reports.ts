import type { DeadLetter } from '../model/commit';
import type { Clock, HubMessage, Telemetry } from '../model/ports';
import type { TaskAddress } from '../model/task-address';

/** Being less behind than this is how batches work, and no news. */
export const behindFromMs = 60_000;
const behindIntervalMs = 60_000;

/**
 * What alerts are made of, said once a commit is in the log: how long its first event had waited
 * in the hub (at most once a minute), and how many events became dead letters, by cause.
 */
export class CommitReports {
  readonly #address: TaskAddress;
  readonly #world: { readonly telemetry: Telemetry; readonly clock: Clock };
  #behindSaidAtMs = -Infinity;

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

  deadLettered(letters: readonly DeadLetter[]): void {
    const counts = new Map<string, number>();
    for (const { code } of letters) counts.set(code, (counts.get(code) ?? 0) + 1);
    for (const [code, count] of counts) {
      this.#world.telemetry.emit('warn', 'task.dead-letters', { ...this.#address, code, count });
    }
  }
}
