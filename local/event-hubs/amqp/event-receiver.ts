import type * as rhea from 'rhea';
import type { ReceiveSource } from '../address';
import type { FaultSwitches } from '../faults';
import type { LogCursor, PartitionLog } from '../log/partition-log';
import { OutgoingLink, type WaitingFragments } from './outgoing-link';
import { runtimeMetricSection, withDeliveryAnnotations } from './runtime-metric';
import { frameHeadBytes } from '../message/transfer-frame';
import { UnsettledDeliveries, type Disposition, type Settlement } from './unsettled-deliveries';

/** Sent at a time, so that links take turns: an idle SDK link's credit grows without bound. */
const eventsPerTurn = 5_000;
const bytesPerTurn = 512 * 1024;
/** The same where each message is made anew: what does not fit the window waits in memory. */
const bytesPerSlowTurn = 64 * 1024;

export interface ReceiverFacts extends ReceiveSource {
  readonly sender: rhea.Sender;
  /** Owner level; null: none. */
  readonly epoch: number | null;
  readonly wantsRuntimeMetric: boolean;
  /** The first sequence number to send. */
  readonly start: number;
}

export interface ReceiverOptions {
  readonly faults: FaultSwitches;
  readonly waiting: WaitingFragments;
  /** The receiver cannot go on. */
  readonly onFailure: (receiver: EventReceiver, error: unknown) => void;
}

/** A link on which a client receives: where it stands in the log, and what it may be sent. */
export class EventReceiver {
  readonly facts: ReceiverFacts;
  readonly #options: ReceiverOptions;
  readonly #link: OutgoingLink;
  readonly #log: PartitionLog;
  readonly #stopListening: () => void;
  readonly #unsettled: UnsettledDeliveries | null;
  /** Events that the receiver gave back, by sequence number: they come before those it has not seen. */
  #again: number[] = [];
  #cursor: LogCursor;
  #isDue = false;
  #isClosed = false;
  /** Set once an event was longer than the peer's frames. */
  #hasLongEvents = false;
  #delay: NodeJS.Timeout | null = null;

  constructor(facts: ReceiverFacts, options: ReceiverOptions) {
    this.facts = facts;
    this.#options = options;
    this.#link = new OutgoingLink(facts.sender, options.waiting);
    this.#unsettled = this.#link.isUnsettled ? new UnsettledDeliveries() : null;
    this.#log = facts.hub.log(facts.partition);
    this.#cursor = this.#log.cursorAt(facts.start);
    this.#stopListening = facts.hub.onAppend((partition) => {
      if (partition === facts.partition) this.due();
    });
  }

  /** There may be something to send, or room for it: a turn of its own, after what rhea has to say. */
  due(): void {
    if (this.#isDue || this.#isClosed) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      if (this.#isClosed || this.#delay !== null) return;
      try {
        this.#turn();
      } catch (error) {
        this.#options.onFailure(this, error);
      }
    });
  }

  /** Goes back by so many events. */
  rewind(events: number): void {
    this.#cursor = this.#log.cursorAt(Math.max(0, this.#cursor.sequenceNumber - events));
    this.due();
  }

  /** The receiver says what became of deliveries of its session; gives those it wants settled. */
  settle(disposition: Disposition): Settlement['awaited'] {
    if (this.#unsettled === null) return [];
    const { again, awaited } = this.#unsettled.settle(disposition);
    this.#again = [...this.#again, ...again].sort((left, right) => left - right);
    this.due();
    return awaited;
  }

  close(): void {
    this.#isClosed = true;
    this.#stopListening();
    this.#link.close();
    if (this.#delay !== null) clearTimeout(this.#delay);
  }

  /** Sends what there is, as far as credit, window, socket and turn go. */
  #turn(): void {
    this.#link.flush();
    if (this.#isAtEnd) {
      this.#link.giveCreditBack();
      return;
    }
    if (this.#room <= 0) return;
    if (this.#link.isCongested) {
      this.#link.onceDrained(() => this.due());
      return;
    }
    const fault = this.#options.faults.onReceive(this.facts);
    if (fault?.kind === 'refuse') throw fault.refusal;
    if (fault?.kind === 'delay') {
      this.#delay = setTimeout(() => {
        this.#delay = null;
        this.due();
      }, fault.milliseconds);
      return;
    }
    if (this.#send()) this.due();
  }

  get #isAtEnd(): boolean {
    const isRead = this.#cursor.sequenceNumber >= this.#log.nextSequenceNumber;
    return isRead && this.#again.length === 0;
  }

  get #room(): number {
    return Math.min(this.#link.room, this.#unsettled?.room ?? Infinity);
  }

  /** One stretch of the log, or one event that was given back; true when something went out. */
  #send(): boolean {
    const [again] = this.#again;
    if (again === undefined)
      return this.#sendFrom(this.#cursor, Math.min(this.#room, eventsPerTurn));
    this.#again.shift();
    const cursor = this.#log.cursorAt(again);
    // What retention has dropped meanwhile cannot come again.
    return cursor.sequenceNumber !== again || this.#sendFrom(cursor, 1);
  }

  #sendFrom(cursor: LogCursor, events: number): boolean {
    const isSlow = this.facts.wantsRuntimeMetric || this.#hasLongEvents;
    const run = this.#log.readFrames(cursor, {
      events,
      bytes: isSlow ? bytesPerSlowTurn : bytesPerTurn,
    });
    if (run === null) return false;
    const start = cursor.sequenceNumber - run.count;
    const isLong = !isWithin(run.frames, this.#link.frameBytesMax);
    this.#hasLongEvents ||= isLong;
    if (!this.facts.wantsRuntimeMetric && !isLong) {
      const deliveryId = this.#link.sendFrames(run.frames, run.count);
      for (let index = 0; this.#unsettled !== null && index < run.count; index += 1) {
        this.#unsettled.add((deliveryId + index) >>> 0, start + index);
      }
      return true;
    }
    const metric = this.facts.wantsRuntimeMetric ? runtimeMetricSection(this.#log) : null;
    for (let at = 0, sequenceNumber = start; at < run.frames.length; sequenceNumber += 1) {
      const end = at + run.frames.readUInt32BE(at);
      const message = run.frames.subarray(at + frameHeadBytes, end);
      this.#link.sendMessage(
        metric === null ? message : withDeliveryAnnotations(message, metric),
        (deliveryId) => this.#unsettled?.add(deliveryId, sequenceNumber),
      );
      at = end;
    }
    return true;
  }
}

/** No frame is longer than the peer takes. */
function isWithin(frames: Buffer, frameBytesMax: number): boolean {
  if (frames.length <= frameBytesMax) return true;
  for (let at = 0; at < frames.length;) {
    const frameBytes = frames.readUInt32BE(at);
    if (frameBytes > frameBytesMax) return false;
    at += frameBytes;
  }
  return true;
}
