import { crc32 } from 'node:zlib';
import type { Random } from './random';

/** Something that lives and may die or stand still: a worker, the producer, the one who does harm. */
export class Actor {
  readonly name: string;
  isAlive = true;
  pausedUntilMs = 0;
  /** What its clock shows beside the true time. */
  clockOffsetMs = 0;
  /** It, or a call of it, stands still for minutes. */
  isFrozen = false;
  /** Told when it is killed, or stands still: whoever waits for it does not wait for ever. */
  onLost: (() => void) | null = null;
  readonly #wakers = new Set<() => void>();

  constructor(name: string) {
    this.name = name;
  }

  /** Stands still for ever, or until `thaw`; others of its calls go on. */
  freezeCall(): Promise<void> {
    this.isFrozen = true;
    this.onLost?.();
    return new Promise((wake) => this.#wakers.add(wake));
  }

  thaw(): void {
    this.isFrozen = false;
    this.pausedUntilMs = 0;
    for (const wake of this.#wakers) wake();
    this.#wakers.clear();
  }
}

interface Step {
  readonly actor: Actor | null;
  readonly label: string;
  readonly readyAtMs: number;
  readonly resume: () => void;
  /** Runs instead, once, when the actor died while this step waited: its request is on the way. */
  readonly orphan: (() => void) | null;
}

export type RunEnd = 'done' | 'nothing left to do' | 'too many steps' | 'too much time';

/**
 * Decides every interleaving from one seed. Whatever waits (a call to a store or hub on its way
 * there or back, a sleep, a named point in the engine) is a step; one step at a time is let go, and
 * runs until everything waits again. Time is a number that moves with the steps.
 */
export class Scheduler {
  nowMs: number;
  stepsTaken = 0;
  /** Same seed, same number: it covers every step taken, its time and who took it. */
  traceHash = 0;
  /** Whose code runs at present. */
  current: Actor | null = null;
  readonly trace: string[] = [];
  readonly #random: Random;
  readonly #steps: Step[] = [];
  readonly #traceLinesMax: number;

  constructor(options: { random: Random; nowMs: number; traceLinesMax: number }) {
    this.#random = options.random;
    this.nowMs = options.nowMs;
    this.#traceLinesMax = options.traceLinesMax;
  }

  /** Waits to be let go. A dead actor waits for ever, as the code of a killed process does. */
  step(actor: Actor | null, label: string, orphan: (() => void) | null = null): Promise<void> {
    return this.#wait(actor, label, { afterMs: 0, orphan });
  }

  sleep(actor: Actor | null, label: string, milliseconds: number): Promise<void> {
    return this.#wait(actor, label, { afterMs: Math.max(0, milliseconds), orphan: null });
  }

  /** Does something later that nobody waits for: a request that arrives after its sender gave up. */
  later(label: string, afterMs: number, effect: () => void): void {
    const readyAtMs = this.nowMs + afterMs;
    this.#steps.push({ actor: null, label, readyAtMs, resume: effect, orphan: null });
  }

  /** SIGKILL: nothing of the actor runs any more; what it had sent may still arrive. */
  kill(actor: Actor): void {
    if (!actor.isAlive) return;
    actor.isAlive = false;
    this.note(actor, 'killed');
    actor.onLost?.();
    for (let index = this.#steps.length - 1; index >= 0; index -= 1) {
      const step = this.#steps[index];
      if (step?.actor !== actor) continue;
      this.#steps.splice(index, 1);
      if (step.orphan !== null && this.#random.chance(0.5)) {
        this.later(`${step.label} of the dead`, this.#random.below(20_000), step.orphan);
      }
    }
  }

  /** Takes steps until `isDone`, asked after each. */
  async run(
    isDone: () => boolean,
    limits: { readonly stepsMax: number; readonly untilMs: number },
  ): Promise<RunEnd> {
    for (;;) {
      // All that can run without a further step has run when the event loop comes round.
      await new Promise((resolve) => setImmediate(resolve));
      if (isDone()) return 'done';
      if (this.stepsTaken >= limits.stepsMax) return 'too many steps';
      const step = this.#takeNext();
      if (step === undefined) return 'nothing left to do';
      if (this.nowMs > limits.untilMs) return 'too much time';
      this.stepsTaken += 1;
      this.current = step.actor;
      this.note(step.actor, step.label);
      step.resume();
    }
  }

  note(actor: Actor | null, what: string): void {
    const line = `${this.nowMs} ${actor?.name ?? '-'} ${what}`;
    this.traceHash = crc32(line, this.traceHash);
    if (this.#traceLinesMax === 0) return;
    this.trace.push(line);
    if (this.trace.length > this.#traceLinesMax) this.trace.shift();
  }

  #wait(
    actor: Actor | null,
    label: string,
    how: { readonly afterMs: number; readonly orphan: (() => void) | null },
  ): Promise<void> {
    return new Promise((resume) => {
      if (actor?.isAlive === false) return;
      const readyAtMs = this.nowMs + how.afterMs;
      this.#steps.push({ actor, label, readyAtMs, resume, orphan: how.orphan });
    });
  }

  /** Any step that is ready, each as likely; where none is, time goes on to the first that will be. */
  #takeNext(): Step | undefined {
    this.nowMs += this.#random.below(4);
    const ready: number[] = [];
    let firstAtMs = Infinity;
    for (let index = 0; index < this.#steps.length; index += 1) {
      const step = this.#steps[index];
      if (step === undefined) continue;
      const readyAtMs = Math.max(step.readyAtMs, step.actor?.pausedUntilMs ?? 0);
      if (readyAtMs <= this.nowMs) ready.push(index);
      else firstAtMs = Math.min(firstAtMs, readyAtMs);
    }
    if (ready.length === 0) {
      if (firstAtMs === Infinity) return undefined;
      this.nowMs = firstAtMs;
      return this.#takeNext();
    }
    const [step] = this.#steps.splice(this.#random.pick(ready), 1);
    return step;
  }
}
