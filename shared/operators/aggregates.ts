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
  /** @param timeMs the value's time: what depends on order goes by it, and never by what came first */
  readonly add: (accumulator: Accumulator, value: Value, timeMs: number) => Accumulator;
  readonly result: (accumulator: Accumulator) => Result;
  /**
   * An accumulator of its own with the same content: `add` changes the one that it is given, which an event
   * that fails elsewhere must not have done. Absent: `add` gives a new one and leaves the old as it was.
   */
  readonly copy?: (accumulator: Accumulator) => Accumulator;
  /**
   * `add` in two steps, where it asks nothing of a value but what a function selects: `add(a, v)` is
   * `fold(a, select(v))`, the time aside. The first may run before an exchange, so that the value need not travel.
   */
  readonly steps?: {
    readonly select: (value: Value) => unknown;
    readonly fold: (accumulator: Accumulator, selected: never, timeMs: number) => Accumulator;
  };
  /**
   * One accumulator of what two have gathered, of values that come after each other: what `add` of all of
   * them in this order would have given, but for the rounding of sums. Changes neither. Absent: windows that put
   * parts together (sessions, panes) cannot have it.
   */
  readonly merge?: (left: Accumulator, right: Accumulator) => Accumulator;
  /** How accumulators are kept where they are no plain values. Absent: they are. */
  readonly codec?: {
    readonly toJson: (accumulator: Accumulator) => unknown;
    readonly fromJson: (json: unknown) => Accumulator;
  };
}

/** What an aggregate keeps, by what it selects of each value. */
function selecting<Value, Selected, Accumulator, Result>(made: {
  readonly kind: string;
  readonly select: (value: Value) => Selected;
  /** Judges what the user's function gave. */
  readonly judged: (selected: Selected) => Selected;
  readonly create: () => Accumulator;
  readonly fold: (accumulator: Accumulator, selected: Selected) => Accumulator;
  readonly merge: (left: Accumulator, right: Accumulator) => Accumulator;
  readonly result: (accumulator: Accumulator) => Result;
}): Aggregate<Value, Accumulator, Result> {
  const { create, fold, judged, kind, merge, result, select } = made;
  return {
    ...{ kind, select, create, merge, result },
    add: (accumulator, value) => fold(accumulator, judged(select(value))),
    steps: { select: (value) => judged(select(value)), fold },
  };
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
  return {
    kind: 'count',
    create: () => 0,
    add: (total) => total + 1,
    // Nothing of the value: a column of nothing.
    steps: { select: () => null, fold: (total) => total + 1 },
    merge: (left, right) => left + right,
    result: (total) => total,
  };
}

/** The sum of a number of each value; 0 for none. */
export function sum<Value>(select: (value: Value) => number): Aggregate<Value, number, number> {
  return selecting({
    kind: 'sum',
    select,
    judged: (number) => finite(number, 'sum'),
    create: () => 0,
    fold: (total: number, number) => finite(total + number, 'sum'),
    merge: (left, right) => finite(left + right, 'sum'),
    result: (total) => total,
  });
}

type Least = number | null;

function extreme<Value>(
  kind: 'min' | 'max',
  select: (value: Value) => number,
): Aggregate<Value, Least, Least> {
  const isBetter = (number: number, than: number): boolean =>
    kind === 'min' ? number < than : number > than;
  return selecting({
    kind,
    select,
    judged: (number) => finite(number, kind),
    create: (): Least => null,
    fold: (best: Least, number): Least => (best === null || isBetter(number, best) ? number : best),
    merge: (left, right) => {
      if (left === null || right === null) return left ?? right;
      return isBetter(right, left) ? right : left;
    },
    result: (best) => best,
  });
}

/** The least number; null for none. */
export function min<Value>(select: (value: Value) => number): Aggregate<Value, Least, Least> {
  return extreme('min', select);
}

/** The greatest number; null for none. */
export function max<Value>(select: (value: Value) => number): Aggregate<Value, Least, Least> {
  return extreme('max', select);
}

type Mean = readonly [total: number, count: number];

const mean = {
  create: (): Mean => [0, 0],
  fold: ([total, values]: Mean, number: number): Mean => [
    finite(total + number, 'average'),
    values + 1,
  ],
  merge: (left: Mean, right: Mean): Mean => [
    finite(left[0] + right[0], 'average'),
    left[1] + right[1],
  ],
  result: ([total, values]: Mean): number | null => (values === 0 ? null : total / values),
};

/** The arithmetic mean; null for none. */
export function average<Value>(
  select: (value: Value) => number,
): Aggregate<Value, Mean, number | null> {
  const judged = (number: number): number => finite(number, 'average');
  return selecting({ kind: 'average', select, judged, ...mean });
}

/** The share (0 to 1) of values for which something is true; null for none. */
export function share<Value>(
  isCounted: (value: Value) => boolean,
): Aggregate<Value, Mean, number | null> {
  return selecting({
    ...mean,
    kind: 'share',
    select: isCounted,
    judged: (is: boolean) => isTrue(is, 'share'),
    fold: (accumulator: Mean, is: boolean) => mean.fold(accumulator, is ? 1 : 0),
  });
}

/** A value with its time, and its text: of several of one time the text decides. */
type Timed = readonly [timeMs: number, text: string, value: unknown] | null;

function outermost<Value, Selected>(
  kind: 'first' | 'last',
  select: (value: Value) => Selected,
): Aggregate<Value, Timed, Selected | null> {
  const better = (left: Timed, right: Timed): Timed => {
    if (left === null || right === null) return left ?? right;
    const isRightLater = right[0] > left[0] || (right[0] === left[0] && right[1] > left[1]);
    return isRightLater === (kind === 'last') ? right : left;
  };
  const judged = (selected: unknown): unknown => {
    assertAccumulator(selected, kind);
    return selected;
  };
  const fold = (accumulator: Timed, selected: unknown, timeMs: number): Timed =>
    better(accumulator, [timeMs, JSON.stringify(selected), selected]);
  return {
    ...{ kind, select, merge: better },
    create: () => null,
    add: (accumulator, value, timeMs) => fold(accumulator, judged(select(value)), timeMs),
    steps: { select: (value) => judged(select(value)), fold },
    result: (timed) => (timed === null ? null : (timed[2] as Selected)),
  };
}

/**
 * What a function selects of the earliest value, by event time; null for none. Of several of one time it is that
 * whose JSON text is the least: in whatever order partitions are read, it is the same.
 */
export function first<Value, Selected>(
  select: (value: Value) => Selected,
): Aggregate<Value, Timed, Selected | null> {
  return outermost('first', select);
}

/** As `first`, of the latest value; of several of one time that whose JSON text is the greatest. */
export function last<Value, Selected>(
  select: (value: Value) => Selected,
): Aggregate<Value, Timed, Selected | null> {
  return outermost('last', select);
}

/**
 * A fold of your own: `add` may change the accumulator that it is given, or give a new one. Each window has
 * its own, which begins as a copy of `initial`. It must be a plain value (see `Aggregate`); an event that
 * makes it anything else is a dead letter. `merge` makes one accumulator of two, of values after each other; it
 * may change both.
 * @throws TypeError when `initial` is no plain value
 */
export function reduce<Value, Accumulator>(
  initial: Accumulator,
  add: (accumulator: Accumulator, value: Value) => Accumulator,
  merge?: (left: Accumulator, right: Accumulator) => Accumulator,
): Aggregate<Value, Accumulator, Accumulator> {
  assertAccumulator(initial, 'reduce: the initial accumulator');
  const begun = deepCopy(initial);
  return {
    kind: 'reduce',
    select: add,
    create: () => deepCopy(begun),
    add: (accumulator, value) => {
      const next = add(accumulator, value);
      assertAccumulator(next, 'reduce: what the function gave');
      return next;
    },
    // What is done to the result must not be done to the state, which a refused commit goes back to.
    result: deepCopy,
    copy: deepCopy,
    ...(merge !== undefined && {
      merge: (left: Accumulator, right: Accumulator) => {
        const merged = merge(deepCopy(left), deepCopy(right));
        assertAccumulator(merged, 'reduce: what the merging function gave');
        return merged;
      },
    }),
  };
}

/**
 * What is wrong with what an aggregate keeps, in words that follow its name: it is written to the log, and read
 * again by another worker. Null: nothing.
 */
export function faultInAggregate({
  codec,
  create,
}: Aggregate<never, unknown, unknown>): string | null {
  try {
    const kept = codec === undefined ? create() : codec.toJson(create());
    assertAccumulator(kept, codec === undefined ? 'its accumulator' : 'what its codec makes');
    return null;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return codec === undefined ? `${reason}, or give it a codec` : reason;
  }
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
