import type * as rhea from 'rhea';
import { valueEnd } from './amqp-bytes';

/** What rhea keeps of a connection that reads (rhea 3.0.5 lib/connection.js and session.js, pinned). */
interface RheaConnection {
  readonly amqp_transport: {
    readonly header_received: unknown;
    read(bytes: Buffer): number;
  };
  readonly remote_channel_map: Record<number, RheaSession | undefined>;
  _register(): void;
}

interface RheaSession {
  readonly incoming: {
    readonly window: number;
    readonly max_transfer_id: number;
    next_transfer_id: number;
  };
  readonly remote: { readonly handles: Record<number, RheaReceiver | undefined> };
}

interface RheaReceiver {
  credit: number;
  delivery_count: number;
}

/** Gets the encoded messages of a link, in order; the bytes are the receiver's to keep. */
export type MessageSink = (bytes: Buffer, start: number, end: number) => void;

interface Reading {
  readonly sink: MessageSink;
  /** Frames of a message that is not complete. */
  fragments: Buffer[];
}

/**
 * Takes the messages of event links out of what a connection receives, before rhea decodes it: rhea
 * makes some twenty objects and five closures for each, which cost most of what receiving costs. Every
 * other frame is rhea's, and its counters of credit and windows are moved as if it had read these too.
 */
export class TransferReader {
  readonly #connection: RheaConnection;
  readonly #readings = new Map<RheaReceiver, Reading>();

  /** Attach once, after `connect`: that is when rhea makes the transport. */
  constructor(connection: rhea.Connection) {
    const own = connection as unknown as RheaConnection;
    this.#connection = own;
    const transport = own.amqp_transport;
    const readByRhea = transport.read.bind(transport);
    transport.read = (bytes) =>
      this.#readings.size === 0 || !transport.header_received
        ? readByRhea(bytes)
        : this.#read(bytes, readByRhea);
  }

  /** Messages of this link go to the sink, which may change nothing of the link. */
  follow(receiver: rhea.Receiver, sink: MessageSink): void {
    this.#readings.set(receiver as unknown as RheaReceiver, { sink, fragments: [] });
  }

  /** The link is gone. */
  forget(receiver: rhea.Receiver): void {
    this.#readings.delete(receiver as unknown as RheaReceiver);
  }

  #read(bytes: Buffer, readByRhea: (bytes: Buffer) => number): number {
    let at = 0;
    let isWindowLow = false;
    while (at + 4 < bytes.length) {
      const end = at + bytes.readUInt32BE(at);
      if (end > bytes.length) break;
      const session = this.#transfer(bytes, at, end);
      if (session === null) {
        readByRhea(bytes.subarray(at, end));
      } else {
        const { max_transfer_id: last, next_transfer_id: next, window } = session.incoming;
        isWindowLow ||= last - next < window / 2;
      }
      at = end;
    }
    // Rhea looks at its windows when it is its turn, and opens them again.
    if (isWindowLow) this.#connection._register();
    return at;
  }

  /** Takes one frame if it is a transfer on one of our links: its session; null: it is not. */
  #transfer(bytes: Buffer, at: number, end: number): RheaSession | null {
    const performative = at + (bytes[at + 4] ?? 0) * 4;
    // Type AMQP, a described value, the small descriptor of a transfer (AMQP 1.0 part 2 §2.3, §2.7.5).
    if (bytes[at + 5] !== 0 || bytes[performative + 2] !== 0x14) return null;
    if (bytes[performative] !== 0 || bytes[performative + 1] !== 0x53) return null;
    const session = this.#connection.remote_channel_map[bytes.readUInt16BE(at + 6)];
    const list = performative + 3;
    const payload = valueEnd(bytes, list, end);
    const isShort = bytes[list] === 0xc0;
    const handleAt = list + (isShort ? 3 : 9);
    const receiver = session?.remote.handles[handleOf(bytes, handleAt)];
    const reading = receiver && this.#readings.get(receiver);
    if (session === undefined || receiver === undefined || reading === undefined) return null;
    session.incoming.next_transfer_id += 1;
    const isMore = flagAt(bytes, handleAt, payload, moreField);
    if (isMore || reading.fragments.length > 0) {
      reading.fragments.push(bytes.subarray(payload, end));
      if (isMore) return session;
    }
    receiver.credit -= 1;
    receiver.delivery_count = (receiver.delivery_count + 1) >>> 0;
    if (reading.fragments.length === 0) {
      reading.sink(bytes, payload, end);
    } else {
      const message = Buffer.concat(reading.fragments);
      reading.fragments = [];
      reading.sink(message, 0, message.length);
    }
    return session;
  }
}

/** Place of `more` among the fields of a transfer. */
const moreField = 5;

function handleOf(bytes: Buffer, at: number): number {
  switch (bytes[at]) {
    case 0x43:
      return 0;
    case 0x52:
      return bytes[at + 1] ?? 0;
    default:
      return bytes.readUInt32BE(at + 1);
  }
}

/** A boolean field of a list whose first field is at `first`; false when it is not there. */
function flagAt(bytes: Buffer, first: number, end: number, field: number): boolean {
  let at = first;
  for (let index = 0; index < field && at < end; index += 1) at = valueEnd(bytes, at, end);
  if (at >= end) return false;
  return bytes[at] === 0x41 || (bytes[at] === 0x56 && bytes[at + 1] === 1);
}
