import type { TypedOperator } from '../dataflow/operator';

/** Any number of values for each value; an event of which none come is counted as filtered. */
export function flatMap<Value, Next>(
  apply: (value: Value) => Iterable<Next>,
): TypedOperator<Value, Next> {
  return {
    kind: 'flatMap',
    compile:
      ({ context, name, next }) =>
      (value, key, eventTimeMs) => {
        context.operator = name;
        for (const result of apply(value as Value)) {
          next(result, key, eventTimeMs);
          // A generator goes on running: what it throws is its own.
          context.operator = name;
        }
      },
  };
}
