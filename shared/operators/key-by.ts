import { StreamError } from '../model/errors';
import { assertPlain } from '../delivery/exchange/plain-value';
import { shown } from '../model/shown';
import type { KeyByNode } from '../dataflow/graph';
import type { OperatorContext, Receiver } from '../dataflow/operator';

/**
 * A key is in the state, in each change of it, and in results, all of one commit: with a longer one
 * a window could be opened and its result never be committed.
 */
const keyBytesMax = 64 * 1024;
const jsonBytesPerUnitMax = 6;

function assertKeyFits(key: string): void {
  if (key.length * jsonBytesPerUnitMax <= keyBytesMax) return;
  const bytes = Buffer.byteLength(JSON.stringify(key));
  if (bytes <= keyBytesMax) return;
  throw new StreamError(
    'STREAM_EVENT_TOO_LARGE',
    `its key takes ${bytes} bytes, ${keyBytesMax} are allowed: key by less of it, or by its hash`,
  );
}

function keyOf(node: KeyByNode): (value: unknown) => string {
  const select = node.key as (value: unknown) => unknown;
  return (value) => {
    const key = select(value);
    if (typeof key === 'string') {
      assertKeyFits(key);
      // As in tables: two keys that their UTF-8 cannot tell apart are one key.
      return key.toWellFormed();
    }
    throw new TypeError(`a key must be a string, this one is ${shown(key)}`);
  };
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
    context.outputs.send(exchange, { key, eventTimeMs, value, hasNegativeZero });
    context.isEmitted = true;
  };
}
