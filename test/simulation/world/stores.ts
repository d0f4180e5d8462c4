import { MemoryAppendStore, MemoryObjectStore } from '../../../shared/adapters/memory-stores';
import { StreamError } from '../../../shared/model/errors';
import type { AppendStore, Clock, ObjectStore } from '../../../shared/model/ports';
import type { Faults } from './faults';
import type { Random } from './random';
import type { Actor, Scheduler } from './scheduler';

/** Told of every change in a store, in the moment in which it becomes true. */
export interface StoreWatcher {
  onAppend(name: string, block: Uint8Array): void;
  onLogDeleted(name: string): void;
  onPut(name: string, bytes: Uint8Array): void;
  onObjectDeleted(name: string): void;
}

/** The append blobs that all workers share. */
export class WatchedAppendStore extends MemoryAppendStore {
  readonly #watcher: StoreWatcher;

  constructor(clock: Clock, watcher: StoreWatcher) {
    super(clock);
    this.#watcher = watcher;
  }

  override async append(
    request: Parameters<AppendStore['append']>[0],
  ): Promise<'appended' | 'conflict' | 'missing'> {
    const outcome = await super.append(request);
    if (outcome === 'appended') this.#watcher.onAppend(request.name, request.block);
    return outcome;
  }

  override async delete(name: string): Promise<void> {
    this.#watcher.onLogDeleted(name);
    await super.delete(name);
  }
}

/** The objects that all workers share: snapshots and the lake. */
export class WatchedObjectStore extends MemoryObjectStore {
  readonly #watcher: StoreWatcher;

  constructor(watcher: StoreWatcher) {
    super();
    this.#watcher = watcher;
  }

  /** `putIfAbsent` comes through here too. */
  override async put(name: string, bytes: Uint8Array): Promise<void> {
    this.#watcher.onPut(name, bytes);
    await super.put(name, bytes);
  }

  override async delete(name: string): Promise<void> {
    this.#watcher.onObjectDeleted(name);
    await super.delete(name);
  }
}

/** Stores that fail as one: an outage is everybody's. */
export class Outage {
  untilMs = 0;
}

/** Sinks that fail for everybody until a time. */
export interface DownSinks {
  tables: number;
  exchanges: number;
}

/**
 * How one worker reaches the stores. A write is a step there and a step back, so that a death may
 * come between; a read is seen at once and used a step later, so that it may be stale by then.
 */
export class StoreCalls {
  readonly #scheduler: Scheduler;
  readonly #faults: Faults;
  readonly #random: Random;
  readonly #actor: Actor;
  readonly #outage: Outage;
  readonly #onStandingStill: (actor: Actor) => void;
  readonly #onFrozen: (actor: Actor) => void;

  constructor(world: {
    scheduler: Scheduler;
    faults: Faults;
    random: Random;
    actor: Actor;
    outage: Outage;
    onGaveUp: (actor: Actor) => void;
    onFrozen: (actor: Actor) => void;
  }) {
    this.#scheduler = world.scheduler;
    this.#faults = world.faults;
    this.#random = world.random;
    this.#actor = world.actor;
    this.#outage = world.outage;
    this.#onStandingStill = world.onGaveUp;
    this.#onFrozen = world.onFrozen;
  }

  appendStore(store: AppendStore): AppendStore {
    return {
      create: (name) => this.#write(`create ${name}`, () => store.create(name)),
      append: async (request) => {
        if (this.#faults.strikes('store-conflict', 0.05)) {
          await this.#scheduler.step(this.#actor, `append ${request.name} refused`);
          return 'conflict';
        }
        return this.#write(`append ${request.name}`, () => store.append(request));
      },
      readFrom: (name, from) => this.#read(`read ${name}`, () => store.readFrom(name, from)),
      stat: (name) => this.#read(`stat ${name}`, () => store.stat(name)),
      list: (prefix) => this.#read(`list ${prefix}`, () => store.list(prefix)),
      delete: (name) => this.#write(`delete ${name}`, () => store.delete(name)),
    };
  }

  /** @param downUntilMs writes to this store fail until then, whatever the others do */
  objectStore(store: ObjectStore, downUntilMs: () => number = () => 0): ObjectStore {
    const write = <Result>(label: string, apply: () => Promise<Result>): Promise<Result> =>
      this.#write(label, async () => {
        if (this.#scheduler.nowMs < downUntilMs()) throw unavailable(label, 'sink down');
        return apply();
      });
    return {
      put: (name, bytes) => write(`put ${name}`, () => store.put(name, bytes)),
      putIfAbsent: (name, bytes) =>
        write(`put-if-absent ${name}`, () => store.putIfAbsent(name, bytes)),
      get: (name) => this.#read(`get ${name}`, () => store.get(name)),
      list: (prefix) => this.#read(`list ${prefix}`, () => store.list(prefix)),
      delete: (name) => write(`delete ${name}`, () => store.delete(name)),
    };
  }

  async #write<Result>(label: string, apply: () => Promise<Result>): Promise<Result> {
    const faults = this.#faults;
    // Nobody hears of what becomes of it.
    const applyLater = (): void => void apply().catch(() => undefined);
    await this.#scheduler.step(this.#actor, label, applyLater);
    this.#assertServed(label);
    if (faults.strikes('store-late-arrival', 0.02)) {
      const afterMs = this.#random.below(15_000);
      this.#scheduler.later(`${label} arrives late`, afterMs, applyLater);
      throw unavailable(label, 'timed out');
    }
    await this.#mayBeSlow(label);
    const result = await apply();
    await this.#scheduler.step(this.#actor, `${label} done`);
    if (faults.strikes('store-lost-response', 0.03)) throw unavailable(label, 'answer lost');
    return result;
  }

  async #read<Result>(label: string, look: () => Promise<Result>): Promise<Result> {
    await this.#mayBeSlow(label);
    const result = await look();
    await this.#scheduler.step(this.#actor, label);
    this.#assertServed(label);
    return result;
  }

  #assertServed(label: string): void {
    const isOut = this.#scheduler.nowMs < this.#outage.untilMs;
    if (isOut || this.#faults.strikes('store-refused', 0.03)) throw unavailable(label, 'refused');
  }

  async #mayBeSlow(label: string): Promise<void> {
    if (!this.#actor.isFrozen && this.#faults.strikes('frozen', 0.002)) {
      this.#scheduler.note(this.#actor, `${label} is frozen`);
      const thawed = this.#actor.freezeCall();
      this.#onFrozen(this.#actor);
      await thawed;
      await this.#scheduler.step(this.#actor, `${label} goes on`);
    }
    if (!this.#faults.strikes('store-slow', 0.02)) return;
    // To others it looks like a death.
    this.#onStandingStill(this.#actor);
    await this.#scheduler.sleep(this.#actor, `${label} is slow`, this.#random.below(30_000));
  }
}

function unavailable(label: string, how: string): StreamError {
  return new StreamError('STREAM_STORE_UNAVAILABLE', `${label}: ${how} by the simulation`);
}
