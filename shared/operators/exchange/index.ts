import { assertPlain } from '../../model/plain-value';
import type { AppliedOperator, OperatorSpec } from '../contract';
import type { CarriedColumns } from './carried';

interface Config {
  /** Position in `StagePlan.exchanges`. */
  readonly exchange: number;
  /** Which of the streams that go through the exchange it is. */
  readonly port: number;
  /** What travels in the place of values; null: they do. */
  readonly carried: CarriedColumns | null;
}

const spec: OperatorSpec<Config> = {
  kind: 'exchange',
  stateVersion: 1,
  shape: () => ({
    inputs: [{ name: 'in', isKeyed: true }],
    outputs: [],
    stores: [],
    timers: 'none',
  }),
  describe: () => null,
  open: ({ carried, exchange, port }, context) => ({
    process: (_input, rows) => {
      const { sink } = context;
      for (let index = 0; index < rows.length; index += 1) {
        context.begin(rows, index);
        const value =
          carried === null ? rows.values[index] : carriedOf(carried, rows.values[index]);
        sink.send(exchange, {
          key: rows.keys?.[index] ?? '',
          eventTimeMs: rows.times[index] ?? 0,
          markMs: rows.marks[index] ?? -Infinity,
          port,
          ...(carried !== null && { carriedFor: carried.takers }),
          hasNegativeZero: assertPlain(value),
          value,
        });
      }
    },
  }),
};

/**
 * Ends a stage: each value goes to the task that has its key.
 * Delivery: effectively once (shared/delivery/exchange).
 */
export function exchange(
  position: number,
  port: number,
  carried: CarriedColumns | null,
): AppliedOperator {
  const config: Config = { exchange: position, port, carried };
  return { spec, config };
}

/** What cannot travel is refused where it does not have to: the next build may ask for it. */
function carriedOf({ selectors }: CarriedColumns, value: unknown): unknown {
  assertPlain(value);
  return selectors.map((ofTaker) => ofTaker.map((select) => select(value)));
}
