import {
  decodeEnvelope,
  envelopeEventBytes,
  withPort,
  type EnvelopeEvent,
} from '../delivery/exchange/envelope';
import { MessageOpener, type MessageEvents } from '../ingest/decode';
import type { EventSegment, SegmentReader } from '../model/segment';

/** Reads a source's events again. Not with the opener that reads on: what it has open is under way. */
export class MessageReader implements SegmentReader {
  readonly #opener = new MessageOpener();

  refresh(segment: EventSegment, from: number, to: number): void {
    let body: Uint8Array | undefined;
    let events: MessageEvents | undefined;
    for (let at = from; at < to; at += 1) {
      if (segment.refusals[at] !== undefined) continue;
      const next = segment.bodies[at];
      if (next === undefined) continue;
      // Of one opening every event is given out once.
      if (next !== body) events = this.#opener.open(next);
      body = next;
      const event = events?.at(segment.indexes[at] ?? 0);
      if (event?.ok === true) segment.values[at] = event.value;
    }
  }

  bytesOf(segment: EventSegment, at: number): Uint8Array {
    const body = segment.bodies[at] ?? new Uint8Array();
    return this.#opener.open(body).bytesOf(segment.indexes[at] ?? 0);
  }
}

/** Reads the events of an exchange again. */
export class EnvelopeReader implements SegmentReader {
  /** Of the envelope under way: taken apart once for all of its dead letters. */
  #last: { readonly body: Uint8Array; readonly bytesOf: (index: number) => Uint8Array } | null =
    null;

  refresh(segment: EventSegment, from: number, to: number): void {
    let body: Uint8Array | undefined;
    let events: readonly EnvelopeEvent[] = [];
    for (let at = from; at < to; at += 1) {
      const next = segment.bodies[at];
      if (next === undefined) continue;
      if (next !== body) events = eventsOf(next);
      body = next;
      const event = events[segment.indexes[at] ?? 0];
      if (event !== undefined) [, , segment.values[at]] = event;
    }
  }

  bytesOf(segment: EventSegment, at: number): Uint8Array {
    const body = segment.bodies[at] ?? new Uint8Array();
    if (this.#last?.body !== body) this.#last = { body, bytesOf: envelopeEventBytes(body) };
    return withPort(this.#last.bytesOf(segment.indexes[at] ?? 0), segment.ports[at] ?? 0);
  }
}

function eventsOf(body: Uint8Array): readonly EnvelopeEvent[] {
  const envelope = decodeEnvelope(body);
  return envelope.kind === 'events' ? envelope.events : [];
}
