import { badPartition, notFound, Refusal } from './errors';
import type { Hub, Namespace } from './namespace';

/** Addresses come as `hub/…`, `/hub/…` or whole URLs. */
function segmentsOf(address: string): string[] {
  const path = address.replace(/^[a-z]+:\/\/[^/]*/i, '').replace(/^\/+/, '');
  return path.split('/').filter((segment) => segment !== '');
}

export interface SendTarget {
  readonly hub: Hub;
  /** Null: the batch's key, or turn by turn. */
  readonly partition: number | null;
}

/** `hub` or `hub/Partitions/<id>`. */
export function resolveTarget(namespace: Namespace, address: string): SendTarget {
  const [name = '', keyword, partition] = segmentsOf(address);
  const hub = namespace.find(name);
  if (hub === undefined) throw notFound(name);
  if (keyword === undefined) return { hub, partition: null };
  if (keyword.toLowerCase() !== 'partitions' || partition === undefined) throw notFound(address);
  return { hub, partition: partitionNumber(hub, partition) };
}

export interface ReceiveSource {
  readonly hub: Hub;
  readonly group: string;
  readonly partition: number;
}

/** `hub/ConsumerGroups/<group>/Partitions/<id>`. */
export function resolveSource(namespace: Namespace, address: string): ReceiveSource {
  const [name = '', groups, group, partitions, partition] = segmentsOf(address);
  const hub = namespace.find(name);
  if (hub === undefined) throw notFound(name);
  if (
    groups?.toLowerCase() !== 'consumergroups' ||
    partitions?.toLowerCase() !== 'partitions' ||
    group === undefined ||
    partition === undefined
  ) {
    throw notFound(address);
  }
  if (!hub.hasGroup(group) && !namespace.isCreatingOnTheFly()) {
    throw notFound(`${name}/ConsumerGroups/${group}`);
  }
  return { hub, group: group.toLowerCase(), partition: partitionNumber(hub, partition) };
}

export function partitionNumber(hub: Hub, text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number >= hub.facts.partitionCount) {
    throw badPartition(text, hub.facts.partitionCount);
  }
  return number;
}

/**
 * Where a receiver begins, from its selector filter: one clause over offset, sequence number or
 * enqueued time. Without a filter: the start.
 */
export function startSequence(hub: Hub, partition: number, filter: string | undefined): number {
  const log = hub.partitions[partition];
  if (log === undefined) throw badPartition(String(partition), hub.facts.partitionCount);
  if (filter === undefined) return log.firstSequenceNumber;
  const match =
    /^\s*amqp\.annotation\.(x-opt-offset|x-opt-sequence-number|x-opt-enqueued-time)\s*(>=?)\s*'?([^']*)'?\s*$/.exec(
      filter,
    );
  if (match === null) {
    throw new Refusal('com.microsoft:argument-error', `The filter '${filter}' cannot be read.`);
  }
  const [, kind, comparison, value = ''] = match;
  const isInclusive = comparison === '>=';
  if (kind === 'x-opt-enqueued-time') return log.sequenceAfterTime(Number(value));
  if (value === '@latest') return log.nextSequenceNumber;
  if (value === '-1') return log.firstSequenceNumber;
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0) {
    throw new Refusal(
      'com.microsoft:argument-error',
      `The supplied position '${value}' is invalid.`,
    );
  }
  if (kind === 'x-opt-sequence-number') {
    assertWithin('sequence number', number, log.nextSequenceNumber - 1);
    return Math.max(log.firstSequenceNumber, isInclusive ? number : number + 1);
  }
  assertWithin('offset', number, log.lastOffset);
  const at = log.sequenceAtOffset(number);
  const [event] = log.read(at, 1);
  return !isInclusive && event?.offset === number ? at + 1 : at;
}

function assertWithin(what: string, value: number, last: number): void {
  // One past the end waits for the next event; further is a position of another life of the hub.
  if (value <= last + 1) return;
  throw new Refusal(
    'com.microsoft:argument-error',
    `The supplied ${what} '${value}' is invalid. The last ${what} in the system is '${last}'`,
  );
}
