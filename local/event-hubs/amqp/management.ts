import type * as rhea from 'rhea';
import { types } from 'rhea';
import { partitionNumber } from '../address';
import { notFound, Refusal } from '../errors';
import type { Hub } from '../hub';
import type { Namespace } from '../namespace';
import { describeFailure } from './failures';

/** Answers a request on $management; `assertAllowed` throws unless it may ask about that hub. */
export function answerManagement(
  namespace: Namespace,
  request: rhea.Message,
  assertAllowed: (hub: string) => void,
): rhea.Message {
  try {
    const properties = request.application_properties ?? {};
    assertAllowed(hubNameOf(properties));
    const body = readEntity(namespace, properties);
    return { ...answer(request, { status: 200, description: 'OK' }), body };
  } catch (error) {
    return answerFailure(request, error);
  }
}

/** The answer to a request that failed. */
export function answerFailure(request: rhea.Message, error: unknown): rhea.Message {
  const { condition, description } = describeFailure(error);
  const status = error instanceof Refusal ? error.status : 500;
  return answer(request, { status, description, condition });
}

/** The head of an answer, as the SDKs look for it on $cbs and $management. */
export function answer(
  request: rhea.Message,
  outcome: { status: number; description: string; condition?: string },
): rhea.Message {
  const { condition, description, status } = outcome;
  return {
    ...(request.message_id !== undefined && { correlation_id: request.message_id }),
    application_properties: {
      'status-code': types.wrap_int(status),
      'status-description': description,
      ...(condition !== undefined && { 'error-condition': types.wrap_symbol(condition) }),
    },
    body: null,
  };
}

const hubNameOf = (properties: Record<string, unknown>): string =>
  String(properties['name'] ?? '').replace(/^\/+/, '');

function readEntity(namespace: Namespace, properties: Record<string, unknown>): unknown {
  if (properties['operation'] !== 'READ') {
    throw new Refusal('amqp:not-implemented', `Operation ${String(properties['operation'])}.`, 501);
  }
  const name = hubNameOf(properties);
  const hub = namespace.find(name);
  if (hub === undefined) throw notFound(name);
  return properties['type'] === 'com.microsoft:partition'
    ? partitionBody(hub, String(properties['partition']))
    : hubBody(hub);
}

function hubBody(hub: Hub): unknown {
  const { createdAtMs, name, partitionCount } = hub.facts;
  const ids = hub.partitions.map((_, index) => String(index));
  return {
    name,
    type: 'com.microsoft:eventhub',
    created_at: types.wrap_timestamp(createdAtMs),
    partition_count: types.wrap_int(partitionCount),
    // An array, not a list: .NET casts to string[].
    partition_ids: types.wrap_array(ids, 0xa1, undefined),
    georeplication_factor: types.wrap_int(1),
  };
}

function partitionBody(hub: Hub, partition: string): unknown {
  const number = partitionNumber(hub, partition);
  const log = hub.partitions[number];
  if (log === undefined) throw notFound(`${hub.facts.name}/${partition}`);
  return {
    name: hub.facts.name,
    type: 'com.microsoft:partition',
    partition,
    begin_sequence_number: types.wrap_long(log.firstSequenceNumber),
    last_enqueued_sequence_number: types.wrap_long(log.nextSequenceNumber - 1),
    last_enqueued_offset: types.wrap_string(String(log.lastOffset)),
    last_enqueued_time_utc: types.wrap_timestamp(log.lastEnqueuedTimeMs),
    is_partition_empty: log.isEmpty,
    // Of a namespace without geo-replication; Rust's SDK takes no answer without them.
    begin_sequence_number_epoch: types.wrap_long(0),
    last_enqueued_sequence_number_epoch: types.wrap_long(0),
  };
}
