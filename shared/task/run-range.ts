import type { Cursor, Gap, LedgerCounts } from '../model/commit';
import { invariant, StreamError } from '../model/errors';
import type { Clock, HubMessage } from '../model/ports';
import type { LedgerDraft, Program, StagePlan } from '../model/program';
import {
  decodeEnvelope,
  envelopeEventBytes,
  type Envelope,
  type EnvelopeEvent,
} from '../delivery/exchange/envelope';
import type { Producers } from '../delivery/exchange/producers';
import type { DecodedEvent, MessageEvents, MessageOpener } from '../ingest/decode';
import type { BatchOutputs } from './batch-outputs';
import { hashBodies } from './batch-outputs';

/** The clock is looked at once every so many events: looking is not free. */
const eventsPerDeadlineCheck = 64;

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
  readonly #ledger: LedgerDraft = {
    read: 0,
    emitted: 0,
    filtered: 0,
    late: 0,
    deadLettered: 0,
    gap: 0,
  };
  readonly #gaps: Gap[] = [];
  readonly #bodies: Uint8Array[] = [];
  #cursor: Cursor;
  #events = 0;
  #quarantine: Quarantine | null;
  /** Of the envelope under way: taken apart once for all of its dead letters. */
  #envelopeBytes: ((index: number) => Uint8Array) | null = null;

  constructor(request: RangeRequest) {
    this.#request = request;
    this.#cursor = request.from;
    this.#quarantine = request.quarantineFirst;
  }

  run(): RangeResult {
    for (const message of this.#request.messages) {
      if (this.#isOver()) break;
      invariant(message.sequenceNumber >= this.#cursor.sequenceNumber, 'a cursor never goes back');
      this.#declareGapBefore(message);
      this.#bodies.push(message.body);
      if (!this.#run(message)) break;
      this.#cursor = { sequenceNumber: message.sequenceNumber + 1, index: 0 };
    }
    return {
      to: this.#cursor,
      events: this.#events,
      messages: this.#bodies.length,
      inputHash: hashBodies(this.#bodies),
      ledger: this.#ledger,
      gaps: this.#gaps,
    };
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

  #isOver(): boolean {
    // What is there already, were it only results that were due, is a commit of its own.
    if (this.#request.outputs.isFull) return true;
    if (this.#events >= this.#request.eventsMax) return true;
    // The first event always runs: a batch must make progress, however late it started.
    return (
      this.#events > 0 &&
      this.#events % eventsPerDeadlineCheck === 0 &&
      this.#request.clock.nowMs() >= this.#request.deadlineMs
    );
  }

  #declareGapBefore(message: HubMessage): void {
    if (message.sequenceNumber <= this.#cursor.sequenceNumber) return;
    this.#gaps.push({
      fromSequenceNumber: this.#cursor.sequenceNumber,
      toSequenceNumber: message.sequenceNumber - 1,
      reason: this.#request.gapReason,
      events: null,
    });
    this.#ledger.gap += message.sequenceNumber - this.#cursor.sequenceNumber;
    this.#cursor = { sequenceNumber: message.sequenceNumber, index: 0 };
  }

  #runMessage(message: HubMessage): boolean {
    const events = this.#request.opener.open(message.body);
    for (let index = this.#cursor.index; index < events.length; index += 1) {
      if (this.#isOver()) return false;
      this.#runSourceEvent(message, index, events);
      this.#cursor = { sequenceNumber: message.sequenceNumber, index: index + 1 };
    }
    return true;
  }

  #runSourceEvent(message: HubMessage, index: number, events: MessageEvents): void {
    const { outputs, program } = this.#request;
    const { sequenceNumber, enqueuedTimeMs } = message;
    this.#count();
    outputs.payload = () => events.bytesOf(index);
    if (this.#quarantined(message, index)) return;
    const event: DecodedEvent = events.at(index);
    if (!event.ok) {
      const { payload, reason } = event;
      outputs.payload = () => payload;
      const error = new StreamError('STREAM_EVENT_UNDECODABLE', reason);
      this.#letter(message, index, error, 'ingest');
      return;
    }
    const end = program.process({
      sequenceNumber,
      index,
      enqueuedTimeMs,
      key: null,
      eventTimeMs: null,
      value: event.value,
      inexact: event.inexact,
    });
    this.#ledger[end] += 1;
  }

  #runEnvelope(message: HubMessage): boolean {
    const { outputs, producers } = this.#request;
    let envelope: Envelope;
    this.#envelopeBytes = null;
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
    for (let index = first; index < envelope.events.length; index += 1) {
      if (this.#isOver()) {
        producers.take(envelope, index);
        return false;
      }
      this.#runExchangeEvent(message, index, envelope.events[index]);
      this.#cursor = { sequenceNumber: message.sequenceNumber, index: index + 1 };
    }
    producers.take(envelope, envelope.events.length);
    this.#advance();
    return true;
  }

  #advance(): void {
    const { producers, program } = this.#request;
    const watermarkMs = producers.watermarkMs();
    if (watermarkMs !== null) program.advanceWatermark(watermarkMs);
  }

  #runExchangeEvent(message: HubMessage, index: number, event: EnvelopeEvent | undefined): void {
    if (event === undefined) return;
    this.#count();
    this.#request.outputs.payload = () => {
      this.#envelopeBytes ??= envelopeEventBytes(message.body);
      return this.#envelopeBytes(index);
    };
    if (this.#quarantined(message, index)) return;
    const end = this.#request.program.process({
      sequenceNumber: message.sequenceNumber,
      index,
      enqueuedTimeMs: message.enqueuedTimeMs,
      key: event[0],
      eventTimeMs: event[1],
      value: event[2],
      markMs: event[3],
    });
    this.#ledger[end] += 1;
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

  #quarantined(message: HubMessage, index: number): boolean {
    const quarantine = this.#quarantine;
    if (quarantine === null) return false;
    this.#quarantine = null;
    this.#letter(message, index, quarantine.error, this.#request.plan.name);
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
