/**
 * A bare AMQP client on rhea, in the manner of other SDKs: small frames, settled attach, one-event
 * sends of format 0, addresses and filters in their forms.
 */
import { createHmac, randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import type * as rhea from 'rhea';
import { create_container, message as codec } from 'rhea';
import { developmentKey } from '../../local/event-hubs/shared-access';

export interface BareMessage {
  readonly sequenceNumber: number;
  readonly offset: string;
  readonly body: Buffer;
  readonly message: rhea.Message;
}

/** What rhea keeps of a session (rhea 3.0.5 lib/session.js, pinned). */
export interface RheaSession {
  readonly outgoing: { compute_max_payload(tag: Buffer): number | undefined };
  readonly incoming: { max_transfer_id: number; next_transfer_id: number };
  _write_flow(link?: unknown): void;
}

export function sessionOf(link: rhea.Sender | rhea.Receiver): RheaSession {
  return link.session as unknown as RheaSession;
}

/** The emulator's key, as SASL PLAIN has it: no token is needed for each link then. */
const keyHandshake = `\0${developmentKey.name}\0${developmentKey.key}`;
const answerTimeoutMs = 10_000;

export class BareClient {
  readonly connection: rhea.Connection;
  readonly #sessionBufferSize: number | undefined;

  private constructor(connection: rhea.Connection, sessionBufferSize: number | undefined) {
    this.connection = connection;
    this.#sessionBufferSize = sessionBufferSize;
  }

  static async open(
    port: number,
    options: Record<string, unknown> & { readonly mechanism?: string | null } = {},
  ): Promise<BareClient> {
    const { mechanism = 'PLAIN', sessionBufferSize, ...rest } = options;
    const container = create_container();
    container.on('disconnected', () => undefined);
    container.on('error', () => undefined);
    const connection = container.create_connection({
      ...{ host: '127.0.0.1', port, reconnect: false, tcp_no_delay: true },
      ...(mechanism !== null && {
        username: 'anyone',
        sasl_mechanisms: { [mechanism]: () => new (mechanismOf(mechanism))() },
      }),
      ...rest,
    });
    connection.connect();
    await once(connection, 'connection_open');
    return new BareClient(connection, sessionBufferSize as number | undefined);
  }

  #session(): rhea.Session {
    const session = (
      this.connection as unknown as { create_session(size?: number): rhea.Session }
    ).create_session(this.#sessionBufferSize);
    session.begin();
    return session;
  }

  async sender(address: string, options: Record<string, unknown> = {}): Promise<rhea.Sender> {
    const sender = this.#session().open_sender({ target: { address }, ...options });
    await opened(sender, 'sendable', 'sender_close');
    return sender;
  }

  /** Gathers what comes; credit is for the caller to give when `credit_window` is 0. */
  async receiver(
    address: string,
    options: Record<string, unknown> & { readonly filter?: unknown } = {},
  ): Promise<{ readonly receiver: rhea.Receiver; readonly messages: BareMessage[] }> {
    const { filter, ...rest } = options;
    const source = {
      address,
      ...(filter !== undefined && { filter: { 'apache.org:selector-filter:string': filter } }),
    };
    const receiver = this.#session().open_receiver({
      ...{ source, target: { address: 'bare' }, autoaccept: false, autosettle: false },
      ...rest,
    });
    const taken: BareMessage[] = [];
    receiver.on('message', ({ message }: rhea.EventContext) => {
      if (message !== undefined) taken.push(read(message));
    });
    await opened(receiver, 'receiver_open', 'receiver_close');
    return { receiver, messages: taken };
  }

  /** Shows a token on $cbs and gives the answer's application properties and correlation-id. */
  async putToken(
    token: unknown,
    properties: Readonly<Record<string, unknown>>,
  ): Promise<Record<string, unknown>> {
    const session = this.#session();
    const replyTo = `cbs-${randomUUID()}`;
    const receiver = session.open_receiver({
      ...{ source: { address: '$cbs' }, target: { address: replyTo } },
    });
    const sender = session.open_sender({ target: { address: '$cbs' } });
    await Promise.all([
      opened(sender, 'sendable', 'sender_close'),
      once(receiver, 'receiver_open'),
    ]);
    const answered = once(receiver, 'message', { signal: AbortSignal.timeout(answerTimeoutMs) });
    sender.send({
      ...{ message_id: replyTo, reply_to: replyTo, to: '$cbs', body: token },
      application_properties: {
        ...{ operation: 'put-token', type: 'servicebus.windows.net:sastoken' },
        ...properties,
      },
    });
    const [{ message }] = (await answered) as [rhea.EventContext];
    session.close();
    return { ...message?.application_properties, correlationId: message?.correlation_id };
  }

  async close(): Promise<void> {
    this.connection.close();
    await new Promise<void>((resolve) => setTimeout(resolve, 50));
  }

  /** As a client does that dies, or whose network does: nothing is said. */
  vanish(how: 'reset' | 'end'): void {
    const own = this.connection as unknown as {
      socket: Socket;
      socket_ready: boolean;
      _disconnected(): void;
    };
    if (how === 'reset') own.socket.resetAndDestroy();
    else own.socket.destroy();
    // The client is gone: its heartbeats too.
    own.socket_ready = false;
    own._disconnected();
  }
}

/** A token as the SDKs make it from a key. */
export function sharedAccessToken(
  audience: string,
  options: {
    readonly keyName?: string;
    readonly key?: string;
    readonly expiresAtMs?: number;
  } = {},
): string {
  const { key = developmentKey.key, keyName = developmentKey.name } = options;
  const expirySeconds = Math.floor((options.expiresAtMs ?? Date.now() + 3_600_000) / 1_000);
  const resource = encodeURIComponent(audience);
  const signature = createHmac('sha256', key)
    .update(`${resource}\n${expirySeconds}`)
    .digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expirySeconds}&skn=${keyName}`;
}

function mechanismOf(name: string): new () => { start(callback: unknown): void } {
  return class {
    start(callback: (error: undefined, response: Buffer) => void): void {
      callback(undefined, Buffer.from(name === 'PLAIN' ? keyHandshake : ''));
    }
  };
}

/** Resolves when a link is usable, rejects with the error it is refused with. */
async function opened(
  link: rhea.Sender | rhea.Receiver,
  isOpen: string,
  isClosed: string,
): Promise<void> {
  const abandon = new AbortController();
  try {
    await Promise.race([
      once(link, isOpen, { signal: abandon.signal }),
      once(link, isClosed, { signal: abandon.signal }).then(() => {
        throw errorOf(link);
      }),
    ]);
  } finally {
    abandon.abort();
  }
}

export function errorOf(
  link: rhea.Sender | rhea.Receiver,
): Error & { condition: string | undefined } {
  const { condition, description } = link.error as rhea.AmqpError;
  return Object.assign(new Error(description), { condition });
}

function read(message: rhea.Message): BareMessage {
  const annotations = message.message_annotations as Record<string, unknown>;
  const { content } = message.body as { content: Buffer };
  return {
    sequenceNumber: Number(annotations['x-opt-sequence-number']),
    offset: String(annotations['x-opt-offset']),
    body: content,
    message,
  };
}

/** Sends and gives the outcome: `accepted`, or the error it is rejected with. */
export async function outcomeOf(
  sender: rhea.Sender,
  send: () => rhea.Delivery,
): Promise<'accepted' | { readonly condition: string; readonly description: string }> {
  return new Promise((resolve) => {
    const delivery = send();
    const done = (context: rhea.EventContext): void => {
      if (context.delivery?.id !== delivery.id) return;
      sender.removeListener('accepted', done);
      sender.removeListener('rejected', done);
      const state = context.delivery.remote_state as { readonly error?: never };
      resolve(state.error ?? 'accepted');
    };
    sender.on('accepted', done);
    sender.on('rejected', done);
  });
}

/** An encoded message of one data section. */
export function dataMessage(body: Buffer): Buffer {
  return codec.encode({ body: codec.data_section(body) });
}

/** An envelope around encoded messages, as SDKs batch. */
export function batchOf(
  messages: readonly Buffer[],
  annotations?: Record<string, unknown>,
): Buffer {
  return codec.encode({
    ...(annotations && { message_annotations: annotations }),
    body: codec.data_sections([...messages]),
  });
}

const untilMs = 50_000;

/** Waits until something holds; rejects when it never does. */
export async function until(holds: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + untilMs;
  while (!holds()) {
    if (performance.now() > giveUpAt) throw new Error(`never true: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
