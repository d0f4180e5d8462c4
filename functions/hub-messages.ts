import type { InvocationContext } from '@azure/functions';
import type { HubMessage } from '../shared/model/ports';

/** A long as newer Node workers send it; older ones send a number. */
interface LongParts {
  readonly low: number;
  readonly high: number;
}

/**
 * The trigger's batch as the engine takes it: bodies from the argument, positions from the metadata.
 * Enqueued times come without a zone and mean UTC.
 */
export function hubMessages(
  bodies: readonly unknown[],
  context: InvocationContext,
): { readonly partition: string; readonly messages: HubMessage[] } {
  const metadata = context.triggerMetadata ?? {};
  const sequenceNumbers = metadata['sequenceNumberArray'] as readonly (number | LongParts)[];
  const enqueuedTimes = metadata['enqueuedTimeUtcArray'] as readonly string[];
  const { partitionId } = metadata['partitionContext'] as { partitionId: string };
  if (sequenceNumbers.length !== bodies.length || enqueuedTimes.length !== bodies.length) {
    throw new Error(
      `The host sent ${bodies.length} bodies but ${sequenceNumbers.length} sequence numbers: set cardinality to many and update the extension bundle`,
    );
  }
  const messages = bodies.map((body, index) => ({
    sequenceNumber: toNumber(sequenceNumbers[index] ?? 0),
    enqueuedTimeMs: toUtcMs(enqueuedTimes[index] ?? ''),
    body: toBytes(body),
  }));
  return { partition: partitionId, messages };
}

function toNumber(value: number | LongParts): number {
  if (typeof value === 'number') return value;
  return value.high * 2 ** 32 + (value.low >>> 0);
}

function toUtcMs(text: string): number {
  const hasZone = /(?:Z|[+-]\d\d:\d\d)$/.test(text);
  return Date.parse(hasZone ? text : `${text}Z`);
}

function toBytes(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}
