import type { OperatorSpec, TypedOperator } from '../contract';
import { statelessShape } from '../stateless';
import { assertSeveral } from '../user-answers';

interface Config {
  readonly apply: (value: unknown) => Iterable<unknown>;
}

const spec: OperatorSpec<Config> = {
  kind: 'flatMap',
  stateVersion: 1,
  shape: statelessShape,
  describe: () => null,
  open: ({ apply }, context) => ({
    process: (_port, rows) => {
      for (let index = 0; index < rows.length; index += 1) {
        context.begin(rows, index);
        const results = apply(rows.values[index]);
        assertSeveral(results, 'flatMap');
        for (const result of results) context.emit(0, result);
      }
    },
  }),
};

/** Any number of values for each value; an event of which none come is counted as filtered. */
export function flatMap<Value, Next>(
  apply: (value: Value) => Iterable<Next>,
): TypedOperator<Value, Next> {
  return { spec, config: { apply } };
}
