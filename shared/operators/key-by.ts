import { assertPlain } from '../delivery/exchange/plain-value';
import { canonicalKey } from '../model/key';
import type { KeyByNode } from '../dataflow/graph';
import type { OperatorContext, Receiver } from '../dataflow/operator';

/** The canonical key of a value. */
function keyOf(node: KeyByNode): (value: unknown) => string {
  const select = node.key as (value: unknown) => unknown;
  return (value) => canonicalKey(select(value));
}

/** Sets the key where the source's partitions hold each key in one place already. */
export function compileKeyBy(node: KeyByNode, context: OperatorContext, next: Receiver): Receiver {
  const key = keyOf(node);
  return (value, _key, eventTimeMs) => {
    context.operator = node.name;
    assertPlain(value);
    next(value, key(value), eventTimeMs);
  };
}

/**
 * Ends a stage: the value goes to the task that has its key.
 * Delivery: effectively once (shared/delivery/exchange).
 */
export function compileExchange(
  node: KeyByNode,
  context: OperatorContext,
  exchange: number,
): Receiver {
  const select = keyOf(node);
  return (value, _key, eventTimeMs) => {
    context.operator = node.name;
    const hasNegativeZero = assertPlain(value);
    const key = select(value);
    const { markMs } = context;
    context.outputs.send(exchange, { key, eventTimeMs, markMs, value, hasNegativeZero });
    context.isEmitted = true;
  };
}
