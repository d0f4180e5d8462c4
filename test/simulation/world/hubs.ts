import { StreamError } from '../../../shared/model/errors';
import type { Clock, HubReader, HubSender } from '../../../shared/model/ports';
import { MemoryHub } from '../../../shared/testing/memory-hub';
import type { Faults } from './faults';
import type { Random } from './random';
import type { Actor, Scheduler } from './scheduler';
import type { DownSinks } from './stores';

/** Where and when a hub stored a message. */
export interface StoredPlace {
  readonly partition: number;
  readonly sequenceNumber: number;
  readonly enqueuedTimeMs: number;
}

/** Told of every message that a hub stored. */
export interface HubWatcher {
  onStored(hub: string, place: StoredPlace, body: Buffer): void;
}

/** A hub whose every message somebody hears of: also those that retention drops later. */
export class WatchedHub extends MemoryHub {
  readonly name: string;
  readonly #watcher: HubWatcher;

  constructor(
    name: string,
    options: { partitionCount: number; createdAtMs: number; clock: Clock },
    watcher: HubWatcher,
  ) {
    super(options);
    this.name = name;
    this.#watcher = watcher;
  }

  override append(partition: number, ...bodies: Uint8Array[]): void {
    for (const body of bodies) {
      super.append(partition, body);
      const stored = this.messages(partition).at(-1);
      if (stored === undefined) continue;
      this.#watcher.onStored(this.name, { partition, ...stored }, Buffer.from(body));
    }
  }
}

/** How one worker reaches the hubs: sends are as writes to a store, the rest as reads. */
export class HubCalls {
  readonly #scheduler: Scheduler;
  readonly #faults: Faults;
  readonly #random: Random;
  readonly #actor: Actor;
  readonly #downSinks: DownSinks;

  constructor(world: {
    scheduler: Scheduler;
    faults: Faults;
    random: Random;
    actor: Actor;
    downSinks: DownSinks;
  }) {
    this.#downSinks = world.downSinks;
    this.#scheduler = world.scheduler;
    this.#faults = world.faults;
    this.#random = world.random;
    this.#actor = world.actor;
  }

  reader(hub: WatchedHub): HubReader {
    return {
      describe: () => this.#call(`describe ${hub.name}`, () => hub.describe()),
      bounds: (partition) =>
        this.#call(`bounds ${hub.name}/${partition}`, () => hub.bounds(partition)),
      read: (request) =>
        this.#call(`fetch ${hub.name}/${request.partitionId}`, () => hub.read(request)),
    };
  }

  sender(hubs: ReadonlyMap<string, WatchedHub>): HubSender {
    const hubOf = (name: string): WatchedHub => {
      const hub = hubs.get(name);
      if (hub === undefined) throw new Error(`no hub ${name}`);
      return hub;
    };
    return {
      partitionCount: (name) =>
        this.#call(`count ${name}`, async () => (await hubOf(name).describe()).partitionIds.length),
      send: (request) => this.#send(hubOf(request.hub), request),
    };
  }

  async #send(hub: WatchedHub, request: Parameters<HubSender['send']>[0]): Promise<void> {
    const { bodies, partition } = request;
    const faults = this.#faults;
    const label = `send ${hub.name}/${partition}`;
    const storeAll = (): void => hub.append(partition, ...bodies);
    await this.#scheduler.step(this.#actor, label, storeAll);
    if (this.#scheduler.nowMs < this.#downSinks.exchanges) throw unavailable(label, 'sink down');
    if (faults.strikes('send-lost', 0.08)) {
      // A send of many is several batches: some may have gone before one failed.
      hub.append(partition, ...bodies.slice(0, this.#random.below(bodies.length)));
      throw unavailable(label, 'lost');
    }
    if (faults.strikes('send-late-arrival', 0.08)) {
      this.#scheduler.later(`${label} arrives late`, this.#random.below(15_000), storeAll);
      throw unavailable(label, 'timed out');
    }
    storeAll();
    await this.#scheduler.step(this.#actor, `${label} done`);
    if (faults.strikes('send-lost-response', 0.08)) throw unavailable(label, 'answer lost');
  }

  async #call<Result>(label: string, ask: () => Promise<Result>): Promise<Result> {
    const result = await ask();
    await this.#scheduler.step(this.#actor, label);
    if (this.#faults.strikes('hub-busy', 0.05)) throw unavailable(label, 'busy');
    return result;
  }
}

function unavailable(label: string, how: string): StreamError {
  return new StreamError('STREAM_HUB_UNAVAILABLE', `${label}: ${how} by the simulation`);
}
