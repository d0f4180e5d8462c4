import type { ErrorCode } from './errors';
import type { HubMessage } from './ports';
import type { EventEnd, InexactNumber, ProgramEvent } from './program';

const noBytes = new Uint8Array();

/** What of a decoded event a segment takes. */
interface DecodedValue {
  readonly value: unknown;
  readonly inexact?: readonly InexactNumber[];
}

/** How many events a segment holds at most. The clock is looked at between segments. */
export const segmentEventsMax = 64;

/** Why an event is a dead letter before anything is done with it. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  /** What refuses it, as `ingest`. */
  readonly operator: string;
}

/** Makes the events of a segment again: functions may change what they are given. */
export interface SegmentReader {
  /** Puts the values from `from` up to, not including, `to` anew from their messages. */
  refresh(segment: EventSegment, from: number, to: number): void;
  /** What a dead letter keeps of an event. */
  bytesOf(segment: EventSegment, at: number): Uint8Array;
}

/** Events that a program takes on together, in order: arrays side by side that are used again and again. */
export class EventSegment {
  length = 0;
  readonly sequenceNumbers: number[] = [];
  readonly indexes: number[] = [];
  readonly enqueuedTimesMs: number[] = [];
  readonly values: unknown[] = [];
  /** Of events of an exchange; null: the topology says it. */
  readonly keys: (string | null)[] = [];
  readonly timesMs: (number | null)[] = [];
  /** Of events of an exchange: the watermark of the source partition where the event came behind it, or null. */
  readonly marksMs: (number | null)[] = [];
  readonly ports: number[] = [];
  /** Where any event of an exchange carries columns in the place of its value: whom they are for. */
  readonly carriedFor: (string | undefined)[] = [];
  /** The message that each came in. */
  readonly bodies: Uint8Array[] = [];
  /** Where any event has one. */
  readonly inexact: (readonly InexactNumber[] | undefined)[] = [];
  readonly refusals: (Refusal | undefined)[] = [];
  /** How each ended, once it is done. */
  readonly ends: EventEnd[] = [];
  /** Null: they cannot be made again, as where there is one alone. */
  readonly reader: SegmentReader | null;

  constructor(reader: SegmentReader | null) {
    this.reader = reader;
  }

  add(event: ProgramEvent, body: Uint8Array): void {
    const at = this.#place(event, body);
    this.values[at] = event.value;
    this.keys[at] = event.key;
    this.timesMs[at] = event.eventTimeMs;
    this.marksMs[at] = event.markMs ?? null;
    this.ports[at] = event.port ?? 0;
    this.carriedFor[at] = event.carriedFor;
    this.inexact[at] = event.inexact;
    this.refusals[at] = undefined;
  }

  /** An event of a source: apart, for there are many and an object for each costs. */
  addValue(message: HubMessage, index: number, event: DecodedValue): void {
    const at = this.length;
    this.length = at + 1;
    this.sequenceNumbers[at] = message.sequenceNumber;
    this.indexes[at] = index;
    this.enqueuedTimesMs[at] = message.enqueuedTimeMs;
    this.bodies[at] = message.body;
    this.values[at] = event.value;
    this.keys[at] = null;
    this.ports[at] = 0;
    this.inexact[at] = event.inexact;
    this.refusals[at] = undefined;
  }

  /** An event that ends as a dead letter in its place. */
  addRefused(
    position: { sequenceNumber: number; index: number; enqueuedTimeMs: number },
    body: Uint8Array,
    refusal: Refusal,
  ): void {
    const at = this.#place(position, body);
    this.values[at] = undefined;
    this.inexact[at] = undefined;
    this.refusals[at] = refusal;
  }

  #place(
    position: { sequenceNumber: number; index: number; enqueuedTimeMs: number },
    body: Uint8Array,
  ): number {
    const at = this.length;
    this.length = at + 1;
    this.sequenceNumbers[at] = position.sequenceNumber;
    this.indexes[at] = position.index;
    this.enqueuedTimesMs[at] = position.enqueuedTimeMs;
    this.bodies[at] = body;
    return at;
  }

  get isFull(): boolean {
    return this.length >= segmentEventsMax;
  }

  clear(): void {
    // Values and bodies may be large: none is kept. The arrays are.
    for (let at = 0; at < this.length; at += 1) {
      this.values[at] = undefined;
      this.bodies[at] = noBytes;
    }
    this.length = 0;
  }
}
