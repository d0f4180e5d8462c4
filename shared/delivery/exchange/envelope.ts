import { crc32 } from 'node:zlib';
import { ingestLimits } from '../../ingest/limits';
import { splitEvents } from '../../ingest/split-events';
import { StreamError } from '../../model/errors';
import { arePositions, isPosition, type Position, type Positions } from '../../time/position';

/**
 * What travels through an exchange hub, version 2. A frame and sections:
 *
 *     "MLRX"  version: 1 byte  CRC-32 of all that follows: 4 bytes, little endian
 *     section*: kind: 1 byte  flags: 1 byte  length: 4 bytes, little endian  bytes
 *
 * A section of a kind that is not known is skipped, unless its flags say that it must be understood.
 * Names, numbers and events are JSON within their sections: `JSON.parse` reads no other form as fast.
 */
export type Envelope = EventsEnvelope | ClaimsEnvelope;

/** What a message of events says beside them. */
export interface EnvelopeHead {
  /** `v1`, `v2` …: what another version of the topology sent is not for this one. */
  readonly topologyVersion: string;
  /** Which build sent it. */
  readonly planNumber: number;
  /** The producing task. */
  readonly stage: string;
  readonly partition: string;
  /** The input of the consuming stage that these events are for. */
  readonly port: number;
  /** Grows when the producer's log is begun anew: its ordinals start again at 1. */
  readonly epoch: number;
  /** Life of the hub that the producer reads: the count of its producers belongs to it. */
  readonly incarnation: string;
  /** Tasks of the producing stage: time is known when all of them have spoken. */
  readonly producers: number;
  readonly commit: number;
  /**
   * Ordinal of the first event in here; for an empty message, of the next one to come. Ordinals number the
   * events from one producer to one port of one partition: 1, 2, 3 … They are what makes a re-sent outbox
   * harmless (ordinal already seen) and a missing message visible (ordinal skipped).
   */
  readonly firstOrdinal: number;
  /** Whether an event is late is not decided by it: it says when windows may be given out. */
  readonly watermarkMs: number | null;
  /** The source positions that the watermark covers. */
  readonly through: Positions;
  /** The producer has ended: nothing will ever come of it. That is not idleness. */
  readonly isFinished: boolean;
}

export interface EventsEnvelope extends EnvelopeHead {
  readonly kind: 'events';
  readonly events: readonly EnvelopeEvent[];
}

/**
 * A canonical key (shared/model/key.ts), an event time in epoch milliseconds, a value; for an event that came
 * behind the watermark of its source partition that watermark, by which it may be late, else null; where columns
 * travel in the place of the value, whom they are for, else null; and in a dead letter the port, where it is not
 * the first. What is null or 0 to the end is left out.
 */
export type EnvelopeEvent = readonly [
  key: string,
  eventTimeMs: number,
  value: unknown,
  markMs?: number | null,
  carriedFor?: string | null,
  port?: number,
];

/** An event of an exchange as its stage is given it. */
export function eventOfEnvelope(
  [key, eventTimeMs, value, markMs, carriedFor, ownPort]: EnvelopeEvent,
  port = 0,
): {
  readonly key: string;
  readonly eventTimeMs: number;
  readonly value: unknown;
  readonly markMs: number | undefined;
  readonly carriedFor: string | undefined;
  readonly port: number;
} {
  return {
    ...{ key, eventTimeMs, value, port: ownPort ?? port },
    ...{ markMs: markMs ?? undefined, carriedFor: carriedFor ?? undefined },
  };
}

/** The bytes of an event of an exchange with the port that it came through: its envelope is not kept. */
export function withPort(bytes: Uint8Array, port: number): Uint8Array {
  if (port === 0) return bytes;
  const text = Buffer.from(bytes).toString('utf8').trimEnd();
  const { length } = JSON.parse(text) as unknown[];
  const missing = Array.from({ length: Math.max(0, 5 - length) }, () => ',null').join('');
  return Buffer.from(`${text.slice(0, -1)}${missing},${port}]`);
}

/**
 * Source partitions in which nothing has come since all of `ends` was read: they need not be waited for while
 * no other partition has been heard of beyond its end. No clock is asked. See shared/time/claims.ts.
 */
export interface ClaimsEnvelope {
  readonly kind: 'claims';
  readonly topologyVersion: string;
  /** Where every source partition that feeds the exchange ended, read before the claimed ones were looked at. */
  readonly ends: Positions;
  readonly claims: readonly IdleClaim[];
}

export interface IdleClaim {
  readonly stage: string;
  readonly partition: string;
  /** Of the claimed task's log; 0 where it has none. */
  readonly epoch: number;
  /** Through here all that the task sent has arrived, and there was no more. */
  readonly cursor: Position;
}

const magic = Buffer.from('MLRX');
const version = 2;
const crcAt = magic.length + 1;
const sectionsAt = crcAt + 4;
const sectionHeadBytes = 6;
const mustBeUnderstood = 1;
const sectionKinds = { head: 1, events: 2, claims: 3 } as const;

/** The envelope's bytes, its events already being JSON texts. */
export function encodeEnvelope(head: EnvelopeHead, eventTexts: readonly string[]): Uint8Array {
  return frame([
    [sectionKinds.head, JSON.stringify(head)],
    [sectionKinds.events, `[${eventTexts.join(',')}]`],
  ]);
}

/** The bytes of a message that carries all claims of one survey. */
export function encodeClaims(claims: Omit<ClaimsEnvelope, 'kind'>): Uint8Array {
  return frame([[sectionKinds.claims, JSON.stringify(claims)]]);
}

function frame(sections: readonly (readonly [kind: number, text: string])[]): Uint8Array {
  const lengths = sections.map(([, text]) => Buffer.byteLength(text));
  const length = lengths.reduce((sum, each) => sum + sectionHeadBytes + each, sectionsAt);
  // In memory of its own: cut from a shared pool it would keep the pool.
  const bytes = Buffer.allocUnsafeSlow(length);
  magic.copy(bytes);
  bytes[magic.length] = version;
  let at = sectionsAt;
  sections.forEach(([kind, text], index) => {
    bytes[at] = kind;
    bytes[at + 1] = mustBeUnderstood;
    bytes.writeUInt32LE(lengths[index] ?? 0, at + 2);
    bytes.write(text, at + sectionHeadBytes);
    at += sectionHeadBytes + (lengths[index] ?? 0);
  });
  bytes.writeUInt32LE(crc32(bytes.subarray(sectionsAt)), crcAt);
  return bytes;
}

/** Gives the bytes of a sound envelope's events, as its producer wrote them, by their positions. */
export function envelopeEventBytes(body: Uint8Array): (index: number) => Uint8Array {
  const events = sectionsOf(body).get(sectionKinds.events) ?? Buffer.from('[]');
  const { bounds } = splitEvents(events, 0, ingestLimits);
  return (index) => events.subarray(bounds[2 * index], bounds[2 * index + 1]);
}

/** Reads an envelope; rejects what is none with STREAM_EVENT_UNDECODABLE. */
export function decodeEnvelope(body: Uint8Array): Envelope {
  const sections = sectionsOf(body);
  const claims = sections.get(sectionKinds.claims);
  if (claims !== undefined) return claimsOf(parsed(claims));
  const head = parsed(sections.get(sectionKinds.head));
  const events = parsed(sections.get(sectionKinds.events));
  const fault = faultInHead(head) ?? faultInEvents(events);
  if (fault !== null) throw undecodable(fault);
  return {
    ...(head as EnvelopeHead),
    kind: 'events',
    events: events as readonly EnvelopeEvent[],
  };
}

function sectionsOf(body: Uint8Array): ReadonlyMap<number, Buffer> {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (bytes.length < sectionsAt || !bytes.subarray(0, magic.length).equals(magic)) {
    throw undecodable(
      `its ${bytes.length} bytes do not begin as one; format 1 is not read any more`,
    );
  }
  if (bytes[magic.length] !== version) {
    throw undecodable(`version ${bytes[magic.length]} is unknown (${version} is known)`);
  }
  if (bytes.readUInt32LE(crcAt) !== crc32(bytes.subarray(sectionsAt))) {
    throw undecodable('its bytes are not those that were sent (CRC-32)');
  }
  const sections = new Map<number, Buffer>();
  const known: ReadonlySet<number> = new Set(Object.values(sectionKinds));
  for (let at = sectionsAt; at < bytes.length;) {
    const isCut = at + sectionHeadBytes > bytes.length;
    const end = isCut ? Infinity : at + sectionHeadBytes + bytes.readUInt32LE(at + 2);
    if (end > bytes.length) throw undecodable('its last section is cut off');
    const kind = bytes[at] ?? 0;
    const isOptional = ((bytes[at + 1] ?? 0) & mustBeUnderstood) === 0;
    if (!known.has(kind) && !isOptional) {
      throw undecodable(`a section of kind ${kind} is unknown: a newer build sent it`);
    }
    if (sections.has(kind)) throw undecodable(`it has two sections of kind ${kind}`);
    sections.set(kind, bytes.subarray(at + sectionHeadBytes, end));
    at = end;
  }
  return sections;
}

function parsed(section: Buffer | undefined): unknown {
  if (section === undefined) return undefined;
  try {
    return JSON.parse(section.toString('utf8')) as unknown;
  } catch (cause) {
    throw undecodable('a section is not JSON', cause);
  }
}

function faultInHead(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return 'it has no head';
  const head = value as Partial<EnvelopeHead>;
  for (const name of ['topologyVersion', 'stage', 'partition', 'incarnation'] as const) {
    if (typeof head[name] !== 'string') return `${name} is no text`;
  }
  const numbers = ['planNumber', 'port', 'epoch', 'producers', 'commit', 'firstOrdinal'] as const;
  for (const name of numbers) {
    if (!Number.isSafeInteger(head[name])) return `${name} is no integer`;
  }
  if (head.watermarkMs !== null && typeof head.watermarkMs !== 'number') {
    return 'watermarkMs is no number';
  }
  if (typeof head.isFinished !== 'boolean') return 'isFinished is neither true nor false';
  return arePositions(head.through) ? null : 'through holds something else than positions';
}

function faultInEvents(events: unknown): string | null {
  if (!Array.isArray(events)) return 'it has no list of events';
  return events.every(isEnvelopeEvent) ? null : 'an event is not [key, time, value, mark]';
}

function isEnvelopeEvent(event: unknown): boolean {
  return (
    Array.isArray(event) &&
    event.length >= 3 &&
    event.length <= 6 &&
    typeof event[0] === 'string' &&
    typeof event[1] === 'number' &&
    (event[3] === undefined || event[3] === null || typeof event[3] === 'number') &&
    (event[4] === undefined || event[4] === null || typeof event[4] === 'string') &&
    (event[5] === undefined || Number.isSafeInteger(event[5]))
  );
}

function claimsOf(value: unknown): ClaimsEnvelope {
  const { claims, ends, topologyVersion } = (value ?? {}) as Partial<ClaimsEnvelope>;
  const isSound =
    typeof topologyVersion === 'string' &&
    arePositions(ends) &&
    Array.isArray(claims) &&
    (claims as readonly unknown[]).every(isClaim);
  if (!isSound) throw undecodable('its claims of idleness are none');
  return { kind: 'claims', topologyVersion, ends, claims };
}

function isClaim(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { cursor, epoch, partition, stage } = value as Partial<IdleClaim>;
  return (
    typeof stage === 'string' &&
    typeof partition === 'string' &&
    Number.isSafeInteger(epoch) &&
    isPosition(cursor)
  );
}

function undecodable(fault: string, cause?: unknown): StreamError {
  return new StreamError(
    'STREAM_EVENT_UNDECODABLE',
    `exchange message: ${fault}`,
    cause === undefined ? {} : { cause },
  );
}
