import type { FilterNode } from '../topology/graph';
import type { OperatorContext, Receiver } from './context';

/** Keeps the values for which the function is true. */
export function compileFilter(
  node: FilterNode,
  context: OperatorContext,
  next: Receiver,
): Receiver {
  const isKept = node.isKept as (value: unknown) => boolean;
  return (value, key, eventTimeMs) => {
    context.operator = node.name;
    if (isKept(value)) next(value, key, eventTimeMs);
  };
}
