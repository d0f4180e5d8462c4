import {
  decodeEnvelope,
  type EnvelopeHead,
  type EventsEnvelope,
} from '../../shared/delivery/exchange/envelope';

/** The head of a message as the one task of a stage would send it, but for what a test says. */
export function envelopeHead(own: Partial<EnvelopeHead> = {}): EnvelopeHead {
  return {
    ...{ topologyVersion: 'v1', planNumber: 1, stage: 'shape', partition: '0', port: 0 },
    ...{ epoch: 1, incarnation: '1', producers: 1, commit: 1, firstOrdinal: 1 },
    ...{ watermarkMs: null, through: {}, isFinished: false },
    ...own,
  };
}

/** Reads a message that holds events. */
export function eventsOf(body: Uint8Array): EventsEnvelope {
  const envelope = decodeEnvelope(body);
  if (envelope.kind !== 'events') throw new Error('these are claims');
  return envelope;
}
