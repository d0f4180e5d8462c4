import type { Duplex } from 'node:stream';
import type * as rhea from 'rhea';
import { create_container } from 'rhea';
import { assertControlNode, resolveSource, startSequence } from '../address';
import { notFound, Refusal } from '../errors';
import { Where, type FaultSwitches } from '../faults';
import type { Namespace } from '../namespace';
import { FrontPort, type FrontPortOptions } from '../port/front-port';
import type { SharedAccess } from '../shared-access';
import { answerPutToken, assertRequestAllowed } from './claims';
import { ConnectionGuard, guardReader } from './connection-guard';
import { ConnectionRights, keyAdvice, PlainHandshake } from './connection-rights';
import { EventSenders, messageBytesMax } from './event-senders';
import { describeFailure } from './failures';
import { IncomingMessages, producerCredit } from './incoming-link';
import {
  capabilitiesOf,
  controlNode,
  echoAttach,
  filterOf,
  isControlAddress,
  numberProperty,
  refuseAttach,
  sourceAddress,
  targetAddress,
} from './link-facts';
import { answerManagement } from './management';
import { ReceiverRegistry } from './receivers';
import { readRequest } from './request';
import {
  forgetOnceSent,
  mendConnection,
  mendSession,
  separateEmptyLists,
  settleWithOutcome,
} from './rhea-mending';

/** Standing connections; more are dropped when they come. */
const connectionsMax = 5_000;

const connectionOptions = {
  max_frame_size: 65_536,
  channel_max: 4_999,
  idle_time_out: 240_000,
  receiver_options: {
    credit_window: producerCredit,
    autoaccept: false,
    max_message_size: messageBytesMax,
  },
};

/** What rhea offers, and does not say it does (rhea 3.0.5, pinned). */
interface LinkSearch {
  find_sender(matches: (sender: rhea.Sender) => boolean): rhea.Sender | undefined;
}

/** The sender settle mode `unsettled` (AMQP 1.0 part 2 §2.8.2). */
const unsettledMode = 0;

export interface AmqpServerOptions {
  readonly host: string;
  readonly port: number;
  readonly namespace: Namespace;
  readonly faults: FaultSwitches;
  readonly access: SharedAccess;
  readonly tls: FrontPortOptions['tls'];
  readonly log: (line: string) => void;
}

/** The AMQP face of the namespace. */
export class AmqpServer {
  readonly #options: AmqpServerOptions;
  readonly #container: rhea.Container;
  readonly #receivers: ReceiverRegistry;
  readonly #senders: EventSenders;
  readonly #messages = new IncomingMessages();
  readonly #guards = new WeakMap<rhea.Connection, ConnectionGuard>();
  readonly #rights = new WeakMap<rhea.Connection, ConnectionRights>();
  readonly #sockets = new Set<Duplex>();
  readonly #port: FrontPort;

  constructor(options: AmqpServerOptions) {
    this.#options = options;
    this.#receivers = new ReceiverRegistry(options);
    this.#senders = new EventSenders(options);
    this.#container = createContainer(options);
    this.#register();
    guardReader();
    separateEmptyLists();
    this.#port = new FrontPort({
      ...options,
      connectionsMax,
      onStream: (stream) => this.#accept(stream),
    });
  }

  #register(): void {
    const on = (event: string, listener: (context: rhea.EventContext) => void): void => {
      this.#container.on(event, listener);
    };
    on('session_open', ({ connection, session }) => {
      if (session === undefined) return;
      this.#guards.get(connection)?.openSession(session);
      mendSession(session);
      this.#messages.watch(session);
    });
    on('sender_open', (context) => this.#openToClient(context));
    on('receiver_open', (context) => this.#openFromClient(context));
    on('message', (context) => this.#take(context));
    on('sender_close', ({ connection, sender }) => {
      if (sender === undefined) return;
      this.#receivers.close(sender);
      this.#guards.get(connection)?.closeLink(sender);
    });
    on('receiver_close', ({ connection, receiver }) => {
      if (receiver === undefined) return;
      this.#senders.close(receiver);
      this.#messages.forget(receiver);
      this.#guards.get(connection)?.closeLink(receiver);
    });
    on('session_close', ({ connection, session }) => {
      if (session === undefined) return;
      this.#receivers.closeSession(session);
      this.#senders.closeWhere((receiver) => receiver.session === session);
      this.#messages.forgetAllOf(session);
      this.#guards.get(connection)?.closeSession(session);
    });
    // What a client says of its own failures: it ends what it names, nothing else.
    for (const event of ['connection_error', 'session_error', 'sender_error', 'receiver_error']) {
      on(event, ({ error }) => {
        this.#options.log(`client ${event}: ${String(error ?? 'no reason given')}`);
      });
    }
    on('disconnected', () => undefined);
  }

  async listen(): Promise<number> {
    return this.#port.listen();
  }

  #accept(socket: Duplex): void {
    this.#sockets.add(socket);
    // Every receiver of a connection may wait for it to be read.
    socket.setMaxListeners(0);
    const connection = this.#container.create_connection({ ...connectionOptions } as never);
    (connection as unknown as { accept(socket: Duplex): void }).accept(socket);
    const guard = new ConnectionGuard(connection, socket, {
      frameBytesMax: connectionOptions.max_frame_size,
      channelMax: connectionOptions.channel_max,
      log: this.#options.log,
      onClosed: () => {
        this.#sockets.delete(socket);
        this.#receivers.closeConnection(connection);
        this.#senders.closeWhere((receiver) => receiver.connection === connection);
        this.#messages.forgetAllOf(connection);
      },
    });
    this.#guards.set(connection, guard);
    this.#rights.set(connection, new ConnectionRights(connection, this.#options.access));
    mendConnection(connection);
  }

  /** A link on which the client receives. */
  #openToClient({ connection, sender }: rhea.EventContext): void {
    if (sender === undefined) return;
    this.#guards.get(connection)?.openLink(sender);
    const address = sourceAddress(sender);
    echoAttach(sender);
    if (isControlAddress(address)) return this.#openControl(sender, address);
    this.#refusing(sender, () => {
      this.#rightsOf(connection).assert('Listen', address, Date.now());
      const source = resolveSource(this.#options.namespace, address);
      this.#receivers.open({
        ...source,
        sender,
        start: startSequence(source.hub, source.partition, filterOf(sender)),
        epoch: numberProperty(sender, 'com.microsoft:epoch'),
        wantsRuntimeMetric: capabilitiesOf(sender).includes(
          'com.microsoft:enable-receiver-runtime-metric',
        ),
      });
    });
  }

  /** A link on which the client sends. */
  #openFromClient({ connection, receiver }: rhea.EventContext): void {
    if (receiver === undefined) return;
    this.#guards.get(connection)?.openLink(receiver);
    echoAttach(receiver);
    adoptDeliveryCount(receiver);
    const address = targetAddress(receiver);
    if (isControlAddress(address)) return this.#openControl(receiver, address);
    this.#refusing(receiver, () => {
      this.#rightsOf(connection).assert('Send', address, Date.now());
      this.#senders.open(receiver);
    });
  }

  #rightsOf(connection: rhea.Connection): ConnectionRights {
    const rights = this.#rights.get(connection);
    if (rights === undefined) throw new Error('a link without a connection of this server');
    return rights;
  }

  /** A link for requests: the hub that its address may name must be there. */
  #openControl(link: rhea.Sender | rhea.Receiver, address: string): void {
    this.#refusing(link, () => assertControlNode(this.#options.namespace, address));
  }

  /** Answers the attach and then detaches with the error: the form in which SDKs expect a no. */
  #refusing(link: rhea.Sender | rhea.Receiver, open: () => void): void {
    try {
      open();
    } catch (error) {
      const reason = describeFailure(error);
      const isUnauthorized = error instanceof Refusal && error.status === 401;
      if (isUnauthorized) this.#options.log(`link refused: ${reason.description} (${keyAdvice})`);
      if (!(error instanceof Refusal)) this.#options.log(`link refused: ${reason.description}`);
      refuseAttach(link);
      // A sender that is given credit goes on to send, and waits for an answer in vain.
      Object.assign(link, { credit: 0, issue_flow: false });
      setImmediate(() => link.close(reason));
    }
  }

  #take(context: rhea.EventContext): void {
    const { delivery, message, receiver } = context;
    if (delivery === undefined || receiver === undefined) return;
    settleWithOutcome(delivery);
    const address = targetAddress(receiver);
    if (!isControlAddress(address)) {
      this.#senders.take(receiver, delivery, message);
      return;
    }
    try {
      const request = readRequest(message);
      delivery.accept();
      this.#reply(context, request, this.#answer(context.connection, address, request));
    } catch (error) {
      delivery.reject(describeFailure(error));
    }
  }

  #answer(connection: rhea.Connection, address: string, request: rhea.Message): rhea.Message {
    const { access, log, namespace } = this.#options;
    const claims = { access, rights: this.#rightsOf(connection), nowMs: Date.now(), log };
    return controlNode(address) === '$cbs'
      ? answerPutToken(claims, request)
      : answerManagement(namespace, request, (hub) => assertRequestAllowed(claims, request, hub));
  }

  /** Goes to the link of the same connection that the request names, or else reads from the same node. */
  #reply(
    { connection, receiver }: rhea.EventContext,
    request: rhea.Message,
    answer: rhea.Message,
  ): void {
    const { reply_to: replyTo } = request;
    const node = controlNode(targetAddress(receiver));
    const readsNode = (sender: rhea.Sender): boolean =>
      isControlAddress(sourceAddress(sender)) && controlNode(sourceAddress(sender)) === node;
    const own = connection as unknown as LinkSearch;
    const link =
      own.find_sender(
        (sender) =>
          replyTo !== undefined &&
          (sender.target?.address === replyTo || nameOf(sender) === replyTo),
      ) ??
      (receiver?.session as unknown as LinkSearch).find_sender(readsNode) ??
      own.find_sender(readsNode);
    if (link === undefined) {
      this.#options.log(`a request names no link of its connection to reply to: ${replyTo}`);
      return;
    }
    const reply = link.send(answer);
    // Nothing of it may linger among the numbers that events take.
    if (link.snd_settle_mode === unsettledMode) forgetOnceSent(reply, link.session);
    else Object.assign(reply, { settled: true });
  }

  /** Closes every connection as a failing network would. */
  dropConnections(): void {
    // With an error, because that is when rhea lets go of the connection, its links and its timers.
    for (const socket of this.#sockets) socket.destroy(new Error('the connection was dropped'));
  }

  /** Detaches the links of one direction. */
  detachLinks(direction: 'send' | 'receive', where: Where): void {
    const links = direction === 'send' ? this.#senders : this.#receivers;
    links.detach(where, {
      condition: 'amqp:link:detach-forced',
      description: 'The link was detached by a fault switch.',
    });
  }

  /** Sends the last events again. */
  rewind(where: Where, events: number): void {
    this.#receivers.rewind(where, events);
  }

  hubGone(name: string): void {
    this.#receivers.detach(new Where(name, null), describeFailure(notFound(name)));
  }

  async close(): Promise<void> {
    this.dropConnections();
    await this.#port.close();
  }
}

/** As its client named it. */
const nameOf = (link: rhea.Sender): string =>
  (link as unknown as { remote: { attach: { name: string } } }).remote.attach.name;

/** rhea begins at 0, whatever the sender says it begins at (AMQP 1.0 part 2 §2.6.7). */
function adoptDeliveryCount(receiver: rhea.Receiver): void {
  const { remote } = receiver as unknown as {
    remote: { attach: { initial_delivery_count?: number | null } };
  };
  Object.assign(receiver, { delivery_count: remote.attach.initial_delivery_count ?? 0 });
}

function createContainer({ access, log }: AmqpServerOptions): rhea.Container {
  const container = create_container({ id: 'millrace-event-hubs' });
  const { sasl_server_mechanisms: mechanisms } = container as unknown as {
    sasl_server_mechanisms: Record<string, unknown> & {
      enable_anonymous(): void;
    };
  };
  mechanisms.enable_anonymous();
  // .NET's name for a handshake without credentials; the token follows on $cbs.
  mechanisms['MSSBCBS'] = mechanisms['ANONYMOUS'];
  mechanisms['EXTERNAL'] = mechanisms['ANONYMOUS'];
  mechanisms['PLAIN'] = () => new PlainHandshake(access, log);
  return container;
}
