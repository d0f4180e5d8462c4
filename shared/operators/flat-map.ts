import type { FlatMapNode } from '../topology/graph';
import type { OperatorContext, Receiver } from './context';

/** Any number of values for each value; an event of which none come is counted as filtered. */
export function compileFlatMap(
  node: FlatMapNode,
  context: OperatorContext,
  next: Receiver,
): Receiver {
  const apply = node.apply as (value: unknown) => Iterable<unknown>;
  return (value, key, eventTimeMs) => {
    context.operator = node.name;
    for (const result of apply(value)) {
      next(result, key, eventTimeMs);
      // A generator goes on running: what it throws is its own.
      context.operator = node.name;
    }
  };
}
