import type * as rhea from 'rhea';
import { types } from 'rhea';
import { resolveTarget, type SendTarget } from '../address';
import { Refusal } from '../errors';
import type { FaultSwitches, Where } from '../faults';
import type { Hub } from '../hub';
import { partitionOfKey } from '../key-hash';
import type { PartitionLog } from '../log/partition-log';
import { afterSequence, sequenceNumberMax, type ProducerClaim } from '../log/producer-states';
import type { Namespace } from '../namespace';
import { annotationValue, batchFormat, parseTransfer, type IncomingEvent } from '../message/event';
import { describeFailure } from './failures';
import { rawMessageFormat } from './incoming-link';
import { answerAttach, capabilitiesOf, numberProperty, targetAddress } from './link-facts';
import { MalformedMessage } from '../message/sections';

/** The Standard tier's limit for an event or a batch. */
export const messageBytesMax = 1024 * 1024;

const partitionKey = 'x-opt-partition-key';

const idempotent = {
  capability: 'com.microsoft:idempotent-producer',
  id: 'com.microsoft:producer-id',
  epoch: 'com.microsoft:producer-epoch',
  sequenceNumber: 'com.microsoft:producer-sequence-number',
} as const;

/** It goes back to the client as a short. */
const epochMax = 0x7fff;

export interface EventSendersOptions {
  readonly namespace: Namespace;
  readonly faults: FaultSwitches;
  readonly log: (line: string) => void;
}

/** The links on which clients send, and what becomes of what they send. */
export class EventSenders {
  readonly #options: EventSendersOptions;
  readonly #open = new Map<rhea.Receiver, SendTarget>();

  constructor(options: EventSendersOptions) {
    this.#options = options;
  }

  /** Lets a link in whose target is there, or refuses it. */
  open(receiver: rhea.Receiver): void {
    const address = targetAddress(receiver);
    const target = resolveTarget(this.#options.namespace, address);
    // On a link to the hub the partition is not known yet: the batches say who their producer is.
    if (target.partition !== null && capabilitiesOf(receiver).includes(idempotent.capability)) {
      openProducer(receiver, target.hub.log(target.partition));
    }
    this.#open.set(receiver, target);
  }

  close(receiver: rhea.Receiver): void {
    this.#open.delete(receiver);
  }

  closeWhere(matches: (receiver: rhea.Receiver) => boolean): void {
    for (const receiver of this.#open.keys()) if (matches(receiver)) this.#open.delete(receiver);
  }

  detach(where: Where, error: rhea.AmqpError): void {
    for (const [receiver, target] of this.#open) {
      if (!where.holds(target)) continue;
      this.#open.delete(receiver);
      receiver.close(error);
    }
  }

  /** Writes a batch and acknowledges it, or rejects it with the reason. */
  take(receiver: rhea.Receiver, delivery: rhea.Delivery, message: unknown): void {
    if (!this.#open.has(receiver)) {
      // Detached from here: its client sends again what it heard nothing of.
      Object.assign(delivery, { settled: true });
      return;
    }
    try {
      const target = resolveTarget(this.#options.namespace, targetAddress(receiver));
      const fault = this.#options.faults.onSend(target);
      if (fault?.kind === 'refuse') throw fault.refusal;
      this.#append(target, message, (delivery as unknown as { format: number }).format);
      if (fault?.kind === 'delay') setTimeout(() => delivery.accept(), fault.milliseconds).unref();
      else delivery.accept();
    } catch (error) {
      const reason = describeFailure(error);
      if (!(error instanceof Refusal)) this.#options.log(`send refused: ${reason.description}`);
      delivery.reject(reason);
    }
  }

  #append({ hub, partition }: SendTarget, message: unknown, format: number): void {
    if (!Buffer.isBuffer(message)) throw new MalformedMessage('the message was not taken raw');
    if (message.length > messageBytesMax) {
      throw new Refusal(
        'amqp:link:message-size-exceeded',
        `The received message (size:${message.length} bytes) exceeds the limit (${messageBytesMax} bytes) currently allowed on the link.`,
      );
    }
    if (format !== rawMessageFormat && format !== batchFormat) {
      throw new Refusal('amqp:not-implemented', `The message format ${format} is not known.`);
    }
    const { envelope, events } = parseTransfer(message, format);
    const chosen = partition ?? choosePartition(hub, annotationValue(envelope, partitionKey));
    this.#options.namespace.append({ hub, partition: chosen, events, claim: claimOf(events) });
  }
}

function choosePartition(hub: Hub, key: string | number | undefined): number {
  return typeof key === 'string'
    ? partitionOfKey(key, hub.facts.partitionCount)
    : hub.nextPartition();
}

/** Tells an idempotent producer who it is and after which number it goes on. */
function openProducer(receiver: rhea.Receiver, { producers }: PartitionLog): void {
  const position = producers.open({
    producerId: numberProperty(receiver, idempotent.id),
    epoch: numberProperty(receiver, idempotent.epoch, epochMax),
    sequenceNumber: numberProperty(receiver, idempotent.sequenceNumber, sequenceNumberMax),
  });
  answerAttach(receiver, {
    properties: {
      [idempotent.id]: types.wrap_long(position.producerId),
      [idempotent.epoch]: types.wrap_short(position.epoch),
      [idempotent.sequenceNumber]: types.wrap_int(position.sequenceNumber),
    },
  });
}

/** What the events say of the idempotent producer they come from; null: it is none. */
function claimOf(events: readonly IncomingEvent[]): ProducerClaim | null {
  const [first] = events;
  const producerId = first && annotationValue(first.annotations, idempotent.id);
  const epoch = first && annotationValue(first.annotations, idempotent.epoch);
  const number = first && annotationValue(first.annotations, idempotent.sequenceNumber);
  if (typeof producerId !== 'number' || typeof epoch !== 'number' || typeof number !== 'number') {
    return null;
  }
  if (
    ![producerId, epoch, number].every(isUnsigned) ||
    epoch > epochMax ||
    number > sequenceNumberMax
  ) {
    throw new MalformedMessage('the numbers of the idempotent producer are out of range');
  }
  const sequenceNumber = afterSequence(number, events.length - 1);
  return { producerId, epoch, firstSequenceNumber: number, sequenceNumber };
}

const isUnsigned = (number: number): boolean => Number.isSafeInteger(number) && number >= 0;
