import type * as rhea from 'rhea';
import { Refusal } from '../errors';
import { assertFrame, frameBytesAt, type FrameKind } from './frame-check';
import { code, composites } from './performatives';

/** What rhea keeps of a transport (rhea 3.0.5 lib/transport.js, lib/sasl.js, pinned). */
interface RheaTransport {
  readonly header_received?: unknown;
  readonly read_complete: boolean;
  read(bytes: Buffer): number;
}

interface RheaConnection {
  readonly amqp_transport: RheaTransport;
  readonly sasl_transport: {
    readonly transports: Readonly<Record<number, { readonly transport: RheaTransport }>>;
  };
}

const saslProtocol = 3;
const headerBytes = 8;
const end = 0x17;

export interface FrameLimits {
  readonly frameBytesMax: number;
  readonly channelMax: number;
}

/**
 * Lets a connection's frames through to rhea one by one, each checked: what is wrong throws, and ends the
 * connection as whatever rhea itself throws while it reads.
 */
export function gateFrames(connection: rhea.Connection, limits: FrameLimits): void {
  const own = connection as unknown as RheaConnection;
  const order = new FrameOrder(limits.channelMax);
  gate(own.amqp_transport, 'amqp', limits, (frame, performative) =>
    order.take(frame, performative),
  );
  const sasl = own.sasl_transport.transports[saslProtocol]?.transport;
  if (sasl !== undefined) gate(sasl, 'sasl', limits, () => undefined);
}

function gate(
  transport: RheaTransport,
  kind: FrameKind,
  { frameBytesMax }: FrameLimits,
  onFrame: (frame: Buffer, performative: number) => void,
): void {
  const read = transport.read.bind(transport);
  transport.read = (bytes) => {
    let at = 0;
    if (transport.header_received === undefined) {
      at = read(bytes.subarray(0, headerBytes));
      if (at === 0) return 0;
    }
    while (at + 4 <= bytes.length && !transport.read_complete) {
      const next = at + frameBytesAt(bytes, at, frameBytesMax);
      if (next > bytes.length) break;
      const frame = bytes.subarray(at, next);
      const performative = assertFrame(frame, kind);
      if (performative !== null) onFrame(frame, performative);
      read(frame);
      at = next;
    }
    return at;
  };
}

/** The connection is open before anything else comes, and a channel has one session at a time. */
class FrameOrder {
  readonly #channelMax: number;
  readonly #channels = new Set<number>();
  #isOpen = false;

  constructor(channelMax: number) {
    this.#channelMax = channelMax;
  }

  take(frame: Buffer, performative: number): void {
    const channel = frame.readUInt16BE(6);
    if (performative === code.open) {
      this.#isOpen = true;
    } else if (!this.#isOpen) {
      const name = composites.get(performative)?.name;
      throw new Refusal('amqp:illegal-state', `${name}: it came before the open.`);
    } else if (performative === code.begin) {
      if (channel > this.#channelMax) {
        throw new Refusal(
          'amqp:connection:framing-error',
          `begin: channel ${channel} is over the channel-max of ${this.#channelMax}.`,
        );
      }
      if (this.#channels.has(channel)) {
        throw new Refusal('amqp:illegal-state', `begin: channel ${channel} has a session.`);
      }
      this.#channels.add(channel);
    } else if (performative === end) {
      this.#channels.delete(channel);
    }
  }
}
