import type * as rhea from 'rhea';
import type { ReceiveSource } from '../address';
import type { FaultSwitches } from '../faults';
import type { LogCursor, PartitionLog } from '../log/partition-log';
import { OutgoingLink, type WaitingFragments } from './outgoing-link';
import { runtimeMetricSection, withDeliveryAnnotations } from './runtime-metric';
import { frameHeadBytes } from './transfer-frame';

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

  close(): void {
    this.#isClosed = true;
    this.#stopListening();
    this.#link.close();
    if (this.#delay !== null) clearTimeout(this.#delay);
  }

  /** Sends what there is, as far as credit, window, socket and turn go. */
  #turn(): void {
    this.#link.flush();
    if (this.#cursor.sequenceNumber >= this.#log.nextSequenceNumber) {
      this.#link.giveCreditBack();
      return;
    }
    if (this.#link.room <= 0) return;
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

  /** One stretch of the log; true when something went out. */
  #send(): boolean {
    const isSlow = this.facts.wantsRuntimeMetric || this.#hasLongEvents;
    const run = this.#log.readFrames(this.#cursor, {
      events: Math.min(this.#link.room, eventsPerTurn),
      bytes: isSlow ? bytesPerSlowTurn : bytesPerTurn,
    });
    if (run === null) return false;
    const isLong = !isWithin(run.frames, this.#link.frameBytesMax);
    this.#hasLongEvents ||= isLong;
    if (!this.facts.wantsRuntimeMetric && !isLong) {
      this.#link.sendFrames(run.frames, run.count);
      return true;
    }
    const metric = this.facts.wantsRuntimeMetric ? runtimeMetricSection(this.#log) : null;
    for (let at = 0; at < run.frames.length;) {
      const end = at + run.frames.readUInt32BE(at);
      const message = run.frames.subarray(at + frameHeadBytes, end);
      this.#link.sendMessage(metric === null ? message : withDeliveryAnnotations(message, metric));
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
