import type { StoreCodec } from '../../state/stores';
import { endOfTimeMs } from '../../time/exchange-time';
import type { Aggregate } from '../aggregates';
import type {
  AppliedOperator,
  Columns,
  OperatorInstance,
  OperatorSpec,
  Rows,
  Selector,
  TaskContext,
} from '../contract';
import { refusedAsLate } from '../late';

/** What becomes of values that came too late for their window; all are counted. */
type LatePolicy = 'drop' | 'clamp' | 'sideOutput';

export interface TumblingConfig {
  readonly sizeMs: number;
  /** How long a window waits past its end. */
  readonly graceMs: number;
  readonly late: LatePolicy;
  readonly aggregates: readonly (readonly [string, Aggregate<never, unknown, unknown>])[];
}

const resultsOutput = 0;
const lateOutput = 1;

const spec: OperatorSpec<TumblingConfig> = {
  kind: 'window',
  stateVersion: 1,
  shape: ({ aggregates }) => ({
    inputs: [{ name: 'in', isKeyed: true }],
    outputs: [{ name: 'results' }, { name: 'late' }],
    stores: [{ name: 'windows', kind: 'map', codec: accumulatorsCodec(aggregates) }],
    timers: 'event',
  }),
  // The late policy is about what is kept by no window.
  describe: ({ aggregates, graceMs, sizeMs }) => ({
    ...{ kind: 'tumbling', sizeMs, graceMs },
    aggregates: aggregates.map(([name, { kind }]) => `${kind} ${name}`),
  }),
  args: selectorsOf,
  open: (config, context) => new TumblingWindow(config, context),
  openForMs: ({ graceMs, sizeMs }) => sizeMs + graceMs,
};

/** All that the aggregates ask of values, a column for each; null: one asks for more, or late ones go on whole. */
function selectorsOf({ aggregates, late }: TumblingConfig): readonly Selector[] | null {
  if (late === 'sideOutput') return null;
  const selectors: Selector[] = [];
  for (const [, { steps }] of aggregates) {
    if (steps === undefined) return null;
    selectors.push(steps.select as Selector);
  }
  return selectors;
}

/** A window's accumulators are replaced in its array; those that are changed in place are copied with it. */
function accumulatorsCodec(aggregates: TumblingConfig['aggregates']): StoreCodec<unknown[]> {
  const isChanging = aggregates.some(([, { copy }]) => copy !== undefined);
  const isCoded = aggregates.some(([, { codec }]) => codec !== undefined);
  return {
    toJson: isCoded
      ? (accumulators) =>
          aggregates.map(([, { codec }], index) => {
            const accumulator = accumulators[index];
            return codec === undefined ? accumulator : codec.toJson(accumulator);
          })
      : (accumulators) => accumulators,
    fromJson: isCoded
      ? (json) =>
          aggregates.map(([, { codec }], index) => {
            const kept = (json as readonly unknown[])[index];
            return codec === undefined ? kept : codec.fromJson(kept);
          })
      : (json) => json as unknown[],
    clone: isChanging
      ? (accumulators) =>
          aggregates.map(([, { copy }], index) => {
            const accumulator = accumulators[index];
            return copy === undefined ? accumulator : copy(accumulator);
          })
      : (accumulators) => accumulators.slice(),
  };
}

/**
 * A tumbling window: an accumulator per key and window, given out once, when the watermark passes the
 * window's end plus its grace, in order of (end, key).
 *
 * Delivery: results are part of the commit that moved the watermark: exactly once.
 */
export function tumblingWindow(config: TumblingConfig): AppliedOperator {
  return { spec, config };
}

class TumblingWindow implements OperatorInstance {
  readonly #config: TumblingConfig;
  readonly #context: TaskContext;
  readonly #windows;
  readonly #make: () => unknown[];
  /** The window under way was made by its last `update`. */
  #isNew = false;

  constructor(config: TumblingConfig, context: TaskContext) {
    this.#config = config;
    this.#context = context;
    this.#windows = context.map<unknown[]>('windows');
    this.#make = () => {
      this.#isNew = true;
      return config.aggregates.map(([, aggregate]) => aggregate.create());
    };
  }

  process(_port: number, rows: Rows, args: Columns): void {
    const context = this.#context;
    const { graceMs, late, sizeMs } = this.#config;
    for (let index = 0; index < rows.length; index += 1) {
      context.begin(rows, index);
      const value = rows.values[index];
      let endMs = (Math.floor((rows.times[index] ?? 0) / sizeMs) + 1) * sizeMs;
      if (refusedAsLate(context, endMs + graceMs)) {
        const { closedThroughMs } = context;
        // After a drain there is no window that is still open, and none to come.
        if (late !== 'clamp' || closedThroughMs >= endOfTimeMs) {
          if (late === 'sideOutput') context.emit(lateOutput, value);
          continue;
        }
        // The oldest window that is still open.
        endMs = (Math.floor((closedThroughMs - graceMs) / sizeMs) + 1) * sizeMs;
      }
      this.#add(endMs, rows, args, index);
    }
  }

  #add(endMs: number, rows: Rows, args: Columns, row: number): void {
    const { aggregates, graceMs } = this.#config;
    this.#isNew = false;
    const timeMs = rows.times[row] ?? 0;
    const accumulators = this.#windows.update(endMs, this.#make);
    for (let index = 0; index < aggregates.length; index += 1) {
      const aggregate = aggregates[index]?.[1];
      if (aggregate === undefined) continue;
      const column = args[index];
      const accumulator = accumulators[index];
      accumulators[index] =
        column === undefined || aggregate.steps === undefined
          ? aggregate.add(accumulator, rows.values[row] as never, timeMs)
          : aggregate.steps.fold(accumulator, column[row] as never, timeMs);
    }
    if (this.#isNew) this.#context.setTimer(endMs + graceMs);
  }

  onTimer({ timeMs }: { readonly timeMs: number }): void {
    const { aggregates, graceMs, sizeMs } = this.#config;
    const endMs = timeMs - graceMs;
    const accumulators = this.#windows.get(endMs);
    if (accumulators === undefined) return;
    this.#windows.delete(endMs);
    const value: Record<string, unknown> = {
      key: this.#context.key(),
      windowStart: endMs - sizeMs,
      windowEnd: endMs,
    };
    for (const [index, [name, aggregate]] of aggregates.entries()) {
      value[name] = aggregate.result(accumulators[index]);
    }
    // A window's time is its last instant, so that windows over windows nest.
    this.#context.emit(resultsOutput, value, endMs - 1);
  }

  /** Results are as old as their windows, of which the next may still be begun. */
  hold(output: number): number {
    const { earliestTimerMs, watermarkMs } = this.#context;
    return output === lateOutput
      ? watermarkMs
      : Math.min(earliestTimerMs - 1, watermarkMs) - this.#config.graceMs;
  }
}
