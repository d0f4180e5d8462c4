import type { RecordedHubs } from '../checks/recorded-hubs';
import type { Faults } from './faults';
import type { Host } from './host';
import type { WatchedHub } from './hubs';
import type { Random } from './random';
import type { Actor, Scheduler } from './scheduler';
import type { DownSinks, Outage } from './stores';
import type { Supervision } from './supervision';
import { exchangeHub, sourceHub } from './topology';

export interface HarmOptions {
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly random: Random;
  readonly outage: Outage;
  readonly downSinks: DownSinks;
  /** Null: there is none in this run. */
  readonly supervision: Supervision | null;
  readonly host: Host;
  readonly hubs: ReadonlyMap<string, WatchedHub>;
  readonly recorded: RecordedHubs;
  readonly workers: () => readonly Actor[];
  readonly kill: (actor: Actor) => void;
  readonly onPaused: (actor: Actor) => void;
  readonly onFrozen: (actor: Actor) => void;
}

const frequentKinds = [
  'crash',
  'pause',
  'frozen',
  'clock-skew',
  'clock-jump',
  'store-outage',
  'sink-down',
  'retention',
] as const;
/** Such as change what a whole run is about. */
const rareKinds = [
  'hub-recreated',
  'exchange-loss',
  'partition-abandoned',
  'supervisor-killed',
  'supervisor-stuck',
  'supervisor-twice',
] as const;
type OutsideKind = (typeof frequentKinds | typeof rareKinds)[number];

/** Faults that come from outside, at times of their own: deaths, pauses, clocks, outages, hubs. */
export class Harm {
  readonly #options: HarmOptions;

  constructor(options: HarmOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { faults, random, scheduler } = this.#options;
    const frequent = frequentKinds.filter((kind) => faults.kinds.has(kind));
    const rare = rareKinds.filter((kind) => faults.kinds.has(kind));
    // Each of the rare ones once, sooner or later; then as it comes.
    const due = new Set(rare);
    for (;;) {
      await scheduler.sleep(null, 'plans harm', random.between(500, 6_000));
      if (faults.isHealed) return;
      if (due.size > 0 && random.chance(0.4)) {
        const kind = random.pick(Array.from(due));
        if (this.#strike(kind)) due.delete(kind);
      } else if (rare.length > 0 && random.chance(0.05)) this.#strike(random.pick(rare));
      else if (frequent.length > 0) this.#strike(random.pick(frequent));
    }
  }

  /** False: there was nothing to strike at. */
  #strike(kind: OutsideKind): boolean {
    const { faults, scheduler } = this.#options;
    if (!this.#struck(kind)) return false;
    faults.count(kind);
    scheduler.note(null, kind);
    return true;
  }

  #struck(kind: OutsideKind): boolean {
    const { downSinks, host, outage, random, scheduler, supervision } = this.#options;
    const nowMs = scheduler.nowMs;
    switch (kind) {
      case 'crash':
        return this.#toSomeone((actor) => this.#options.kill(actor));
      case 'pause':
        return this.#toSomeone((actor) => {
          this.#options.onPaused(actor);
          const untilMs = nowMs + random.between(1_000, 25_000);
          actor.pausedUntilMs = Math.max(actor.pausedUntilMs, untilMs);
        });
      case 'frozen':
        return this.#freeze();
      case 'clock-skew':
        return this.#toSomeone((actor) => {
          actor.clockOffsetMs = random.between(-300_000, 300_000);
        });
      case 'clock-jump':
        scheduler.nowMs += random.between(10_000, 600_000);
        return true;
      case 'store-outage':
        outage.untilMs = nowMs + random.between(500, 15_000);
        return true;
      case 'sink-down': {
        const sink = random.pick(['tables', 'exchanges'] as const);
        downSinks[sink] = nowMs + random.between(5_000, 40_000);
        return true;
      }
      case 'retention':
        return this.#truncate(this.#hub(sourceHub));
      case 'hub-recreated':
        return this.#recreate(this.#hub(sourceHub));
      case 'exchange-loss': {
        const hub = this.#hub(exchangeHub);
        return random.chance(0.7) ? this.#truncate(hub) : this.#recreate(hub);
      }
      case 'partition-abandoned':
        return host.abandon(random.pick(host.slots));
      case 'supervisor-killed':
        return supervision?.kill() ?? false;
      case 'supervisor-stuck':
        return supervision?.getStuck() ?? false;
      case 'supervisor-twice':
        return supervision?.startAnother() ?? false;
      default:
        return kind satisfies never;
    }
  }

  #toSomeone(strike: (actor: Actor) => void): boolean {
    const workers = this.#options.workers();
    if (workers.length === 0) return false;
    strike(this.#options.random.pick(workers));
    return true;
  }

  /** A whole worker, until all others are done. */
  #freeze(): boolean {
    const { onFrozen, random, workers } = this.#options;
    const awake = workers().filter(({ isFrozen }) => !isFrozen);
    if (awake.length === 0 || awake.length < workers().length) return false;
    const actor = random.pick(awake);
    actor.pausedUntilMs = Infinity;
    actor.isFrozen = true;
    onFrozen(actor);
    return true;
  }

  #truncate(hub: WatchedHub): boolean {
    const { random, recorded } = this.#options;
    const partition = random.below(hub.partitionCount);
    const messages = hub.messages(partition);
    const first = messages[random.below(messages.length + 1)]?.sequenceNumber;
    if (first === undefined || first === messages[0]?.sequenceNumber) return false;
    hub.truncate(partition, first);
    recorded.truncated(hub.name, partition, first);
    return true;
  }

  /** While workers run: reads, batches and sends that are on their way may be of either hub. */
  #recreate(hub: WatchedHub): boolean {
    const { host, recorded, scheduler } = this.#options;
    const createdAtMs = Math.max(scheduler.nowMs, hub.createdAtMs) + 1;
    hub.recreate(createdAtMs);
    recorded.begin(hub.name, createdAtMs);
    host.forget(hub);
    return true;
  }

  #hub(name: string): WatchedHub {
    const hub = this.#options.hubs.get(name);
    if (hub === undefined) throw new Error(`no hub ${name}`);
    return hub;
  }
}
