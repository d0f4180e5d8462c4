import type { OperatorSpec, TypedOperator } from '../contract';
import { statelessShape } from '../stateless';
import { isTrue } from '../user-answers';

interface Config {
  readonly isKept: (value: unknown) => boolean;
}

const spec: OperatorSpec<Config> = {
  kind: 'filter',
  stateVersion: 1,
  shape: statelessShape,
  describe: () => null,
  open: ({ isKept }, context) => ({
    process: (_port, rows) => {
      for (let index = 0; index < rows.length; index += 1) {
        const value = rows.values[index];
        if (!isTrue(isKept(value), 'filter')) continue;
        context.begin(rows, index);
        context.emit(0, value);
      }
    },
  }),
};

/** Keeps the values for which the function is true; the ledger counts the others as filtered. */
export function filter<Value>(isKept: (value: Value) => boolean): TypedOperator<Value, Value> {
  return { spec, config: { isKept } };
}
