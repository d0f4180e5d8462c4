/**
 * Folds values of a window into one result. Accumulators are JSON and immutable: `add` gives a new
 * one, so that an event that fails elsewhere can be taken back.
 */
export interface Aggregate<Value, Accumulator, Result> {
  /** What it makes of values, as in `sum`: accumulators of another kind mean something else. */
  readonly kind: string;
  /** The function of the user's that it is made with, for notes on what changed. */
  readonly select?: (value: Value) => unknown;
  readonly create: () => Accumulator;
  readonly add: (accumulator: Accumulator, value: Value) => Accumulator;
  readonly result: (accumulator: Accumulator) => Result;
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
    ...average((value: Value) => (isCounted(value) ? 1 : 0)),
    kind: 'share',
    select: isCounted,
  };
}

/** A fold of your own. The accumulator must be JSON and must not be mutated. */
export function reduce<Value, Accumulator>(
  initial: Accumulator,
  add: (accumulator: Accumulator, value: Value) => Accumulator,
): Aggregate<Value, Accumulator, Accumulator> {
  return { kind: 'reduce', create: () => initial, add, result: (accumulator) => accumulator };
}
