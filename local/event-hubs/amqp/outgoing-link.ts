import type { Socket } from 'node:net';
import type * as rhea from 'rhea';
import { Refusal } from '../errors';
import {
  addressFrames,
  fragmentMessage,
  frameHeadBytes,
  type FrameTarget,
} from '../message/transfer-frame';

/** What rhea keeps of a session's outgoing side (rhea 3.0.5 lib/session.js, pinned). */
interface RheaOutgoing {
  readonly deliveries: { readonly size: number };
  next_delivery_id: number;
  next_pending_delivery: number;
  next_transfer_id: number;
  readonly remote_next_transfer_id?: number;
  readonly remote_window?: number;
}

interface RheaFlow {
  readonly performative: { readonly handle?: number | null; readonly echo?: boolean | null };
}

interface RheaSession {
  readonly local: { readonly channel: number };
  readonly outgoing: RheaOutgoing;
  _get_link(frame: RheaFlow): RheaSender;
  _write_flow(link?: RheaSender): void;
  on_flow(frame: RheaFlow): void;
}

interface RheaSender {
  readonly local: {
    readonly handle: number;
    readonly attach: { readonly snd_settle_mode?: number | null };
  };
  readonly session: RheaSession;
  readonly connection: {
    readonly socket?: Socket;
    readonly max_frame_size?: number;
    _register(): void;
  };
  readonly _draining: boolean;
  credit: number;
  delivery_count: number;
  set_drained(isDrained: boolean): void;
}

/** Bytes that may wait in a socket that its peer does not read: then its links wait too. */
const waitingBytesMax = 1024 * 1024;
/** A frame of the protocol's smallest size must be taken by anybody. */
const frameBytesMin = 512;
/** Frames of all links that wait for their session's window. */
const fragmentBytesMaxInTotal = 256 * 1024 * 1024;
const numbers = 0x1_0000_0000;

/** The sender settle mode in which every delivery waits for its receiver's word (AMQP 1.0 part 2 §2.8.2). */
const unsettledMode = 0;

/** A message, and whom to tell the number of its delivery. */
interface WaitingMessage {
  readonly bytes: Buffer;
  readonly onNumbered: (deliveryId: number) => void;
}

/** What waits on all links of a server, in bytes. */
export interface WaitingFragments {
  bytes: number;
}

const turnsOf = new WeakMap<RheaSession, { link: OutgoingLink | null }>();

/**
 * A link on which events go out as ready frames, past rhea's encoder: that costs a tenth. Whatever
 * is written here is entered in rhea's counters as if rhea had sent it.
 */
export class OutgoingLink {
  readonly #sender: RheaSender;
  /** Shared by the links of a session: the one whose message is on its way, if any. */
  readonly #turns: { link: OutgoingLink | null };
  /** Messages of which nothing was sent yet, which wait for the session's window. */
  #messages: WaitingMessage[] = [];
  /** What is left of the message that is on its way: its delivery has a number, and is not counted yet. */
  #fragments: Buffer[] = [];
  #fragmentBytes = 0;
  readonly #waiting: WaitingFragments;
  #isAwaitingDrain = false;

  constructor(sender: rhea.Sender, waiting: WaitingFragments) {
    this.#sender = sender as unknown as RheaSender;
    this.#waiting = waiting;
    this.#turns = turnsOf.get(this.#sender.session) ?? { link: null };
    turnsOf.set(this.#sender.session, this.#turns);
  }

  /** The peer's largest frame. */
  get frameBytesMax(): number {
    return Math.max(frameBytesMin, this.#sender.connection.max_frame_size ?? Infinity);
  }

  /** Deliveries of one frame each that may go now: by credit and by the session's window. */
  get room(): number {
    const { credit, session } = this.#sender;
    // A reply of rhea's own is on its way in this session: its numbers come first.
    if (session.outgoing.deliveries.size > 0 || this.#isWaiting) return 0;
    if (this.#turns.link !== null) return 0;
    return Math.min(credit, this.#window);
  }

  get #isWaiting(): boolean {
    return this.#messages.length > 0 || this.#fragments.length > 0;
  }

  /** Frames that the peer's session takes; none before its first flow, when rhea knows no number. */
  get #window(): number {
    const { next_transfer_id: next, remote_next_transfer_id: seen } = this.#sender.session.outgoing;
    if (seen === undefined) return 0;
    // Both are serial numbers: after 2^32 transfers they begin again.
    const underway = (next - seen + numbers) % numbers;
    return Math.max(0, (this.#sender.session.outgoing.remote_window ?? 0) - underway);
  }

  /** True while the peer does not read what it has been sent. */
  get isCongested(): boolean {
    return (this.#sender.connection.socket?.writableLength ?? 0) > waitingBytesMax;
  }

  /** Calls when the peer has read what waited; however often it is asked, once. */
  onceDrained(listener: () => void): void {
    const { socket } = this.#sender.connection;
    if (this.#isAwaitingDrain || socket === undefined) return;
    this.#isAwaitingDrain = true;
    socket.once('drain', () => {
      this.#isAwaitingDrain = false;
      listener();
    });
  }

  /** The peer asked for what there is and its credit back (AMQP 1.0 part 2 §2.6.7): there is no more. */
  giveCreditBack(): void {
    if (!isDraining(this.#sender) || this.#isWaiting) return;
    countCreditDown(this.#sender);
    this.#sender.set_drained(true);
    this.#sender.connection._register();
  }

  /** The receiver settles each delivery. */
  get isUnsettled(): boolean {
    return this.#sender.local.attach.snd_settle_mode === unsettledMode;
  }

  /** Sends finished frames, a delivery each, within `room`; gives the number of the first. */
  sendFrames(frames: Buffer, count: number): number {
    const first = this.#nextDeliveryId;
    addressFrames(frames, this.#target, first);
    this.#write(frames);
    this.#number(count);
    this.#count({ deliveries: count, frames: count });
    return first;
  }

  /** Sends one message in as many frames as it needs; those past the window wait for `flush`. */
  sendMessage(bytes: Buffer, onNumbered: (deliveryId: number) => void): void {
    this.#messages.push({ bytes, onNumbered });
    this.#account(bytes.length);
    this.flush();
  }

  /** Sends what waits for the window: first the rest of a message that is on its way. */
  flush(): void {
    if (this.#turns.link !== null) this.#turns.link.#sendOn();
    while (this.#window > 0 && this.#turns.link === null && this.#begin()) this.#sendOn();
    if (this.#isWaiting && this.#waiting.bytes > fragmentBytesMaxInTotal) {
      throw new Refusal(
        'amqp:resource-limit-exceeded',
        `Messages that wait for their clients' session windows hold more than ${fragmentBytesMaxInTotal} bytes.`,
      );
    }
  }

  /**
   * The next message gets its number as its first frame goes out: other links of the session send while
   * it waits, and a peer takes the numbers in their order alone. False when none may begin.
   */
  #begin(): boolean {
    const { credit, session } = this.#sender;
    const [message] = this.#messages;
    if (message === undefined || credit <= 0 || session.outgoing.deliveries.size > 0) return false;
    this.#messages.shift();
    const deliveryId = this.#nextDeliveryId;
    this.#fragments = fragmentMessage(message.bytes, this.frameBytesMax, this.#target, deliveryId);
    message.onNumbered(deliveryId);
    this.#number(1);
    this.#turns.link = this;
    return true;
  }

  /** Sends of the message that is on its way as much as the window takes. */
  #sendOn(): void {
    const frames = this.#fragments.splice(0, this.#window);
    for (const frame of frames) {
      this.#account(frameHeadBytes - frame.length);
      this.#write(frame);
    }
    const isWhole = this.#fragments.length === 0;
    if (isWhole) this.#turns.link = null;
    this.#count({ deliveries: isWhole ? 1 : 0, frames: frames.length });
  }

  /** The link is gone, and what waited for it. */
  close(): void {
    this.#account(-this.#fragmentBytes);
    this.#fragments = [];
    this.#messages = [];
    if (this.#turns.link === this) this.#turns.link = null;
  }

  #account(bytes: number): void {
    this.#fragmentBytes += bytes;
    this.#waiting.bytes += bytes;
  }

  get #target(): FrameTarget {
    const { local, session } = this.#sender;
    return {
      channel: session.local.channel,
      handle: local.handle,
      isUnsettled: this.isUnsettled,
    };
  }

  get #nextDeliveryId(): number {
    return this.#sender.session.outgoing.next_delivery_id >>> 0;
  }

  #write(bytes: Buffer): void {
    this.#sender.connection.socket?.write(bytes);
  }

  /** Takes numbers for so many deliveries. */
  #number(deliveries: number): void {
    const { outgoing } = this.#sender.session;
    outgoing.next_delivery_id = (outgoing.next_delivery_id + deliveries) >>> 0;
    outgoing.next_pending_delivery = outgoing.next_delivery_id;
  }

  #count({ deliveries, frames }: { readonly deliveries: number; readonly frames: number }): void {
    const { outgoing } = this.#sender.session;
    outgoing.next_transfer_id = (outgoing.next_transfer_id + frames) % numbers;
    this.#sender.credit -= deliveries;
    this.#sender.delivery_count = (this.#sender.delivery_count + deliveries) >>> 0;
  }
}

function isDraining({ _draining: isAsked, credit }: RheaSender): boolean {
  return isAsked && credit > 0;
}

/** rhea gives credit back by counting it down one by one, be it four billion: the last one is left to it. */
function countCreditDown(sender: RheaSender): void {
  sender.delivery_count = (sender.delivery_count + sender.credit - 1) >>> 0;
  sender.credit = 1;
}

const watched = new WeakSet();

/**
 * Calls at every flow of a session: any of them may open the session's window for all its links,
 * and rhea raises an event for one link at most. Answers a peer that asks for an echo.
 */
export function onSessionFlow(session: rhea.Session, listener: () => void): void {
  if (watched.has(session)) return;
  watched.add(session);
  const own = session as unknown as RheaSession;
  const onFlow = own.on_flow.bind(own);
  own.on_flow = (frame) => {
    onFlow(frame);
    const { echo, handle } = frame.performative;
    const link = handle === undefined || handle === null ? undefined : own._get_link(frame);
    // rhea adds and subtracts serial numbers as if they never began again.
    if (link !== undefined && link.credit >= numbers) link.credit -= numbers;
    // Asked for the credit of events, the answer is for when there are no more of them.
    if (Boolean(echo) && !(link !== undefined && isDraining(link))) own._write_flow(link);
    listener();
  };
}
