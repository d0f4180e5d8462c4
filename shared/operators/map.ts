import type { TypedOperator } from '../dataflow/operator';

/** One value for each value. Delivery: as its input; a throw dead-letters the event. */
export function map<Value, Next>(apply: (value: Value) => Next): TypedOperator<Value, Next> {
  return {
    kind: 'map',
    compile:
      ({ context, name, next }) =>
      (value, key, eventTimeMs) => {
        context.operator = name;
        next(apply(value as Value), key, eventTimeMs);
      },
  };
}
