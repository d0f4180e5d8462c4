/** The world of a process that dies at one of its writes, with all that it had in memory. */
import { openLakeTable } from '../../shared/lake/lake-table';
import { tableFolder } from '../../shared/lake/names';
import type { DecisionWorld } from '../../shared/operations/decisions/standing-plan';
import { WorkerDied, type StageWorld } from './stage-world';

const writes = new Set(['create', 'append', 'delete', 'put', 'putIfAbsent', 'send']);

/** Counts writes; the one of that number, and all that comes after it, is not done any more. */
export class Mortality {
  writes = 0;
  readonly #lastBefore: number;
  #isDead = false;

  /** @param lastBefore the first write that is not done; Infinity: it lives on */
  constructor(lastBefore: number) {
    this.#lastBefore = lastBefore;
  }

  get hasDied(): boolean {
    return this.#isDead;
  }

  of<Store extends object>(store: Store): Store {
    return new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return async (...given: unknown[]): Promise<unknown> => {
          this.#pass(writes.has(String(name)));
          return (value as (...given: unknown[]) => unknown).apply(target, given);
        };
      },
    });
  }

  #pass(isWrite: boolean): void {
    if (isWrite && !this.#isDead) {
      this.writes += 1;
      this.#isDead = this.writes >= this.#lastBefore;
    }
    if (this.#isDead) throw new WorkerDied(`write ${this.writes}`);
  }
}

/** Whoever decides in that world dies as told. */
export function mortal(
  world: StageWorld,
  decision: DecisionWorld,
  mortality: Mortality,
): DecisionWorld {
  const { services } = decision;
  const { appends, clock, faultPoint, objects, randomness, sender, telemetry } = services;
  return {
    ...decision,
    services: {
      ...services,
      appends: mortality.of(appends),
      objects: mortality.of(objects),
      sender: mortality.of(sender),
      lakeTable: (plan) =>
        openLakeTable({
          ...{ objects: mortality.of(world.lake), plan, folder: tableFolder(plan.name) },
          ...{ clock, randomness, telemetry, faultPoint, checkpointEvery: 10 },
        }),
    },
  };
}
