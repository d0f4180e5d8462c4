import type { HubMessage } from '../model/ports';

/**
 * The messages from a position on, each once and in ascending order, whatever the batch: a hub that
 * went back may deliver the new, the old and the new again in one. The batch itself where it is fit.
 */
export function freshMessages(
  messages: readonly HubMessage[],
  fromSequenceNumber: number,
): readonly HubMessage[] {
  let next = fromSequenceNumber;
  const isFresh = ({ sequenceNumber }: HubMessage): boolean => {
    if (sequenceNumber < next) return false;
    next = sequenceNumber + 1;
    return true;
  };
  if (messages.every(isFresh)) return messages;
  next = fromSequenceNumber;
  return messages.filter(isFresh);
}

/** The messages before the first hole: what is missing in it may be in the hub, and comes first. */
export function contiguousPrefix(messages: readonly HubMessage[]): readonly HubMessage[] {
  const first = messages[0]?.sequenceNumber ?? 0;
  const hole = messages.findIndex(({ sequenceNumber }, index) => sequenceNumber !== first + index);
  return hole === -1 ? messages : messages.slice(0, hole);
}

/**
 * The messages of the hub as it is now. A batch that a worker got before the hub was deleted and
 * created again may come to be processed after that: its positions mean nothing in the new hub. By
 * skew of the service's clocks a message of the new hub may look older: that one is read from the hub.
 */
export function messagesOfIncarnation(
  messages: readonly HubMessage[],
  hubCreatedAtMs: number,
): readonly HubMessage[] {
  const isFormer = ({ enqueuedTimeMs }: HubMessage): boolean => enqueuedTimeMs < hubCreatedAtMs;
  return messages.some(isFormer) ? messages.filter((message) => !isFormer(message)) : messages;
}
