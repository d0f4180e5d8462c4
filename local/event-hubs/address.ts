import { badPartition, notFound, Refusal } from './errors';
import type { Hub } from './hub';
import type { Namespace } from './namespace';

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

/** `$cbs`, `$management`, or one of them below a hub that is there. */
export function assertControlNode(namespace: Namespace, address: string): void {
  const segments = segmentsOf(address);
  const [name = ''] = segments;
  if (segments.length > 2) throw notFound(address);
  if (segments.length === 2 && namespace.find(name) === undefined) throw notFound(name);
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
  if (
    String(number) !== text ||
    !Number.isInteger(number) ||
    number < 0 ||
    number >= hub.facts.partitionCount
  ) {
    throw badPartition(text, hub.facts.partitionCount);
  }
  return number;
}

const selectorCharactersMax = 1_024;
const annotationPrefix = 'amqp.annotation.';
const selectable = ['x-opt-offset', 'x-opt-sequence-number', 'x-opt-enqueued-time'] as const;

interface Selector {
  readonly kind: (typeof selectable)[number];
  readonly comparison: '>' | '>=';
  readonly value: string;
}

/** One clause: an annotation, a comparison, a value that may stand in quotes; blanks between them. */
function readSelector(filter: string): Selector {
  const cannotBeRead = new Refusal(
    'com.microsoft:argument-error',
    `The filter '${filter.slice(0, 100)}' cannot be read.`,
  );
  const at = filter.indexOf('>');
  if (filter.length > selectorCharactersMax || at === -1) throw cannotBeRead;
  const name = filter.slice(0, at).trim();
  const kind = selectable.find((one) => name === `${annotationPrefix}${one}`);
  const comparison = filter[at + 1] === '=' ? '>=' : '>';
  const text = filter.slice(at + comparison.length).trim();
  const value = text.slice(text.startsWith("'") ? 1 : 0, text.endsWith("'") ? -1 : undefined);
  if (kind === undefined || value.includes("'")) throw cannotBeRead;
  return { kind, comparison, value };
}

/**
 * Where a receiver begins, from its selector filter: one clause over offset, sequence number or
 * enqueued time. Without a filter: the start.
 */
export function startSequence(hub: Hub, partition: number, filter: string | undefined): number {
  const log = hub.log(partition);
  if (filter === undefined) return log.firstSequenceNumber;
  const { comparison, kind, value } = readSelector(filter);
  const isInclusive = comparison === '>=';
  if (kind === 'x-opt-enqueued-time') {
    if (!/^-?\d{1,15}$/.test(value)) {
      throw new Refusal('com.microsoft:argument-error', `The time '${value}' is invalid.`);
    }
    return log.sequenceAfterTime(Number(value) - (isInclusive ? 1 : 0));
  }
  if (value === '@latest') return log.nextSequenceNumber;
  if (value === '-1') return log.firstSequenceNumber;
  const number = Number(value);
  const isPosition = /^\d+$/.test(value) && Number.isSafeInteger(number);
  if (kind === 'x-opt-sequence-number') {
    if (!isPosition) {
      throw new Refusal(
        'com.microsoft:argument-error',
        `The supplied sequence number '${value}' is invalid.`,
      );
    }
    // From the next event on waits for it; further is a position of another life of the hub.
    const last = log.nextSequenceNumber - 1;
    assertWithin('sequence number', number, { last, max: isInclusive ? last + 1 : last });
    return Math.max(log.firstSequenceNumber, isInclusive ? number : number + 1);
  }
  if (!isPosition) {
    throw new Refusal(
      'com.microsoft:georeplication:invalid-offset',
      `The supplied offset '${value}' is invalid.`,
    );
  }
  assertWithin('offset', number, { last: log.lastOffset, max: log.lastOffset });
  const { isExact, sequenceNumber } = log.sequenceAtOffset(number);
  return isExact && !isInclusive ? sequenceNumber + 1 : sequenceNumber;
}

function assertWithin(
  what: string,
  number: number,
  { last, max }: { readonly last: number; readonly max: number },
): void {
  if (number <= max) return;
  throw new Refusal(
    'com.microsoft:argument-error',
    `The supplied ${what} '${number}' is invalid. The last ${what} in the system is '${last}'`,
  );
}
