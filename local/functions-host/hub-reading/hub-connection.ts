import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type * as rhea from 'rhea';
import { create_container } from 'rhea';
import { HubError } from './hub-error';
import type { HubPlace } from './hub-place';
import { PartitionLink, type PartitionLinkOptions } from './partition-link';
import { TransferReader } from './transfer-reader';

/** The service's own (Event Hubs AMQP guide): a silent peer is given up after twice this. */
const idleTimeoutMs = 60_000;
/** A largest event with its head fits one frame: nothing is gathered from pieces. */
const frameBytesMax = 1024 * 1024 + 64 * 1024;
/** Transfers that a partition's session lets come before it says so again. */
const sessionWindow = 5_000;
const closeWaitMs = 2_000;

/** One AMQP connection to the emulator. It is not made again when it ends: see `HubConnections`. */
export class HubConnection {
  readonly #connection: rhea.Connection;
  readonly #transfers: TransferReader;
  readonly #place: HubPlace;
  readonly #timeoutMs: number;
  readonly #ended: Promise<HubError>;
  readonly #links = new Set<PartitionLink>();
  #isEnded = false;

  private constructor(place: HubPlace, timeoutMs: number) {
    this.#place = place;
    this.#timeoutMs = timeoutMs;
    const container = create_container({ id: `functions-host-${randomUUID()}` });
    this.#connection = container.connect({
      host: place.host,
      port: place.port,
      hostname: place.host,
      // The key goes with SASL PLAIN, which needs no token for each link; without one: SASL ANONYMOUS.
      username: place.key?.name ?? 'anonymous',
      ...(place.key !== null && { password: place.key.value }),
      idle_time_out: idleTimeoutMs,
      max_frame_size: frameBytesMax,
      session_buffer_size: { incoming: sessionWindow, outgoing: sessionWindow },
      reconnect: false,
    });
    this.#transfers = new TransferReader(this.#connection);
    this.#ended = new Promise((resolve) => {
      let cause: HubError | null = null;
      const ended = (context: { readonly error?: unknown }): void => {
        this.#isEnded = true;
        const error = cause ?? connectionError(context.error, place);
        resolve(error);
        for (const link of this.#links) link.connectionEnded(error);
      };
      this.#connection.on('connection_error', (context: { readonly error?: unknown }) => {
        cause = connectionError(context.error, place);
      });
      for (const event of ['disconnected', 'connection_close']) {
        this.#connection.on(event, ended);
      }
      for (const event of ['error', 'protocol_error']) {
        this.#connection.on(event, (error: unknown) => ended({ error }));
      }
    });
  }

  /** Connects; rejects with a HubError when the emulator does not answer in time. */
  static async open(place: HubPlace, timeoutMs: number): Promise<HubConnection> {
    const made = new HubConnection(place, timeoutMs);
    const opened = new Promise<void>((resolve) => {
      made.#connection.once('connection_open', () => resolve());
    });
    try {
      await made.#within(opened, 'connecting');
    } catch (error) {
      made.#cut();
      throw error;
    }
    return made;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Begins to receive from a partition, over a session of its own. Throws when the connection has ended. */
  receive(options: Omit<PartitionLinkOptions, 'eventHubName' | 'timeoutMs'>): PartitionLink {
    // Its end has been told to the links already: one more would wait for an answer in vain.
    if (this.#isEnded) throw HubError.connectionLost('the connection has ended');
    const link = new PartitionLink(this.#connection, this.#transfers, {
      ...options,
      eventHubName: this.#place.eventHubName,
      timeoutMs: this.#timeoutMs,
    });
    this.#links.add(link);
    void link.ended.then(() => this.#links.delete(link));
    return link;
  }

  /** Asks `$management` which partitions the hub has. */
  async partitionIds(): Promise<readonly string[]> {
    const session = this.#connection.create_session();
    session.open();
    const replyTo = randomUUID();
    try {
      const answer = await this.#within(
        new Promise<rhea.Message>((resolve, reject) => {
          const fail = ({ receiver, sender }: rhea.EventContext): void => {
            const error = (receiver ?? sender)?.error as rhea.AmqpError | undefined;
            reject(
              new HubError(error?.condition ?? 'amqp:internal-error', error?.description ?? ''),
            );
          };
          for (const event of ['receiver_error', 'sender_error', 'session_error']) {
            session.on(event, fail);
          }
          session.on('message', ({ message }: rhea.EventContext) => message && resolve(message));
          session.open_receiver({
            name: replyTo,
            source: '$management',
            target: { address: replyTo },
          });
          const sender = session.open_sender({ target: '$management' });
          sender.once('sendable', () => {
            sender.send({
              message_id: randomUUID(),
              reply_to: replyTo,
              application_properties: {
                operation: 'READ',
                name: this.#place.eventHubName,
                type: 'com.microsoft:eventhub',
              },
              body: undefined,
            });
          });
        }),
        `asking for the partitions of ${this.#place.eventHubName}`,
      );
      return partitionIdsOf(answer, this.#place.eventHubName);
    } finally {
      if (!this.#isEnded) session.close();
    }
  }

  async #within<T>(work: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(HubError.connectionLost(`${what}: no answer in ${this.#timeoutMs} ms`)),
        this.#timeoutMs,
      );
    });
    const broken = this.#ended.then((error) => Promise.reject(error));
    try {
      return await Promise.race([work, late, broken]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Says goodbye and does not wait long for the answer. */
  async close(): Promise<void> {
    const socket = socketOf(this.#connection);
    if (socket === undefined || socket.closed) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.#connection.close();
    await Promise.race([closed, after(closeWaitMs)]);
    this.#cut();
  }

  /** With an error, because that is when rhea ends its timers too. */
  #cut(): void {
    const socket = socketOf(this.#connection);
    if (socket?.closed === false) socket.destroy(new Error('the connection was cut'));
  }
}

function socketOf(connection: rhea.Connection): Socket | undefined {
  return connection['socket'] as Socket | undefined;
}

function connectionError(error: unknown, place: HubPlace): HubError {
  const { condition, description, message } = (error ?? {}) as {
    readonly condition?: string;
    readonly description?: string;
    readonly message?: string;
  };
  const said =
    condition === 'amqp:unauthorized-access'
      ? "the emulator does not take the connection string's SharedAccessKeyName and SharedAccessKey: use the one that it prints at its start"
      : (description ?? message ?? 'the connection ended');
  const text = `${place.host}:${place.port}: ${said}`;
  return condition === undefined ? HubError.connectionLost(text) : new HubError(condition, text);
}

function partitionIdsOf(answer: rhea.Message, hub: string): readonly string[] {
  const status = Number(answer.application_properties?.['status-code']);
  if (status !== 200) {
    const properties = answer.application_properties ?? {};
    throw new HubError(
      String(properties['error-condition'] ?? 'amqp:internal-error'),
      String(properties['status-description'] ?? `the hub ${hub} gives the status ${status}`),
    );
  }
  const ids = (answer.body as { readonly partition_ids?: unknown } | undefined)?.partition_ids;
  if (!Array.isArray(ids)) throw new Error(`the hub ${hub} does not say which partitions it has`);
  return ids.map(String);
}

/** The connection that all partitions of a trigger share, made anew when somebody needs one. */
export class HubConnections {
  readonly #place: HubPlace;
  readonly #timeoutMs: number;
  #current: Promise<HubConnection> | null = null;

  constructor(place: HubPlace, timeoutMs: number) {
    this.#place = place;
    this.#timeoutMs = timeoutMs;
  }

  async get(): Promise<HubConnection> {
    const before = this.#current;
    if (before !== null) {
      const connection = await before.catch(() => null);
      if (connection !== null && !connection.isEnded) return connection;
    }
    // Of all who wait for the same lost connection the first makes the next.
    if (this.#current === before) this.#current = HubConnection.open(this.#place, this.#timeoutMs);
    return this.#current ?? Promise.reject(HubError.connectionLost('the processor is closed'));
  }

  async close(): Promise<void> {
    const closed = this.#current?.then(
      (connection) => connection.close(),
      () => undefined,
    );
    this.#current = null;
    await Promise.race([closed, after(closeWaitMs)]);
  }
}

function after(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs).unref());
}
