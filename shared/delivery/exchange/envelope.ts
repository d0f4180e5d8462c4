import { ingestLimits } from '../../ingest/limits';
import { splitEvents } from '../../ingest/split-events';
import { StreamError } from '../../model/errors';

/**
 * What travels through an exchange hub: many events packed in one message (JSON, version 1).
 * Ordinals number the events from one producer to one partition: 1, 2, 3 … They are what makes a
 * re-sent outbox harmless (ordinal already seen) and a missing message visible (ordinal skipped).
 */
export interface Envelope {
  readonly version: 1;
  /** Producing task: `<stage>/<partition>`. */
  readonly producer: string;
  /** Grows when the producer's log is begun anew: its ordinals start again at 1. */
  readonly epoch: number;
  /** Tasks of the producing stage: the watermark is known when all of them have spoken. */
  readonly producers: number;
  readonly commit: number;
  /** Ordinal of the first event in here; for an empty message, of the next one to come. */
  readonly firstOrdinal: number;
  readonly watermarkMs: number | null;
  /** An idle producer does not hold the watermark back. */
  readonly idle: boolean;
  readonly events: readonly EnvelopeEvent[];
}

export type EnvelopeEvent = readonly [key: string, eventTimeMs: number, value: unknown];

/** The envelope's bytes, its events already being JSON texts. */
export function encodeEnvelope(
  head: Omit<Envelope, 'events' | 'version'>,
  eventTexts: readonly string[],
): Uint8Array {
  const text = JSON.stringify({ version: 1, ...head });
  return Buffer.from(`${text.slice(0, -1)},"events":[${eventTexts.join(',')}]}`);
}

/** Gives the bytes of a sound envelope's events, as its producer wrote them, by their positions. */
export function envelopeEventBytes(body: Uint8Array): (index: number) => Uint8Array {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  // The fields before it hold names and numbers alone; a brace ends the envelope.
  const start = bytes.indexOf('"events":[') + '"events":'.length;
  const events = bytes.subarray(start, bytes.lastIndexOf('}'));
  const { bounds } = splitEvents(events, 0, ingestLimits);
  return (index) => events.subarray(bounds[2 * index], bounds[2 * index + 1]);
}

/** Reads an envelope; rejects what is none with STREAM_EVENT_UNDECODABLE. */
export function decodeEnvelope(body: Uint8Array): Envelope {
  let envelope: Partial<Envelope> | null;
  try {
    const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
    envelope = JSON.parse(text) as Partial<Envelope> | null;
  } catch (cause) {
    throw new StreamError('STREAM_EVENT_UNDECODABLE', 'exchange message is not JSON', { cause });
  }
  const fault = faultIn(envelope);
  if (fault !== null) {
    throw new StreamError('STREAM_EVENT_UNDECODABLE', `exchange message: ${fault}`);
  }
  return envelope as Envelope;
}

function faultIn(envelope: Partial<Envelope> | null): string | null {
  if (envelope === null || typeof envelope !== 'object') return 'no object';
  if (envelope.version !== 1) return `version ${String(envelope.version)} is unknown (1 is known)`;
  if (typeof envelope.producer !== 'string') return 'producer is no string';
  for (const name of ['epoch', 'producers', 'commit', 'firstOrdinal'] as const) {
    if (!Number.isSafeInteger(envelope[name])) return `${name} is no integer`;
  }
  if (envelope.watermarkMs !== null && typeof envelope.watermarkMs !== 'number') {
    return 'watermarkMs is no number';
  }
  if (!Array.isArray(envelope.events)) return 'events is no array';
  const events: readonly unknown[] = envelope.events;
  return events.every(isEnvelopeEvent) ? null : 'an event is not [key, time, value]';
}

function isEnvelopeEvent(event: unknown): boolean {
  return (
    Array.isArray(event) &&
    event.length === 3 &&
    typeof event[0] === 'string' &&
    typeof event[1] === 'number'
  );
}
