import { emptyLedger, type Cursor, type Gap, type LedgerCounts } from '../model/commit';
import { invariant, StreamError } from '../model/errors';
import type { Clock, HubMessage } from '../model/ports';
import type { LedgerDraft, Program, StagePlan } from '../model/program';
import { EventSegment } from '../model/segment';
import {
  decodeEnvelope,
  eventOfEnvelope,
  type Envelope,
  type EventsEnvelope,
} from '../delivery/exchange/envelope';
import type { Producers } from '../delivery/exchange/producers';
import type { MessageEvents, MessageOpener } from '../ingest/decode';
import type { BatchOutputs } from './batch-outputs';
import { hashBodies } from './batch-outputs';
import { EnvelopeReader, MessageReader } from './segment-readers';

export interface RangeRequest {
  readonly plan: StagePlan;
  readonly program: Program;
  readonly producers: Producers;
  /** What another version of the topology sent is dropped, and counted. */
  readonly topologyVersion: string;
  readonly outputs: BatchOutputs;
  readonly clock: Clock;
  /** Contiguous messages; the first holds the cursor, or comes after it where input is gone. */
  readonly messages: readonly HubMessage[];
  readonly from: Cursor;
  readonly eventsMax: number;
  readonly deadlineMs: number;
  readonly quarantineFirst: Quarantine | null;
  readonly opener: MessageOpener;
  /** Why input before the first message is gone. */
  readonly gapReason: Gap['reason'];
}

/** What is dead-lettered with which error, unprocessed: the first event, or the first message unread. */
export interface Quarantine {
  readonly what: 'event' | 'message';
  readonly error: StreamError;
}

export interface RangeResult {
  readonly to: Cursor;
  readonly events: number;
  readonly messages: number;
  readonly inputHash: number;
  readonly ledger: LedgerCounts;
  readonly gaps: readonly Gap[];
}

/** One pass over a range: a running position, counts, and the reasons to stop. */
class RangeRun {
  readonly #request: RangeRequest;
  readonly #ledger: LedgerDraft = { ...emptyLedger };
  readonly #gaps: Gap[] = [];
  readonly #messages: HubMessage[] = [];
  /** Events that wait to be run together. */
  readonly #segment: EventSegment;
  /** Behind the last event that was run, or was gathered to be. */
  #cursor: Cursor;
  #events = 0;
  #quarantine: Quarantine | null;
  /** No more may be taken on: a segment ended early, or time is up. */
  #isStopped = false;

  constructor(request: RangeRequest) {
    this.#request = request;
    this.#cursor = request.from;
    this.#quarantine = request.quarantineFirst;
    const isExchange = request.plan.input.kind === 'exchange';
    this.#segment = new EventSegment(isExchange ? new EnvelopeReader() : new MessageReader());
  }

  run(): RangeResult {
    // What is there already, were it only results that were due, is a commit of its own.
    this.#stopWhereFull();
    this.#request.opener.expect(this.#request.messages);
    for (const message of this.#request.messages) {
      if (this.#isOver()) break;
      invariant(message.sequenceNumber >= this.#cursor.sequenceNumber, 'a cursor never goes back');
      if (!this.#declareGapBefore(message)) break;
      this.#messages.push(message);
      if (!this.#run(message)) break;
      this.#cursor = { sequenceNumber: message.sequenceNumber + 1, index: 0 };
    }
    this.#runSegment();
    this.#request.opener.expect([]);
    const bodies = this.#begunMessages().map(({ body }) => body);
    return {
      to: this.#cursor,
      events: this.#events,
      messages: bodies.length,
      inputHash: hashBodies(bodies),
      ledger: this.#ledger,
      gaps: this.#gaps,
    };
  }

  /** Those before the cursor, and the one that it is in: others were only gathered. */
  #begunMessages(): readonly HubMessage[] {
    if (!this.#isStopped) return this.#messages;
    const { index, sequenceNumber: at } = this.#cursor;
    return this.#messages.filter(
      ({ sequenceNumber }) => sequenceNumber < at || (sequenceNumber === at && index > 0),
    );
  }

  /**
   * Runs the events that were gathered. False where some of them are left for another commit: the cursor
   * is before the first of them then.
   */
  #runSegment(): boolean {
    const segment = this.#segment;
    if (segment.length === 0) return !this.#isStopped;
    const { clock, deadlineMs, outputs, program } = this.#request;
    const done = program.run(segment);
    for (let at = 0; at < done; at += 1) this.#ledger[segment.ends[at] ?? 'filtered'] += 1;
    this.#events += done;
    this.#ledger.read += done;
    const isWhole = done === segment.length;
    if (!isWhole) {
      this.#cursor = {
        sequenceNumber: segment.sequenceNumbers[done] ?? 0,
        index: segment.indexes[done] ?? 0,
      };
    }
    segment.clear();
    const isOver = outputs.isFull || program.isFiringDue || clock.nowMs() >= deadlineMs;
    if (!isWhole || isOver) this.#isStopped = true;
    return isWhole;
  }

  /** False where it stopped before the message's end. */
  #run(message: HubMessage): boolean {
    const quarantine = this.#quarantine;
    if (quarantine?.what === 'message') {
      this.#quarantine = null;
      this.#count();
      this.#request.outputs.payload = () => message.body;
      const { input, name } = this.#request.plan;
      const operator = input.kind === 'exchange' ? 'exchange' : name;
      this.#letter(message, this.#cursor.index, quarantine.error, operator);
      return true;
    }
    return this.#request.plan.input.kind === 'exchange'
      ? this.#runEnvelope(message)
      : this.#runMessage(message);
  }

  /** Asked where something may have changed it, not for every event. */
  #stopWhereFull(): void {
    if (this.#request.outputs.isFull || this.#request.program.isFiringDue) this.#isStopped = true;
  }

  #isOver(): boolean {
    if (this.#isStopped) return true;
    return this.#events + this.#segment.length >= this.#request.eventsMax;
  }

  /** True where the next event may be taken on: it always may be the first, however late it is. */
  #hasRoom(): boolean {
    if (this.#segment.isFull && !this.#runSegment()) return false;
    return !this.#isOver();
  }

  /** False where what comes before the gap is not all run. */
  #declareGapBefore(message: HubMessage): boolean {
    if (message.sequenceNumber <= this.#cursor.sequenceNumber) return true;
    if (!this.#runSegment() || this.#isOver()) return false;
    this.#gaps.push({
      fromSequenceNumber: this.#cursor.sequenceNumber,
      toSequenceNumber: message.sequenceNumber - 1,
      reason: this.#request.gapReason,
      events: null,
    });
    this.#ledger.gap += message.sequenceNumber - this.#cursor.sequenceNumber;
    this.#cursor = { sequenceNumber: message.sequenceNumber, index: 0 };
    return true;
  }

  #runMessage(message: HubMessage): boolean {
    const events = this.#request.opener.open(message.body);
    for (let index = this.#cursor.index; index < events.length; index += 1) {
      if (!this.#hasRoom()) return false;
      this.#gatherSourceEvent(message, index, events);
      this.#cursor = { sequenceNumber: message.sequenceNumber, index: index + 1 };
    }
    return true;
  }

  #gatherSourceEvent(message: HubMessage, index: number, events: MessageEvents): void {
    if (
      this.#quarantine !== null &&
      this.#gatheredQuarantined({ ...message, index }, message.body)
    ) {
      return;
    }
    const event = events.at(index);
    if (event.ok) {
      this.#segment.addValue(message, index, event);
      return;
    }
    const { body, enqueuedTimeMs, sequenceNumber } = message;
    const position = { sequenceNumber, index, enqueuedTimeMs };
    const { code, message: reason } = new StreamError('STREAM_EVENT_UNDECODABLE', event.reason);
    this.#segment.addRefused(position, body, { code, message: reason, operator: 'ingest' });
  }

  #runEnvelope(message: HubMessage): boolean {
    const { outputs, producers } = this.#request;
    let envelope: Envelope;
    try {
      envelope = decodeEnvelope(message.body);
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      this.#count();
      outputs.payload = () => message.body;
      this.#letter(message, 0, error, 'exchange');
      return true;
    }
    if (envelope.topologyVersion !== this.#request.topologyVersion) {
      producers.drop(envelope.kind === 'claims' ? 0 : envelope.events.length);
      return true;
    }
    if (envelope.kind === 'claims') {
      producers.claim(envelope);
      this.#advance();
      return true;
    }
    const admission = producers.admit(envelope);
    if (admission.stale) return true;
    if (admission.contradiction !== null) throw restoredProducer(admission.contradiction);
    if (admission.missing > 0) this.#declareMissing(message, admission.missing);
    const first = Math.max(admission.seen, this.#cursor.index);
    if (!this.#runEnvelopeEvents(message, envelope, first)) {
      const { index, sequenceNumber } = this.#cursor;
      producers.take(envelope, sequenceNumber === message.sequenceNumber ? index : first);
      return false;
    }
    producers.take(envelope, envelope.events.length);
    this.#advance();
    return true;
  }

  #advance(): void {
    const { producers, program } = this.#request;
    const watermarkMs = producers.watermarkMs();
    if (watermarkMs !== null) program.advanceWatermark(watermarkMs);
    this.#stopWhereFull();
  }

  /** All of an envelope's events are run before it is noted as taken in, and time is moved by it. */
  #runEnvelopeEvents(message: HubMessage, envelope: EventsEnvelope, first: number): boolean {
    const { body, enqueuedTimeMs, sequenceNumber } = message;
    for (let index = first; index < envelope.events.length; index += 1) {
      if (!this.#hasRoom()) {
        this.#runSegment();
        return false;
      }
      const position = { sequenceNumber, index, enqueuedTimeMs };
      const event = envelope.events[index];
      if (event === undefined) continue;
      if (!this.#gatheredQuarantined(position, body)) {
        this.#segment.add({ ...position, ...eventOfEnvelope(event, envelope.port) }, body);
      }
      this.#cursor = { sequenceNumber, index: index + 1 };
    }
    return this.#runSegment();
  }

  #declareMissing(message: HubMessage, missing: number): void {
    this.#gaps.push({
      fromSequenceNumber: message.sequenceNumber,
      toSequenceNumber: message.sequenceNumber,
      reason: 'producer-missing',
      events: missing,
    });
    this.#ledger.gap += missing;
  }

  #count(): void {
    this.#events += 1;
    this.#ledger.read += 1;
  }

  #gatheredQuarantined(
    position: { sequenceNumber: number; index: number; enqueuedTimeMs: number },
    body: Uint8Array,
  ): boolean {
    const quarantine = this.#quarantine;
    if (quarantine === null) return false;
    this.#quarantine = null;
    const { code, message } = quarantine.error;
    const operator = this.#request.plan.name;
    this.#segment.addRefused(position, body, { code, message, operator });
    return true;
  }

  #letter(message: HubMessage, index: number, error: StreamError, operator: string): void {
    this.#ledger.deadLettered += 1;
    this.#request.outputs.deadLetter({
      sequenceNumber: message.sequenceNumber,
      index,
      code: error.code,
      message: error.message,
      operator,
      enqueuedTimeMs: message.enqueuedTimeMs,
    });
    this.#stopWhereFull();
  }
}

function restoredProducer(contradiction: string): StreamError {
  return new StreamError(
    'STREAM_LOG_BEHIND',
    `exchange message: ${contradiction}: its commit log is an older copy, or was deleted. Nothing of it was ` +
      'taken in. Put the newest copy of that log back, or begin anew with millrace reset',
  );
}

/**
 * Runs a range of input through a program: the pure step from (state, messages) to (state, outputs).
 * Stops at `eventsMax` or the deadline, at an event boundary, and says how far it came.
 */
export function runRange(request: RangeRequest): RangeResult {
  return new RangeRun(request).run();
}

/** How many events a message holds from the cursor on. */
export function countEvents(
  request: { readonly plan: StagePlan; readonly opener: MessageOpener },
  message: HubMessage,
  from: Cursor,
): number {
  const held =
    request.plan.input.kind === 'exchange'
      ? envelopeLength(message.body)
      : request.opener.open(message.body).length;
  return Math.max(0, held - (message.sequenceNumber === from.sequenceNumber ? from.index : 0));
}

function envelopeLength(body: Uint8Array): number {
  try {
    const envelope = decodeEnvelope(body);
    return envelope.kind === 'claims' ? 0 : envelope.events.length;
  } catch (error) {
    if (error instanceof StreamError) return 1;
    throw error;
  }
}
