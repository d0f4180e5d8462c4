import type * as rhea from 'rhea';
import { Refusal } from '../errors';

/** Plain messages (format 0) come under this one, which rhea does not decode. */
export const rawMessageFormat = 1;

/** What rhea keeps of a session's incoming side (rhea 3.0.5 lib/session.js, pinned). */
interface RheaTransfer {
  readonly performative: {
    readonly delivery_id?: number | null;
    readonly aborted?: boolean | null;
    readonly more?: boolean | null;
    message_format?: number | null;
  };
  readonly payload?: Buffer;
}

interface RheaReceiver {
  readonly name: string;
  readonly state: { readonly local_open: boolean };
  is_receiver(): boolean;
  _incomplete?: object;
  credit: number;
  delivery_count: number;
  readonly connection: { _register(): void };
  readonly session: unknown;
  flow(credit: number): void;
  close(error: rhea.AmqpError): void;
}

interface RheaSession {
  readonly incoming: {
    next_transfer_id: number;
    next_delivery_id?: number;
    readonly max_transfer_id: number;
    readonly window: number;
  };
  _get_link(frame: RheaTransfer): RheaReceiver;
  on_transfer(frame: RheaTransfer): void;
}

/** What a sender may send at once. SDKs sleep a whole second when they find no credit. */
export const producerCredit = 1_000;

/**
 * A message above the limit is rejected, which an SDK tells its caller at once; one that goes on
 * growing costs its link, for which an SDK only times out.
 */
const gatheredBytesMax = 4 * 1024 * 1024;
/** All messages of all clients of which a part has come. */
const gatheredBytesMaxInTotal = 256 * 1024 * 1024;
/** What a part costs beside its bytes. */
const partBytes = 256;

/**
 * Takes messages as they come. rhea would gather one that never ends, take an aborted one for whole, let
 * a long one in small frames wait for a window that it does not open, and decode events (and close the
 * connection when it cannot).
 */
export class IncomingMessages {
  readonly #gathered = new Map<RheaReceiver, number>();
  readonly #watched = new WeakSet();
  #bytesInTotal = 0;

  /** Takes over the transfers of a session; messages stay as they are encoded. */
  watch(session: rhea.Session): void {
    if (this.#watched.has(session)) return;
    this.#watched.add(session);
    const own = session as unknown as RheaSession;
    const onTransfer = own.on_transfer.bind(own);
    own.on_transfer = (frame) => {
      const link = own._get_link(frame);
      assertReceives(link);
      // Detached from here: nothing that still comes is taken, lest its client, who sends it again, has it
      // twice in the hub.
      if (!link.state.local_open) {
        this.#drop(link);
        return skip(own, link, frame);
      }
      if (link._incomplete === undefined) {
        assertBegins(frame);
        if (link.credit <= 0) return this.#end(own, link, frame, withoutCredit);
      }
      if (Boolean(frame.performative.aborted)) return this.#abort(own, link, frame);
      const bytes = this.#gather(link, frame);
      if (bytes > gatheredBytesMax) {
        return this.#end(own, link, frame, {
          condition: 'amqp:link:message-size-exceeded',
          description: `The received message (delivery-id:${frame.performative.delivery_id ?? 0}, size:${bytes} bytes) exceeds the limit (${gatheredBytesMax} bytes) currently allowed on the link.`,
        });
      }
      if (this.#bytesInTotal > gatheredBytesMaxInTotal) {
        return this.#end(own, link, frame, {
          condition: 'amqp:resource-limit-exceeded',
          description: `Unfinished messages of all clients hold more than ${gatheredBytesMaxInTotal} bytes.`,
        });
      }
      frame.performative.message_format ||= rawMessageFormat;
      if (!Boolean(frame.performative.more)) this.forget(link);
      onTransfer(frame);
      wrapNumbers(own);
      openWindow(own, link);
    };
  }

  /** A link is gone, or its message is whole. */
  forget(link: unknown): void {
    this.#bytesInTotal -= this.#gathered.get(link as RheaReceiver) ?? 0;
    this.#gathered.delete(link as RheaReceiver);
  }

  /** Forgets the links of a session or connection. */
  forgetAllOf(owner: rhea.Session | rhea.Connection): void {
    for (const link of this.#gathered.keys()) {
      if (link.session === owner || (link.connection as unknown) === owner) this.forget(link);
    }
  }

  #gather(link: RheaReceiver, frame: RheaTransfer): number {
    const part = (frame.payload?.length ?? 0) + partBytes;
    const bytes = (this.#gathered.get(link) ?? 0) + part;
    this.#gathered.set(link, bytes);
    this.#bytesInTotal += part;
    return bytes;
  }

  /** The client gives a message up: nothing of it was ever there. */
  #abort(session: RheaSession, link: RheaReceiver, frame: RheaTransfer): void {
    this.#drop(link);
    link.credit -= 1;
    link.delivery_count += 1;
    // rhea gives new credit for whole messages alone.
    if (link.credit < producerCredit / 2) link.flow(producerCredit - link.credit);
    skip(session, link, frame);
  }

  #end(session: RheaSession, link: RheaReceiver, frame: RheaTransfer, error: rhea.AmqpError): void {
    this.#drop(link);
    link.close(error);
    skip(session, link, frame);
  }

  #drop(link: RheaReceiver): void {
    this.forget(link);
    if (link._incomplete === undefined) return;
    Object.assign(link._incomplete, { settled: true, frames: [] });
    delete link._incomplete;
  }
}

const withoutCredit = {
  condition: 'amqp:link:transfer-limit-exceeded',
  description: 'A message came for which the link had no credit.',
};

function assertReceives(link: RheaReceiver): void {
  if (link.is_receiver()) return;
  throw new Refusal(
    'amqp:not-allowed',
    `transfer: on the link '${link.name}' the client receives.`,
  );
}

/** The first frame of a delivery says which it is (AMQP 1.0 part 2 §2.7.5). */
function assertBegins({ performative: { delivery_id: id } }: RheaTransfer): void {
  if (id !== undefined && id !== null) return;
  throw new Refusal('amqp:invalid-field', 'transfer: the first of a delivery has no delivery-id.');
}

const numbers = 0x1_0000_0000;

/** rhea adds to serial numbers as if they never began again. */
function wrapNumbers({ incoming }: RheaSession): void {
  incoming.next_transfer_id %= numbers;
  if (incoming.next_delivery_id !== undefined) incoming.next_delivery_id %= numbers;
}

/** Counts a transfer that nobody takes. */
function skip(session: RheaSession, link: RheaReceiver, frame: RheaTransfer): void {
  session.incoming.next_transfer_id += 1;
  const { delivery_id: id } = frame.performative;
  if (id === session.incoming.next_delivery_id) session.incoming.next_delivery_id = (id ?? 0) + 1;
  openWindow(session, link);
}

/** rhea looks at the window when a message is whole: one of many frames would never be. */
function openWindow(session: RheaSession, link: RheaReceiver): void {
  const { max_transfer_id: end, next_transfer_id: next, window } = session.incoming;
  if (end - next < window / 2) link.connection._register();
}
