import type { OperatorSpec, TypedOperator } from '../contract';
import { statelessShape } from '../stateless';
import { assertNoPromise } from '../user-answers';

interface Config {
  readonly apply: (value: unknown) => unknown;
}

const spec: OperatorSpec<Config> = {
  kind: 'map',
  stateVersion: 1,
  shape: statelessShape,
  describe: () => null,
  open: ({ apply }, context) => ({
    process: (_port, rows) => {
      const { keys, length, marks, origins, times } = rows;
      const values: unknown[] = new Array(length);
      for (let index = 0; index < length; index += 1) {
        const value = apply(rows.values[index]);
        assertNoPromise(value, 'map');
        values[index] = value;
      }
      context.pass(0, { length, values, keys, times, marks, origins });
    },
  }),
};

/** One value for each value. Delivery: as its input; a throw dead-letters the event. */
export function map<Value, Next>(apply: (value: Value) => Next): TypedOperator<Value, Next> {
  return { spec, config: { apply } };
}
