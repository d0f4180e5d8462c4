/**
 * One run: the real engine, several workers, two stages and their tables, on stores, hubs, a host
 * and a clock of which one seed decides everything.
 */
import type { Clock } from '../../shared/model/ports';
import { Checker } from './checks/checker';
import { InvariantBroken } from './checks/invariants';
import { checkDecisions } from './checks/decisions';
import { compareWithOracle } from './checks/oracle';
import { buildsOf, type SimulatedBuild } from './world/builds';
import { Faults, kindsOf, type FaultKind } from './world/faults';
import { Harm } from './world/harm';
import { Host } from './world/host';
import { WatchedHub } from './world/hubs';
import { Random } from './world/random';
import { Actor, Scheduler } from './world/scheduler';
import { Outage, WatchedAppendStore, WatchedObjectStore } from './world/stores';
import { Recovery, tendingOf } from './world/recovery';
import { decisionKinds, Operators } from './world/operators';
import { produce } from './world/producer';
import {
  hubCheckIntervalOf,
  flushOf,
  limitsOf,
  loads,
  sourceTimeOf,
  startMs,
} from './world/settings';
import { exchangeHub, harmfulCode, sourceHub } from './world/topology';
import { SimulatedWorker, type WorkerWorld } from './world/worker';
import { Workload } from './world/workload';

export interface SimulationOptions {
  readonly seed: number;
  /** Default: the seed picks some. */
  readonly kinds?: readonly FaultKind[];
  /** Keep the last so many lines of what happened. Default 0. */
  readonly traceLinesMax?: number;
}

export interface SimulationReport {
  readonly seed: number;
  readonly kinds: readonly FaultKind[];
  /** How often each kind struck. */
  readonly struck: ReadonlyMap<FaultKind, number>;
  readonly failure: Error | null;
  readonly steps: number;
  readonly simulatedMs: number;
  readonly traceHash: number;
  readonly trace: readonly string[];
  readonly messages: number;
  readonly events: number;
  readonly commits: number;
}

/** Two clocks, each five minutes off. */
const clockSkewMaxMs = 600_000;
const faultyMs = 30_000;
const thawedMs = 30_000;
/** After faults cease: clocks may be off by five minutes, and stores slow by half a minute. */
const healMs = 3 * 60 * 60_000;
const stepsMax = 60_000;
/** Runs one seed to its end. A broken invariant is in the report; what is thrown is a mistake here. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  return new Simulation(options).run();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: Random;
  readonly #scheduler: Scheduler;
  readonly #faults: Faults;
  readonly #checker: Checker;
  readonly #hubs: ReadonlyMap<string, WatchedHub>;
  readonly #workload: Workload;
  readonly #load: (typeof loads)[number];
  readonly #world: WorkerWorld;
  readonly #harm: Harm;
  readonly #recovery: Recovery;
  readonly #operators: Operators;
  readonly #workers: SimulatedWorker[] = [];
  /** Names of workers that died, stood still, or left a batch undone. */
  readonly #lost = new Set<string>();
  readonly #buildOfWriter = new Map<string, SimulatedBuild>();
  #failure: Error | null = null;
  #born = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const random = (this.#random = new Random(options.seed));
    const traceLinesMax = options.traceLinesMax ?? 0;
    this.#scheduler = new Scheduler({ random: random.fork(), nowMs: startMs, traceLinesMax });
    const kinds = new Set(options.kinds ?? kindsOf(options.seed));
    this.#faults = new Faults({
      random: random.fork(),
      kinds,
      intensity: random.pick([0.5, 1, 2]),
    });
    this.#load = random.pick(loads);
    const limits = limitsOf(random);
    const time = sourceTimeOf(random, kinds);
    const clock = { nowMs: () => this.#scheduler.nowMs };
    const builds = buildsOf(random.fork(), kinds, { time, flush: flushOf(random) });
    this.#checker = new Checker({
      builds,
      buildOf: (writer) => this.#buildOfWriter.get(writer),
      onTurn: (changes) => {
        for (const kind of changes) this.#faults.count(kind);
      },
      ...limits.log,
      attemptsMax: 40,
      isMended: () => harmfulCode.isMended,
      clockMaxMs: () => this.#scheduler.nowMs + clockSkewMaxMs,
      maxDelayMs: time.quiet?.maxDelay ?? null,
      wasLost: (writer) => this.#lost.has(writer),
      onIdleTick: () => this.#faults.count('idle'),
      onBroken: (error) => this.#fail(error),
    });
    this.#hubs = this.#makeHubs(random, clock);
    const { messages } = this.#load;
    this.#workload = new Workload(random.fork(), this.#faults, {
      messages,
      customers: random.pick([1, 4, 12]),
      granularityMs: random.pick([1, 10_000]),
      nowMs: () => Math.max(this.#scheduler.nowMs, this.#hub(sourceHub).createdAtMs),
      early: time.early,
    });
    const shared = { builds, hubs: this.#hubs, scheduler: this.#scheduler, faults: this.#faults };
    const host = new Host({
      ...shared,
      random: random.fork(),
      batchMax: random.pick([2, 8, 40]),
    });
    const outage = new Outage();
    const isDraining = (): boolean => this.#faults.isHealed;
    const onFailed = (error: unknown): void => this.#fail(error);
    const tending = tendingOf(kinds, random.fork());
    this.#world = {
      ...shared,
      host,
      limits,
      outage,
      random: random.fork(),
      appends: new WatchedAppendStore(clock, this.#checker),
      objects: new WatchedObjectStore(this.#checker),
      lake: new WatchedObjectStore(this.#checker),
      hubCheckIntervalMs: hubCheckIntervalOf(random, kinds),
      tending,
      isGuarded: random.chance(0.5),
      downSinks: { tables: 0, exchanges: 0 },
      isDraining,
      areVersionsDrained: kinds.has('version-drained'),
      onUndecided: (build) => this.#onUndecided(build),
      onGaveUp: (actor) => this.#lost.add(actor.name),
      onFrozen: (actor) => this.#onFrozen(actor),
      onUnexpected: onFailed,
    };
    this.#operators = new Operators(this.#world, random.fork());
    this.#recovery = new Recovery({
      ...this.#world,
      ...{ onFailed, tending, random: random.fork(), workers: () => this.#workers },
    });
    this.#harm = new Harm({
      ...this.#world,
      random: random.fork(),
      workers: () => this.#workers.map(({ actor }) => actor),
      kill: (actor) => this.#kill(actor),
      onPaused: (actor) => this.#lost.add(actor.name),
      onFrozen: (actor) => this.#onFrozen(actor),
      recorded: this.#checker.hubs,
      supervision: this.#recovery.supervision,
    });
    host.onCrash = (actor) => this.#kill(actor);
    harmfulCode.isMended = false;
    harmfulCode.kill = () => {
      const victim = this.#scheduler.current;
      if (victim === null) throw new Error('a killing event has no worker to kill');
      this.#faults.count('poison-killing');
      this.#kill(victim);
    };
  }

  async run(): Promise<SimulationReport> {
    const workers = this.#random.between(1, 3);
    // Mostly the oldest build is there first; else all begin at once, whichever is first.
    const first = this.#random.chance(0.7) ? this.#world.builds[0] : undefined;
    for (let index = 0; index < workers; index += 1) this.#startWorker(first);
    this.#spawn(() =>
      produce({
        ...{ scheduler: this.#scheduler, faults: this.#faults, workload: this.#workload },
        ...{ random: this.#random.fork(), recorded: this.#checker.hubs },
        ...{ hub: this.#hub(sourceHub), everyMs: this.#load.everyMs },
      }),
    );
    this.#spawn(() => this.#harm.run());
    this.#spawn(() => this.#deploy());
    this.#recovery.start();
    this.#operators.start();
    const startedAtMs = this.#scheduler.nowMs;
    await this.#runUntil(
      () => this.#workload.isDone && this.#scheduler.nowMs >= startedAtMs + faultyMs,
      'produce and suffer',
    );
    this.#heal();
    await this.#runUntil(() => this.#isAtRest(), 'come to rest');
    await this.#thaw();
    if (this.#failure === null) await this.#compare();
    return this.#report(startedAtMs);
  }

  /** Who stood still wakes up when all is done, and changes nothing. */
  async #thaw(): Promise<void> {
    const frozen = this.#workers.filter(({ actor }) => actor.isFrozen);
    if (frozen.length === 0) return;
    for (const { actor } of frozen) actor.thaw();
    this.#scheduler.note(null, 'thawed');
    const untilMs = this.#scheduler.nowMs + thawedMs;
    await this.#runUntil(
      () => this.#scheduler.nowMs >= untilMs && this.#isAtRest(),
      'stay at rest when the frozen woke up',
    );
  }

  /** The platform starts another where none is left that moves. */
  #onFrozen(actor: Actor): void {
    this.#lost.add(actor.name);
    this.#recovery.onDeath(actor);
    if (this.#workers.some((one) => one.actor !== actor && !one.actor.isFrozen)) return;
    this.#startWorkerSoon();
  }

  async #runUntil(isDone: () => boolean, goal: string): Promise<void> {
    if (this.#failure !== null) return;
    const end = await this.#scheduler.run(() => this.#failure !== null || isDone(), {
      stepsMax,
      untilMs: this.#scheduler.nowMs + healMs,
    });
    if (end !== 'done') {
      this.#fail(new InvariantBroken('I10', `it did not ${goal}: ${end}; ${this.#whatIsLeft()}`));
    }
  }

  async #compare(): Promise<void> {
    const { appends, objects } = this.#world;
    const mayBeLate = [
      'idle',
      'out-of-order',
      'exchange-loss',
      'retention',
      'hub-recreated',
      ...decisionKinds,
    ] as const;
    const isEverythingOnTime =
      this.#recovery.jobs === null && mayBeLate.every((kind) => !this.#faults.kinds.has(kind));
    try {
      await checkDecisions(this.#recovery.supervision?.told ?? [], appends);
      await compareWithOracle({ checker: this.#checker, appends, objects, isEverythingOnTime });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Nothing goes wrong from here on, and the topology is drained. */
  #heal(): void {
    this.#faults.isHealed = true;
    this.#world.outage.untilMs = 0;
    this.#world.downSinks.tables = this.#world.downSinks.exchanges = 0;
    for (const { actor } of this.#workers) {
      // Whoever is frozen stays so until all the others have come to rest: nothing may wait for it.
      if (!actor.isFrozen) actor.pausedUntilMs = 0;
      actor.clockOffsetMs = 0;
    }
    // Whichever of the builds may go on now, one worker of it is there.
    for (const build of this.#world.builds) {
      const isThere = this.#workers.some((one) => one.build === build && !one.actor.isFrozen);
      if (!isThere) this.#startWorker(build);
    }
    this.#scheduler.note(null, 'healed');
  }

  /** Somebody has to decide before this build goes on. */
  #onUndecided(build: SimulatedBuild): boolean {
    const mayWait = this.#checker.plans.mayWait(build);
    if (mayWait && this.#faults.kinds.has('build-undecided')) this.#faults.count('build-undecided');
    return mayWait;
  }

  /** All input committed, all windows closed, all rows in their tables, all messages sent. */
  #isAtRest(): boolean {
    return this.#whatIsLeft() === '';
  }

  #whatIsLeft(): string {
    const { outbox, plans, sources, tables, windows } = this.#checker;
    const all = [...sources.values(), ...windows.values()];
    // A version that was begun when all was read is not heard of before input comes.
    const version = plans.newest?.version;
    const isHeardOf = version === 'v1' || all.some((task) => task.version === version);
    for (const [hub, models] of [
      [sourceHub, sources],
      [exchangeHub, windows],
    ] as const) {
      for (let partition = 0; partition < this.#partitionCount(hub); partition += 1) {
        const name = String(partition);
        const model = models.get(name);
        const incarnation = this.#checker.hubs.incarnation(hub);
        const isOfVersion = model?.version === version || !isHeardOf;
        if (!isOfVersion || model?.incarnation !== incarnation)
          return `${hub}/${name} was not begun`;
        const { bodies } = this.#checker.hubs.partition(hub, incarnation, name);
        if ((model.cursor?.sequenceNumber ?? 0) < bodies.length) return `${hub}/${name} is unread`;
      }
    }
    if (!this.#operators.areDone) return 'somebody has not decided yet';
    for (const task of sources.values()) {
      if (isHeardOf && !task.isDrained) return `${task.name} is not drained`;
    }
    for (const task of windows.values()) if (!task.isAllOut) return `${task.name} has open windows`;
    const { jobs } = this.#recovery;
    if (jobs?.areCreated === false) return 'not all jobs are created';
    const openJob = jobs?.ids.find((id) => this.#checker.jobs.get(id)?.isOver !== true);
    if (openJob !== undefined) return `${openJob} is not over`;
    if (!outbox.isEmpty) return 'an outbox is not sent';
    const unflushed = tables.find(({ lake }) => !lake.isComplete);
    return unflushed === undefined ? '' : `${unflushed.lake.table} lacks rows`;
  }

  /** @param build default: any, as where an old one starts again during a rolling deploy */
  #startWorker(build = this.#random.pick(this.#world.builds)): void {
    this.#born += 1;
    const worker = new SimulatedWorker(new Actor(`worker-${this.#born}`), build, this.#world);
    this.#buildOfWriter.set(worker.actor.name, build);
    this.#workers.push(worker);
    worker.start();
  }

  /** Workers come and go, each with one of the builds, for as long as the run is not healed. */
  async #deploy(): Promise<void> {
    const random = this.#random.fork();
    const { builds } = this.#world;
    while (builds.length > 1) {
      await this.#scheduler.sleep(null, 'deploys', random.between(1_000, 8_000));
      if (this.#faults.isHealed) return;
      const awake = this.#workers.filter(({ actor }) => !actor.isFrozen);
      if (awake.length > 1 && random.chance(0.6)) this.#kill(random.pick(awake).actor);
      else if (awake.length < 4) this.#startWorker(random.pick(builds));
    }
  }

  #kill(actor: Actor): void {
    if (!actor.isAlive) return;
    this.#lost.add(actor.name);
    this.#scheduler.kill(actor);
    this.#recovery.onDeath(actor);
    const index = this.#workers.findIndex((worker) => worker.actor === actor);
    if (index !== -1) this.#workers.splice(index, 1);
    this.#startWorkerSoon(this.#buildOfWriter.get(actor.name));
  }

  /** @param former a deploy has come to its end once a run is healed: the next one is of the same build */
  #startWorkerSoon(former?: SimulatedBuild): void {
    this.#scheduler.later('a worker starts', this.#random.between(200, 8_000), () =>
      this.#startWorker(this.#faults.isHealed ? former : undefined),
    );
  }

  #makeHubs(random: Random, clock: Clock): ReadonlyMap<string, WatchedHub> {
    const hubs = new Map<string, WatchedHub>();
    for (const name of [sourceHub, exchangeHub]) {
      const options = { partitionCount: random.between(1, 3), createdAtMs: 1_000, clock };
      this.#checker.hubs.begin(name, options.createdAtMs);
      hubs.set(name, new WatchedHub(name, options, this.#checker));
    }
    return hubs;
  }

  #hub(name: string): WatchedHub {
    const hub = this.#hubs.get(name);
    if (hub === undefined) throw new Error(`no hub ${name}`);
    return hub;
  }

  #partitionCount(hub: string): number {
    return this.#hub(hub).partitionCount;
  }

  #spawn(work: () => Promise<void>): void {
    work().catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
  }

  #report(startedAtMs: number): SimulationReport {
    const { nowMs, stepsTaken, trace, traceHash } = this.#scheduler;
    const tasks = [...this.#checker.sources.values(), ...this.#checker.windows.values()];
    return {
      seed: this.#options.seed,
      kinds: Array.from(this.#faults.kinds),
      struck: this.#faults.struck,
      failure: this.#failure,
      steps: stepsTaken,
      simulatedMs: nowMs - startedAtMs,
      traceHash,
      trace,
      messages: this.#load.messages,
      events: tasks.reduce((sum, { ledger }) => sum + ledger.read, 0),
      commits: this.#checker.commits,
    };
  }
}
