import { assertPlain } from '../../model/plain-value';
import type { AppliedOperator, OperatorSpec } from '../contract';

interface Config {
  /** Position in `StagePlan.exchanges`. */
  readonly exchange: number;
  /** Which of the streams that go through the exchange it is. */
  readonly port: number;
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
  open: ({ exchange, port }, context) => ({
    process: (_input, rows) => {
      const { sink } = context;
      for (let index = 0; index < rows.length; index += 1) {
        context.begin(rows, index);
        const value = rows.values[index];
        sink.send(exchange, {
          key: rows.keys?.[index] ?? '',
          eventTimeMs: rows.times[index] ?? 0,
          markMs: rows.marks[index] ?? -Infinity,
          port,
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
export function exchange(position: number, port: number): AppliedOperator {
  return { spec, config: { exchange: position, port } };
}
