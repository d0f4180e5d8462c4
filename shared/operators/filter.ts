import type { TypedOperator } from '../dataflow/operator';

/** Keeps the values for which the function is true; the ledger counts the others as filtered. */
export function filter<Value>(isKept: (value: Value) => boolean): TypedOperator<Value, Value> {
  return {
    kind: 'filter',
    compile:
      ({ context, name, next }) =>
      (value, key, eventTimeMs) => {
        context.operator = name;
        if (isKept(value as Value)) next(value, key, eventTimeMs);
      },
  };
}
