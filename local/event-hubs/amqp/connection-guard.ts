import type { Duplex } from 'node:stream';
import type * as rhea from 'rhea';
import { types } from 'rhea';
import { describeFailure } from './failures';
import { Refusal } from '../errors';
import { gateFrames } from './frame-gate';

/** A namespace's own limit of the Standard tier is 5,000 of each. */
const sessionsMax = 5_000;
const linksMax = 5_000;
/** A connection that has not said AMQP's Open by then is dropped. */
const handshakeTimeoutMs = 30_000;
/** A client that leaves so much of what it was answered unread is not listened to until it has read it. */
const unreadBytesMax = 4 * 1024 * 1024;
/** How long a connection that broke the protocol may take to read why. */
const farewellMs = 1_000;
/** Elements of an array that take no byte each. */
const emptyElementsMax = 65_536;
/** The protocol's smallest largest frame (AMQP 1.0 part 2 §2.7.1). */
const peerFrameBytesMin = 512;
/** Less would be a heartbeat without pause. */
const idleMsMin = 200;
/** A timer of Node that is to run longer runs at once. */
const timerMsMax = 2 ** 31 - 1;

/** What rhea keeps of a connection (rhea 3.0.5 lib/connection.js, pinned). */
interface RheaConnection {
  /** Length of the frame whose beginning has come. */
  readonly frame_size?: number;
  socket_ready: boolean;
  readonly local: { readonly close: { error?: unknown } };
  readonly remote: {
    readonly open: { readonly max_frame_size?: number | null; idle_time_out?: number | null };
  };
  readonly state: { readonly initialised: boolean; readonly local_open: boolean };
  readonly amqp_transport: { readonly header_received?: unknown };
  is_open(): boolean;
  open(): void;
  on(event: string, listener: (error: unknown) => void): unknown;
  _process(): void;
  _write_close(): void;
  _disconnected(): void;
}

type OnFrame = (frame: { readonly channel: number }) => void;

/** How rhea hands frames to sessions (rhea 3.0.5 lib/connection.js, pinned). */
interface RheaChannels extends Record<
  'on_begin' | 'on_end' | 'on_attach' | 'on_detach' | 'on_flow' | 'on_transfer' | 'on_disposition',
  OnFrame
> {
  readonly remote_channel_map: Readonly<Record<number, unknown>>;
}

/** What rhea keeps of deliveries until they are settled (rhea 3.0.5 lib/session.js, pinned). */
interface RheaDeliveries {
  get_head(): { readonly id: number } | undefined;
  get_tail(): { readonly id: number } | undefined;
}

interface RheaDisposition {
  readonly performative: { readonly role: boolean; first: number; last?: number | null };
}

interface RheaSession {
  readonly incoming: { readonly deliveries: RheaDeliveries };
  readonly outgoing: { readonly deliveries: RheaDeliveries };
  on_disposition(frame: RheaDisposition): void;
}

interface RheaLink {
  readonly remote: { readonly attach?: { readonly handle: number } };
  readonly session: { readonly remote: { readonly handles: Record<number, unknown> } };
}

/**
 * Keeps one connection from harming the process or the others: whatever goes wrong on it ends it,
 * and it alone, with the reason said; nothing it announces is believed beyond the limits.
 */
export class ConnectionGuard {
  readonly #sessions = new Set<rhea.Session>();
  readonly #links = new Set<rhea.Sender | rhea.Receiver>();

  constructor(
    connection: rhea.Connection,
    socket: Duplex,
    options: {
      readonly frameBytesMax: number;
      readonly channelMax: number;
      readonly log: (line: string) => void;
      readonly onClosed: () => void;
    },
  ) {
    const own = connection as unknown as RheaConnection;
    const processTurn = own._process.bind(own);
    let isEnding = false;
    const end = (error: unknown): void => {
      if (isEnding) return;
      isEnding = true;
      const reason = describeFailure(error, 'amqp:decode-error');
      options.log(`client ended: ${reason.condition}: ${reason.description}`);
      socket.pause();
      own.local.close.error = reason;
      tellWhy(own, processTurn);
      socket.end();
      setTimeout(() => socket.destroy(), farewellMs).unref();
    };
    letEndedSessionsRest(connection as unknown as RheaChannels);
    gateFrames(connection, options);
    // What rhea does in a turn of its own nobody else would catch.
    own._process = () => {
      try {
        processTurn();
      } catch (error) {
        end(error);
      }
    };
    own.on('error', end);
    own.on('protocol_error', end);
    own.on('connection_open', () => {
      const { open } = own.remote;
      // rhea divides it by two and gives it to a timer.
      if ((open.idle_time_out ?? 0) / 2 > timerMsMax) open.idle_time_out = 2 * timerMsMax;
      if (open.idle_time_out) open.idle_time_out = Math.max(open.idle_time_out, idleMsMin);
      const frameBytes = open.max_frame_size ?? Infinity;
      if (frameBytes >= peerFrameBytesMin) return;
      // Our own Open goes out before the Close. rhea would cut a message into pieces of less than nothing.
      own._process();
      throw new Refusal(
        'amqp:invalid-field',
        `A max-frame-size of ${frameBytes}: it must be at least ${peerFrameBytesMin}.`,
      );
    });
    const handshake = setTimeout(() => {
      if (!own.is_open()) socket.destroy();
    }, handshakeTimeoutMs);
    // rhea would gather a frame of any length that is announced.
    socket.on('data', () => {
      if ((own.frame_size ?? 0) > options.frameBytesMax) {
        end(new Refusal('amqp:connection:framing-error', `A frame of ${own.frame_size} bytes.`));
      }
      if (isEnding || socket.writableLength <= unreadBytesMax) return;
      socket.pause();
      socket.once('drain', () => {
        if (!isEnding) socket.resume();
      });
    });
    socket.on('close', () => {
      clearTimeout(handshake);
      // rhea looks out for 'end' and 'error' alone: a socket that we destroyed would keep its timers,
      // and what is written after this would start them again, for ever.
      own.socket_ready = false;
      own._disconnected();
      options.onClosed();
    });
  }

  openSession(session: rhea.Session): void {
    this.#sessions.add(session);
    narrowDispositions(session as unknown as RheaSession);
    if (this.#sessions.size > sessionsMax) throw tooMany('sessions', sessionsMax);
  }

  closeSession(session: rhea.Session): void {
    this.#sessions.delete(session);
    for (const link of this.#links) if (link.session === session) this.#links.delete(link);
  }

  openLink(link: rhea.Sender | rhea.Receiver): void {
    this.#links.add(link);
    if (this.#links.size > linksMax) throw tooMany('links', linksMax);
  }

  closeLink(link: rhea.Sender | rhea.Receiver): void {
    this.#links.delete(link);
    // rhea keeps a closed link under the peer's handle for as long as the session lives.
    const { remote, session } = link as unknown as RheaLink;
    if (remote.attach !== undefined) delete session.remote.handles[remote.attach.handle];
  }
}

/** A Close with the reason, behind the Open without which there is none (AMQP 1.0 part 2 §2.4.1). */
function tellWhy(connection: RheaConnection, processTurn: () => void): void {
  const { amqp_transport: transport, state } = connection;
  if (transport.header_received === undefined) return;
  if (!state.initialised) {
    connection.open();
    processTurn();
  }
  if (state.local_open) connection._write_close();
}

/**
 * A client may write on a session that it has just ended: rhea's own does, when credit is topped up
 * while the last link closes. That says nothing any more, and rhea would end the connection for it.
 */
function letEndedSessionsRest(connection: RheaChannels): void {
  const ended = new Set<number>();
  const { on_begin: onBegin, on_end: onEnd } = connection;
  connection.on_begin = (frame) => {
    ended.delete(frame.channel);
    onBegin.call(connection, frame);
  };
  connection.on_end = (frame) => {
    ended.add(frame.channel);
    onEnd.call(connection, frame);
  };
  const names = ['on_attach', 'on_detach', 'on_flow', 'on_transfer', 'on_disposition'] as const;
  for (const name of names) {
    const onFrame = connection[name];
    connection[name] = (frame) => {
      const { channel } = frame;
      if (ended.has(channel) && connection.remote_channel_map[channel] === undefined) return;
      onFrame.call(connection, frame);
    };
  }
}

/**
 * rhea looks for every number that a disposition names, be they four billion. Only those of deliveries
 * that are not settled yet say anything.
 */
function narrowDispositions(session: RheaSession): void {
  const onDisposition = session.on_disposition.bind(session);
  session.on_disposition = (frame) => {
    const { performative } = frame;
    const { first, role } = performative;
    const { deliveries } = role ? session.outgoing : session.incoming;
    const oldest = deliveries.get_head()?.id ?? Infinity;
    const newest = deliveries.get_tail()?.id ?? -1;
    const from = Math.max(first, oldest);
    const to = Math.min(performative.last ?? first, newest);
    if (from > to) return;
    Object.assign(performative, { first: from, last: to });
    onDisposition(frame);
  };
}

const tooMany = (what: string, limit: number): Refusal =>
  new Refusal('amqp:resource-limit-exceeded', `More than ${limit} ${what} on one connection.`);

interface RheaReader {
  remaining(): number;
  read_n: (this: RheaReader, count: number) => unknown[];
  read_array_items: (
    this: RheaReader,
    count: number,
    type: { readonly width: number },
  ) => unknown[];
}

let isReaderGuarded = false;

/**
 * rhea makes room for as many elements as a list announces before it looks for them: a frame of
 * twenty bytes could take gigabytes. No list has more elements than bytes, and an array of elements
 * without bytes has few.
 */
export function guardReader(): void {
  if (isReaderGuarded) return;
  isReaderGuarded = true;
  const { prototype } = (types as unknown as { Reader: { prototype: RheaReader } }).Reader;
  const { read_array_items: readArrayItems, read_n: readN } = prototype;
  prototype.read_n = function (count) {
    assertCount(count, this.remaining());
    return readN.call(this, count);
  };
  prototype.read_array_items = function (count, type) {
    assertCount(count, type.width === 0 ? emptyElementsMax : this.remaining());
    return readArrayItems.call(this, count, type);
  };
}

function assertCount(count: number, limit: number): void {
  if (count <= limit) return;
  throw new Refusal(
    'amqp:decode-error',
    `A list of ${count} elements where ${limit} are possible.`,
  );
}
