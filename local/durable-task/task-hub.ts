/**
 * A task hub on this host: which instances are this host's, and the messages between them. What is
 * in the store is all there is; the rest is derived from it after every start.
 */
import { InstanceRunner } from './instance-runner';
import { EventType, type Message } from './history-event';
import { TaskHubClient } from './client';
import { entityIdOf, partitionOf } from './names';
import { partitionCount } from './partitions';
import type { DurableFunctions } from './replay';
import type { TaskHubStore } from './store';
import type { WorkerPool } from './worker-pool';
import type { HubWorld } from './world';

export interface TaskHubTimes {
  /** How long a host that is gone keeps its partitions (unless it was a process of this machine). */
  readonly leaseMs: number;
  /** How often messages of other hosts are looked for; own ones are told at once. */
  readonly pollIntervalMs: number;
}

export const defaultTimes: TaskHubTimes = { leaseMs: 15_000, pollIntervalMs: 2_000 };

const idleSweepMs = 30_000;

export class TaskHub {
  readonly client: TaskHubClient;
  readonly #store: TaskHubStore;
  readonly #times: TaskHubTimes;
  readonly #world: HubWorld;
  readonly #runners = new Map<string, InstanceRunner>();
  #own: ReadonlySet<number> = new Set();
  #isStopped = false;
  #ticking: Promise<void> = Promise.resolve();
  #tick: NodeJS.Timeout | null = null;
  #renewedAtMs = 0;
  #sweptAtMs = Date.now();

  constructor(options: {
    readonly store: TaskHubStore;
    readonly pool: WorkerPool;
    readonly functions: () => DurableFunctions;
    readonly times: TaskHubTimes;
    readonly log: (level: string, message: string) => void;
    readonly point?: (name: string) => void;
  }) {
    this.#store = options.store;
    this.#times = options.times;
    this.#world = {
      store: options.store,
      pool: options.pool,
      functions: options.functions,
      isOwn: (instanceId) => this.#isOwn(instanceId),
      deliver: (message) => this.deliver(message),
      log: options.log,
      point: options.point ?? (() => undefined),
    };
    this.client = new TaskHubClient({
      store: options.store,
      functions: options.functions,
      deliver: (message) => this.deliver(message),
      forget: (instanceId) => this.#forget(instanceId),
      point: this.#world.point,
    });
  }

  async start(): Promise<void> {
    await this.#store.initialize();
    this.#loop();
  }

  /** Leaves everything where it is: another host, or the next start, goes on. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#tick !== null) clearTimeout(this.#tick);
    await this.#ticking;
    for (const runner of this.#runners.values()) runner.stop();
    this.#runners.clear();
    // What is not released expires.
    await this.#store.partitions
      .release()
      .catch((error: unknown) => this.#world.log('warning', `task hub: ${String(error)}`));
  }

  /**
   * Puts a message where its instance finds it. Repeatable: the id makes a message count once. A
   * start finds its instance's row made, or makes it; a start that is refused is answered.
   */
  async deliver(message: Message): Promise<void> {
    const { event } = message;
    if (event.EventType === EventType.ExecutionStarted && event.ParentInstance !== null) {
      const refusal = await this.client.admit(event);
      if (refusal !== null) {
        await this.deliver(refusal);
        return;
      }
    }
    const stored = await this.#store.inbox.put(message);
    if (this.#isOwn(message.instanceId)) {
      this.#runner(message.instanceId).enqueue({ message, stored });
    }
  }

  #isOwn(instanceId: string): boolean {
    return !this.#isStopped && this.#own.has(partitionOf(instanceId, partitionCount));
  }

  #runner(instanceId: string): InstanceRunner {
    let runner = this.#runners.get(instanceId);
    if (runner === undefined) {
      runner = new InstanceRunner(instanceId, this.#world);
      this.#runners.set(instanceId, runner);
    }
    return runner;
  }

  #forget(instanceId: string): void {
    this.#runners.get(instanceId)?.stop();
    this.#runners.delete(instanceId);
  }

  #loop(): void {
    this.#ticking = this.#once()
      .catch((error: unknown) => this.#world.log('warning', `task hub: ${String(error)}`))
      .finally(() => {
        if (this.#isStopped) return;
        this.#tick = setTimeout(() => this.#loop(), this.#times.pollIntervalMs);
      });
  }

  async #once(): Promise<void> {
    if (Date.now() - this.#renewedAtMs >= this.#times.leaseMs / 3) await this.#renew();
    await this.#readInbox();
    if (Date.now() - this.#sweptAtMs >= idleSweepMs) this.#sweep();
  }

  async #renew(): Promise<void> {
    const held = new Set(await this.#store.partitions.tick(this.#times.leaseMs));
    this.#renewedAtMs = Date.now();
    const gained = [...held].filter((partition) => !this.#own.has(partition));
    this.#own = held;
    for (const [instanceId] of this.#runners) {
      if (!this.#isOwn(instanceId)) this.#forget(instanceId);
    }
    if (gained.length === 0) return;
    try {
      await this.#takeUp(new Set(gained));
    } catch (error) {
      // Half taken up is not taken up: the next renewal does it again.
      this.#own = new Set([...held].filter((partition) => !gained.includes(partition)));
      this.#renewedAtMs = 0;
      throw error;
    }
  }

  /** Goes on with what the partitions' last host left. Messages first: they may be the start. */
  async #takeUp(gained: ReadonlySet<number>): Promise<void> {
    this.#world.log('information', `task hub: runs partitions ${[...this.#own].join(', ')}`);
    await this.#readInbox();
    for await (const instance of this.#store.instances.all({
      runtimeStatus: ['Pending', 'Running', 'Suspended', 'ContinuedAsNew'],
    })) {
      // An entity has nothing to do but its messages.
      if (entityIdOf(instance.instanceId) !== null) continue;
      if (!gained.has(partitionOf(instance.instanceId, partitionCount))) continue;
      if (instance.runtimeStatus === 'Pending') await this.client.startAgain(instance);
      this.#runner(instance.instanceId).wake();
    }
  }

  async #readInbox(): Promise<void> {
    const isNew = (instanceId: string, rowKey: string): boolean =>
      this.#isOwn(instanceId) && this.#runners.get(instanceId)?.knows(rowKey) !== true;
    for await (const stored of this.#store.inbox.all(isNew)) {
      const { instanceId } = stored.message;
      if (this.#isOwn(instanceId)) {
        this.#runner(instanceId).enqueue({ message: stored.message, stored });
      }
    }
  }

  #sweep(): void {
    this.#sweptAtMs = Date.now();
    for (const [instanceId, runner] of this.#runners) {
      if (runner.isIdle) this.#forget(instanceId);
    }
  }
}
