import { StreamError, type ErrorCode } from '../model/errors';
import { Seeded } from './seeded';

/** The worker is gone with all that it had in memory; nothing of ours catches it. */
export class WorkerDied extends Error {}

/** Of so many calls of a store or hub, one is not answered; of so many steps, one is a worker's last. */
const callsPerFault = 80;
const pointsPerDeath = 40;
/** Of so many batches, one comes again. */
const batchesPerRepeat = 8;
/** After so many in a row without anything done between them the world holds still, so that a run ends. */
const faultsInARowMax = 6;

/** What goes wrong in a run: where a test says so, and where a seed does. */
export class Faults {
  /** The point at which the worker dies, once. */
  diesAt: string | null = null;
  #seeded: Seeded | null = null;
  #inARow = 0;
  readonly #struck: string[] = [];

  /** From here on a seed decides what goes wrong. */
  begin(seed: number): void {
    this.#seeded = new Seeded(seed);
  }

  get areSeeded(): boolean {
    return this.#seeded !== null;
  }

  /** All that has gone wrong so far. */
  get struck(): readonly string[] {
    return this.#struck;
  }

  /** Something was done: faults are not in each other's way. */
  wentOn(): void {
    this.#inARow = 0;
  }

  /** A step of the commit order that a worker comes by. */
  readonly point = (point: string): void => {
    const isNamed = point === this.diesAt;
    if (isNamed) {
      this.diesAt = null;
      this.#struck.push(`the worker died at ${point}`);
    }
    if (isNamed || this.#strikes(`the worker died at ${point}`, pointsPerDeath)) {
      throw new WorkerDied(point);
    }
  };

  /** How many of the messages that a worker has done come to it again, or to another. */
  messagesAgain(done: number): number {
    if (done === 0 || !this.#strikes('messages came again', batchesPerRepeat)) return 0;
    return 1 + (this.#seeded?.below(done) ?? 0);
  }

  /** Whether the host goes on behind a batch that failed, as it does. */
  skipsFailedBatch(): boolean {
    return this.#strikes('the host went on behind a batch that failed', 2);
  }

  /** A store or hub that does not always answer: what was asked for is done, or it is not. */
  over<Port extends object>(port: Port, what: string, code: ErrorCode): Port {
    const lost = (name: string, isDone: boolean): void => {
      const text = `${what}.${name} was not answered, and ${isDone ? 'done' : 'not done'}`;
      if (this.#strikes(text, callsPerFault)) throw new StreamError(code, text);
    };
    return new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]): Promise<unknown> => {
          lost(String(name), false);
          const answer: unknown = await Reflect.apply(value, target, args);
          lost(String(name), true);
          return answer;
        };
      },
    });
  }

  #strikes(what: string, oneIn: number): boolean {
    if (this.#seeded === null || this.#inARow >= faultsInARowMax) return false;
    if (this.#seeded.below(oneIn) !== 0) return false;
    this.#inARow += 1;
    this.#struck.push(what);
    return true;
  }
}
