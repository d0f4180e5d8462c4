import { deepCopy } from '../model/freeze';
import { isTrue } from './user-answers';

/**
 * Folds values of a window into one result. Accumulators are plain values: numbers, texts, true or false,
 * null, big integers, arrays and plain objects of these.
 */
export interface Aggregate<Value, Accumulator, Result> {
  /** What it makes of values, as in `sum`: accumulators of another kind mean something else. */
  readonly kind: string;
  /** The function of the user's that it is made with, for notes on what changed. */
  readonly select?: (...values: never[]) => unknown;
  readonly create: () => Accumulator;
  readonly add: (accumulator: Accumulator, value: Value) => Accumulator;
  readonly result: (accumulator: Accumulator) => Result;
  /**
   * An accumulator of its own with the same content: `add` changes the one that it is given, which an event
   * that fails elsewhere must not have done. Absent: `add` gives a new one and leaves the old as it was.
   */
  readonly copy?: (accumulator: Accumulator) => Accumulator;
}

/**
 * JSON, in which accumulators are kept, has no words for NaN and the infinities: they would come
 * back from the log as null. Such a value is a fault of its event.
 */
function finite(number: number, what: string): number {
  if (Number.isFinite(number)) return number;
  throw new RangeError(`${what} needs finite numbers, it got ${String(number)}`);
}

/** How many values. */
export function count<Value>(): Aggregate<Value, number, number> {
  return { kind: 'count', create: () => 0, add: (total) => total + 1, result: (total) => total };
}

/** The sum of a number of each value; 0 for none. */
export function sum<Value>(select: (value: Value) => number): Aggregate<Value, number, number> {
  return {
    kind: 'sum',
    select,
    create: () => 0,
    add: (total, value) => finite(total + finite(select(value), 'sum'), 'sum'),
    result: (total) => total,
  };
}

/** The least number; null for none. */
export function min<Value>(
  select: (value: Value) => number,
): Aggregate<Value, number | null, number | null> {
  return {
    kind: 'min',
    select,
    create: () => null,
    add: (least, value) => {
      const number = finite(select(value), 'min');
      return least === null || number < least ? number : least;
    },
    result: (least) => least,
  };
}

/** The greatest number; null for none. */
export function max<Value>(
  select: (value: Value) => number,
): Aggregate<Value, number | null, number | null> {
  return {
    kind: 'max',
    select,
    create: () => null,
    add: (greatest, value) => {
      const number = finite(select(value), 'max');
      return greatest === null || number > greatest ? number : greatest;
    },
    result: (greatest) => greatest,
  };
}

type Mean = readonly [total: number, count: number];

/** The arithmetic mean; null for none. */
export function average<Value>(
  select: (value: Value) => number,
): Aggregate<Value, Mean, number | null> {
  return {
    kind: 'average',
    select,
    create: () => [0, 0],
    add: ([total, values], value) => [
      finite(total + finite(select(value), 'average'), 'average'),
      values + 1,
    ],
    result: ([total, values]) => (values === 0 ? null : total / values),
  };
}

/** The share (0 to 1) of values for which something is true; null for none. */
export function share<Value>(
  isCounted: (value: Value) => boolean,
): Aggregate<Value, Mean, number | null> {
  return {
    ...average((value: Value) => (isTrue(isCounted(value), 'share') ? 1 : 0)),
    kind: 'share',
    select: isCounted,
  };
}

/**
 * A fold of your own: `add` may change the accumulator that it is given, or give a new one. Each window has
 * its own, which begins as a copy of `initial`. It must be a plain value (see `Aggregate`); an event that
 * makes it anything else is a dead letter.
 * @throws TypeError when `initial` is no plain value
 */
export function reduce<Value, Accumulator>(
  initial: Accumulator,
  add: (accumulator: Accumulator, value: Value) => Accumulator,
): Aggregate<Value, Accumulator, Accumulator> {
  assertAccumulator(initial, 'reduce: the initial accumulator');
  const first = deepCopy(initial);
  return {
    kind: 'reduce',
    select: add,
    create: () => deepCopy(first),
    add: (accumulator, value) => {
      const next = add(accumulator, value);
      assertAccumulator(next, 'reduce: what the function gave');
      return next;
    },
    // What is done to the result must not be done to the state, which a refused commit goes back to.
    result: deepCopy,
    copy: deepCopy,
  };
}

/** Deeper than any accumulator is nested: what goes on from there goes round. */
const depthMax = 1_000;

/** @throws TypeError for what the state cannot keep, with its place */
function assertAccumulator(value: unknown, what: string, depth = 0): void {
  switch (typeof value) {
    case 'number':
    case 'string':
    case 'boolean':
    case 'bigint':
      return;
    case 'object': {
      if (value === null) return;
      if (depth >= depthMax) throw new TypeError(`${what} is nested too deep`);
      if (Array.isArray(value)) {
        for (let index = 0; index < value.length; index += 1) {
          assertAccumulator(value[index], `${what}, at ${index},`, depth + 1);
        }
        return;
      }
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) {
        throw notPlain(what, `a ${value.constructor.name}`);
      }
      for (const [name, field] of Object.entries(value)) {
        if (field !== undefined) assertAccumulator(field, `${what}, at ${name},`, depth + 1);
      }
      return;
    }
    default:
      throw notPlain(what, value === undefined ? 'undefined' : `a ${typeof value}`);
  }
}

function notPlain(what: string, found: string): TypeError {
  return new TypeError(
    `${what} is ${found}: an accumulator is a number, a text, true or false, null, or arrays and plain objects of these`,
  );
}
