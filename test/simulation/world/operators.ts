import { StreamError, isTransient } from '../../../shared/model/errors';
import { newVersion, removeTopology } from '../../../shared/operations/decisions/decide';
import { markDrain } from '../../../shared/operations/decisions/drain-mark';
import { PlanStore } from '../../../shared/operations/decisions/plan-store';
import { rollback } from '../../../shared/operations/decisions/rollback';
import type { DecisionWorld } from '../../../shared/operations/decisions/standing-plan';
import type { SimulatedBuild } from './builds';
import type { FaultKind } from './faults';
import type { Random } from './random';
import { Actor } from './scheduler';
import { ProcessServices } from './services';
import { topologyName } from './topology';
import type { WorkerWorld } from './worker';

export const decisionKinds = [
  'version-new',
  'version-drained',
  'version-removed',
  'version-rolled-back',
] as const satisfies readonly FaultKind[];

type DecisionKind = (typeof decisionKinds)[number];

const deathsMax = 3;

/**
 * People who decide: each command is killed at any point, and given again until it has come to its end; now and
 * then two give it at once.
 */
export class Operators {
  readonly #world: WorkerWorld;
  readonly #random: Random;
  #left = 0;
  #born = 0;

  constructor(world: WorkerWorld, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  /** True when nobody is at it any more. */
  get areDone(): boolean {
    return this.#left === 0;
  }

  start(): void {
    const { faults, onUnexpected } = this.#world;
    for (const kind of decisionKinds) {
      if (!faults.kinds.has(kind)) continue;
      const times = this.#random.between(1, 2);
      this.#left += times;
      this.#decide(kind, times).catch(onUnexpected);
    }
  }

  async #decide(kind: DecisionKind, times: number): Promise<void> {
    const { faults, scheduler } = this.#world;
    for (let turn = 1; turn <= times; turn += 1) {
      await scheduler.sleep(null, `thinks of ${kind}`, this.#random.between(1_000, 14_000));
      const build = this.#buildFor(kind);
      faults.count(kind);
      const isTwice = this.#random.chance(0.3);
      await Promise.all([
        this.#untilTaken(kind, build),
        ...(isTwice ? [this.#untilTaken(kind, this.#buildFor(kind))] : []),
      ]);
      this.#left -= 1;
    }
  }

  #buildFor(kind: DecisionKind): SimulatedBuild {
    const { builds } = this.#world;
    const newest = builds.at(-1);
    if (kind === 'version-new' && newest !== undefined) return newest;
    return this.#random.pick(builds);
  }

  async #untilTaken(kind: DecisionKind, build: SimulatedBuild): Promise<void> {
    const { faults, onUnexpected, scheduler } = this.#world;
    for (let deaths = 0; ; deaths += 1) {
      const actor = new Actor(`operator-${(this.#born += 1)}`);
      const isTaken = await new Promise<boolean>((resolve) => {
        actor.onLost = () => resolve(false);
        this.#take(kind, build, actor).then(
          () => resolve(true),
          (error: unknown) => {
            onUnexpected(error);
            resolve(true);
          },
        );
        const isToDie = deaths < deathsMax && !faults.isHealed && this.#random.chance(0.6);
        if (!isToDie) return;
        scheduler.later(`${actor.name} is killed`, this.#random.below(400), () => {
          scheduler.kill(actor);
        });
      });
      if (isTaken) return;
      await scheduler.sleep(null, 'gives a command again', this.#random.between(100, 3_000));
    }
  }

  /** Goes on until there is nothing to do any more, as a person does who is told to try again. */
  async #take(kind: DecisionKind, build: SimulatedBuild, actor: Actor): Promise<void> {
    const services = new ProcessServices(actor, this.#world).forDelivery();
    const world: DecisionWorld = { services, build: build.identity, own: build.own };
    const steps = this.#stepsOf(kind, world);
    for (const step of steps) {
      for (;;) {
        try {
          await step();
          break;
        } catch (error) {
          if (!(error instanceof StreamError)) throw error;
          const isNothingToDo =
            error.code === 'STREAM_CONFIGURATION_INVALID' &&
            !error.message.includes('still draining');
          this.#world.scheduler.note(actor, `${kind}: ${error.message.slice(0, 80)}`);
          if (isNothingToDo) break;
          const isToRetry = isTransient(error) || error.code === 'STREAM_CONFIGURATION_INVALID';
          if (!isToRetry) throw error;
        }
        await this.#world.scheduler.sleep(
          actor,
          `tries ${kind} again`,
          this.#random.between(500, 3_000),
        );
      }
    }
  }

  #stepsOf(kind: DecisionKind, world: DecisionWorld): readonly (() => Promise<unknown>)[] {
    const { objects } = world.services;
    switch (kind) {
      case 'version-new':
        return [() => newVersion(world)];
      case 'version-drained':
        return [
          async () => {
            const newest = await new PlanStore(objects).newest(topologyName);
            if (newest !== null && !newest.isRemoved) await markDrain(objects, newest);
          },
          () => newVersion(world, 'begin'),
        ];
      case 'version-removed':
        return [() => removeTopology(world), () => newVersion(world, 'begin')];
      case 'version-rolled-back': {
        const request = { to: null, isNewVersion: this.#random.chance(0.3) };
        return [() => rollback(world, request)];
      }
      default:
        return kind satisfies never;
    }
  }
}
