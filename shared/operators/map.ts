import type { MapNode } from '../topology/graph';
import type { OperatorContext, Receiver } from './context';

/** One value for each value. Delivery: as its input; a throw dead-letters the event. */
export function compileMap(node: MapNode, context: OperatorContext, next: Receiver): Receiver {
  const apply = node.apply as (value: unknown) => unknown;
  return (value, key, eventTimeMs) => {
    context.operator = node.name;
    next(apply(value), key, eventTimeMs);
  };
}
