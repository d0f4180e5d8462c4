import type { EventEnd } from '../model/program';

const isEmitted = 1;
const isLate = 2;

/**
 * What becomes of the events of a segment, and what operators count. Of what was taken back nothing
 * is left: `settle` keeps what was counted since the last one, `undo` forgets it.
 */
export class Books {
  readonly #flags: Uint8Array;
  #counts = new Map<string, number>();
  #pending: string[] = [];
  /** The earliest timer that was set since `begin`; −Infinity where others' time may have come nearer. */
  earliestSetMs = Infinity;
  /** An operator's timers hold back the time of another that has some. */
  readonly #isTimeHeld: boolean;

  constructor(eventsMax: number, isTimeHeld: boolean) {
    this.#flags = new Uint8Array(eventsMax);
    this.#isTimeHeld = isTimeHeld;
  }

  begin(): void {
    this.#flags.fill(0);
    this.earliestSetMs = Infinity;
  }

  emitted(origin: number): void {
    if (origin >= 0) this.#flags[origin] = (this.#flags[origin] ?? 0) | isEmitted;
  }

  late(origin: number, operator: string): void {
    if (origin >= 0) this.#flags[origin] = (this.#flags[origin] ?? 0) | isLate;
    this.count(operator, 'late');
  }

  count(operator: string, counter: string): void {
    this.#pending.push(`${counter}:${operator}`);
  }

  /** A counter of the stage. */
  countStage(counter: string): void {
    this.#pending.push(counter);
  }

  timerSet(timeMs: number): void {
    if (timeMs < this.earliestSetMs) this.earliestSetMs = timeMs;
  }

  timerDeleted(): void {
    if (this.#isTimeHeld) this.earliestSetMs = -Infinity;
  }

  endOf(origin: number): EventEnd {
    const flags = this.#flags[origin] ?? 0;
    if ((flags & isEmitted) !== 0) return 'emitted';
    return (flags & isLate) !== 0 ? 'late' : 'filtered';
  }

  settle(): void {
    if (this.#pending.length === 0) return;
    for (const name of this.#pending) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    this.#pending = [];
  }

  undo(): void {
    this.#pending.length = 0;
  }

  /** What was counted since it was last asked. */
  takeCounts(): Readonly<Record<string, number>> {
    this.settle();
    const counts = Object.fromEntries(this.#counts);
    this.#counts = new Map();
    return counts;
  }

  forgetCounts(): void {
    this.#pending.length = 0;
    this.#counts.clear();
  }
}
